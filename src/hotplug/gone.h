// `block-drbd gone`: udev runs it when the kernel has let go of a guest's disk.
#pragma once

#include "hotplug/host.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// libxl gives up on a disk that is not closed ten seconds after its guest has ended, and then
/// never calls `remove`: the role would stay in silence. What is still claimed for the backend is
/// left to a keeper, if its guest has ended. After a `remove` there is nothing to do.
Result<void> gone(Host& host, const xenstore::BackendPath& path);

}  // namespace block_drbd::hotplug
