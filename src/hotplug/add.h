// `block-drbd add`: the resource becomes Primary here, and the device is handed to the backend.
#pragma once

#include "hotplug/host.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// On success the backend at `path` has its physical-device. On failure nothing is left behind, the
/// message is in the backend's hotplug-error (libxl shows it), and it is returned.
Result<void> add(Host& host, const xenstore::BackendPath& path, Duration limit = time_limit);

}  // namespace block_drbd::hotplug
