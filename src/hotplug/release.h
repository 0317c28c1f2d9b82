// Giving a resource's role back: what `remove` does, and `add` when it fails.
#pragma once

#include "hotplug/host.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// Ends the use of `resource` by the backend at `own`, and makes the resource Secondary when nobody
/// else on this node uses it. Success also when others do, or when nothing was ever attached.
/// `attached`: the backend has a physical device, whoever attached it.
Result<void> release(Host& host, const xenstore::BackendPath& own, const std::string& resource,
                     bool attached, const Budget& budget);

/// The same of an `add` that has failed: what another run has attached under this name, stays.
Result<void> roll_back(Host& host, const xenstore::BackendPath& own, const std::string& resource,
                       const Budget& budget);

/// One attempt of `release`, for a use whose claim says released; the caller has the resource's
/// lock. False: the resource is still Primary for nobody, and may be tried again. `late`: a
/// promotion that DRBD has not answered may still take effect. `tells`: says who holds the
/// resource, when somebody does; false then.
Result<bool> try_to_release(Host& host, const record::Claim& claim, bool late, bool& tells,
                            const Budget& budget);

}  // namespace block_drbd::hotplug
