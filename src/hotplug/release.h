// Giving a resource's role back: what `remove` does, and `add` when it fails.
#pragma once

#include "hotplug/host.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// Ends the use of a resource that `claim` tells of, and makes the resource Secondary when nobody
/// else on this node uses it. Success also when others do, or when another run has ended the use
/// already. What another `add` has claimed under the same backend path since, stays.
Result<void> release(Host& host, const record::Claim& claim, const Budget& budget);

/// One attempt of `release`, for a use whose claim says released; the caller has the resource's
/// lock. False: the resource is still Primary for nobody, and may be tried again. `late`: a
/// promotion that DRBD has not answered may still take effect. `tells`: says who holds the
/// resource, when somebody does; false then.
Result<bool> try_to_release(Host& host, const record::Claim& claim, bool late, bool& tells,
                            const Budget& budget);

/// The claim of a use that the shell script began, which writes none, and promotes all volumes.
record::Claim claim_of_shell_script(const xenstore::BackendPath& backend,
                                    const std::string& resource);

}  // namespace block_drbd::hotplug
