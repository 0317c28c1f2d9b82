// What a block script answers into the backend's directory.
#pragma once

#include <string>

#include "report.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

/// Why the disk that the work began for gets nothing: `backend`, as it is now, is another one's.
std::string has_another_disk(const xenstore::Backend& backend);

/// Hands the device to blkback (physical-device) and QEMU (physical-device-path). Fails when the
/// toolstack has given the backend up meanwhile, also for another disk, or somebody else attached a
/// device: blkback takes physical-device once. `disk`: the backend as it was when the work began.
Result<void> publish_device(xenstore::Store& store, const xenstore::Backend& disk,
                            const std::string& physical_device, const std::string& node);

/// Leaves the reason of a failure where libxl looks for it. Not when the directory is gone: writing
/// would make it again, for a domain that is dead, and a later domain of that number would find it.
/// Nor when it is another disk's by now.
void publish_failure(xenstore::Store& store, Report& report, const xenstore::Backend& disk,
                     const std::string& message);

}  // namespace block_drbd::hotplug
