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

const policy::Attachment* user_of(const std::vector<policy::Attachment>& users,
                                  const drbd::Volume& volume) {
  const std::string device = device::physical_device(volume.minor);
  const auto found = std::ranges::find_if(users, [&](const policy::Attachment& each) {
    return each.backend.physical_device == device;
  });
  return found == users.end() ? nullptr : &*found;
}

}  // namespace block_drbd::diagnose
