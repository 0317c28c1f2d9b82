#include "diagnose/facts.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "device/devices.h"

namespace block_drbd::diagnose {

std::vector<policy::Attachment> users_of(const Facts& facts, const drbd::Resource& resource) {
  std::set<std::string> devices;
  for (const drbd::Volume& volume : resource.volumes)
    devices.insert(device::physical_device(volume.minor));
  std::vector<policy::Attachment> attached;
  std::ranges::copy_if(facts.attachments, std::back_inserter(attached),
                       [&](const policy::Attachment& each) {
                         return devices.contains(each.backend.physical_device);
                       });
  std::vector<record::Claim> claims;
  std::ranges::copy_if(facts.records.claims, std::back_inserter(claims),
                       [&](const record::Claim& claim) { return claim.resource == resource.name; });
  return policy::attachments_in_use(attached, claims, std::nullopt);
}

std::vector<std::string> not_up(const Facts& facts) {
  std::vector<std::string> names;
  std::ranges::copy_if(
      facts.configured.value_or(std::vector<std::string>{}), std::back_inserter(names),
      [&](const std::string& name) { return facts.drbd.resource(name) == nullptr; });
  return names;
}

const policy::Attachment* user_of(const std::vector<policy::Attachment>& users,
                                  const drbd::Volume& volume) {
  const std::string device = device::physical_device(volume.minor);
  const auto found = std::ranges::find_if(users, [&](const policy::Attachment& each) {
    return each.backend.physical_device == device;
  });
  return found == users.end() ? nullptr : &*found;
}

bool is_target_of_resync(const drbd::Resource& resource, const drbd::Volume& volume) {
  return std::ranges::any_of(resource.peers, [&](const drbd::Peer& peer) {
    return std::ranges::any_of(peer.volumes, [&](const drbd::PeerVolume& each) {
      return each.number == volume.number && (each.replication == drbd::Replication::SyncTarget ||
                                              each.replication == drbd::Replication::PausedSyncT);
    });
  });
}

}  // namespace block_drbd::diagnose
