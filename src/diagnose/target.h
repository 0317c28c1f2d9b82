// The disks that somebody asks about: as a resource, as a disk line, or in a guest's configuration.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/access.h"
#include "process/processes.h"
#include "spec/disk_spec.h"

namespace block_drbd::diagnose {

struct Target {
  DiskSpec spec;
  policy::Access access = policy::Access::ReadWrite;
  std::string guest;  ///< where a configuration names it, else empty
  std::string vdev;   ///< where it is known, else empty
  /// The domain that serves the disk, where that is not the one of this host.
  std::string driver_domain{};
};

/// `Wheezy`, `drbd:Wheezy/1`; or a disk line as in xl.cfg(5), in any of its spellings:
/// `drbd:Wheezy,xvda,w`, `vdev=xvda,access=rw,script=block-drbd,target=Wheezy`.
Result<Target> target_from(std::string_view text);

/// Whether the word is the name of a file rather than of a resource.
bool is_configuration(const std::string& word);

/// Every DRBD disk of a guest's configuration. xl reads it (`xl create --dryrun`), as it would when
/// it creates the guest; it needs Xen and the rights of root.
Result<std::vector<Target>> targets_in_configuration(process::Processes& processes,
                                                     const std::string& path);

}  // namespace block_drbd::diagnose
