// `block-drbd remove`: the backend's use of its resource ends.
#pragma once

#include "hotplug/host.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// On failure a resource is still Primary here without a user; the message says who holds it.
Result<void> remove(Host& host, const xenstore::BackendPath& path, Duration limit = time_limit);

}  // namespace block_drbd::hotplug
