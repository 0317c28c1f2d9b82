// One look at a resource on this node: its state, and who uses it. Taken under the resource's lock,
// and stale as soon as the lock is dropped.
#pragma once

#include <vector>

#include "hotplug/host.h"
#include "policy/users.h"

namespace block_drbd::hotplug {

struct Survey {
  drbd::Resource resource;
  std::vector<record::Claim> claims;  ///< all on this resource
  /// Attachments that count, the one at `own` aside. Where every node is Secondary, and nothing of
  /// ours has it, xenstore is not asked: `add` does that once it has the role, under Xen's lock.
  std::vector<policy::Attachment> in_use;
};

Result<Survey> survey(Host& host, const std::string& resource, const xenstore::BackendPath& own,
                      Duration limit);

/// Each backend with what is known about its domain.
Result<std::vector<policy::Attachment>> with_their_domains(xenstore::Store& store,
                                                           std::vector<xenstore::Backend> backends);

/// Whether the kernel goes on serving the disk that was attached, whatever xenstore says: one that
/// was started anew knows nothing of a guest that runs.
bool is_served(device::Devices& devices, const record::Claim& claim);

/// The disks that the kernel serves, and of which xenstore knows nothing, as it would tell of them:
/// their guests may run on.
Result<std::vector<policy::Attachment>> forgotten_by_xenstore(
    xenstore::Store& store, device::Devices& devices, const std::vector<record::Claim>& claims);

/// The attachments alone, for a resource whose state is known.
Result<std::vector<policy::Attachment>> attachments_in_use(Host& host,
                                                           const drbd::Resource& resource,
                                                           const std::vector<record::Claim>& claims,
                                                           const xenstore::BackendPath& own);

}  // namespace block_drbd::hotplug
