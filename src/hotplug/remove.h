// `block-drbd remove`: the backend's use of its resource ends.
#pragma once

#include <vector>

#include "hotplug/host.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// `claims`: those of the path when the run began, since what is attached under it from then on is
/// another one's disk. On failure a resource is still Primary here without a user; the message says
/// who holds it.
Result<void> remove(Host& host, const xenstore::BackendPath& path,
                    const Result<std::vector<record::Claim>>& claims, Duration limit = time_limit);

}  // namespace block_drbd::hotplug
