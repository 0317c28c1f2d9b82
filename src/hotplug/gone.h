// `block-drbd gone`: udev runs it when the kernel has let go of a guest's disk.
#pragma once

#include "hotplug/host.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// libxl gives up on a disk that is not closed ten seconds after its guest was told to, wipes its
/// directory, and never calls `remove`: the role would stay in silence. What is still claimed for
/// the backend is released then, and left to a keeper: the device may be open a while longer. After
/// a `remove` there is nothing to do, nor for a disk that was attached again meanwhile.
Result<void> gone(Host& host, const xenstore::BackendPath& path);

}  // namespace block_drbd::hotplug
