// DRBD on this node as a whole, for somebody who looks: every resource in as few commands as there
// are. Nothing is changed.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "clock.h"
#include "drbd/readers.h"
#include "process/processes.h"

namespace block_drbd::drbd {

struct Overview {
  Generation generation = Generation::Absent;
  std::string version;  ///< of the kernel's module: "8.4.11"; empty when it is not loaded
  std::vector<Resource> resources;  ///< all that are up, with the roles of their volumes
  std::vector<Settings> settings;   ///< those in force, of the same resources

  const Resource* resource(std::string_view name) const;
  const Settings* settings_of(std::string_view name) const;
};

/// `proc_drbd` is /proc/drbd, elsewhere in tests. `only`: of this resource alone, if it is up;
/// empty: of all, of which a node may have hundreds.
Result<Overview> look_over(process::Processes& processes, const std::string& proc_drbd,
                           const std::string& only, Duration limit);

/// The names that are configured on this node, up or not (`drbdadm sh-resources`, which leaves out
/// stacked ones). Reads all of the configuration, and fails when any of it is broken.
Result<std::vector<std::string>> configured_resources(process::Processes& processes,
                                                      Duration limit);

/// Takes over what /proc/drbd alone tells on DRBD 8.4: the role of each volume, and how long a
/// resync will take.
void add_from_proc(std::span<Resource> resources, std::string_view proc_drbd);

}  // namespace block_drbd::drbd
