#include "policy/reconnect.h"

#include <algorithm>

#include "drbd/kernel_log.h"

namespace block_drbd::policy {

namespace {

bool differ_in_two_primaries(const drbd::Resource& resource, std::string_view kernel_log,
                             std::string_view peer) {
  return drbd::why_parted(kernel_log, resource, peer) == drbd::Parted::TwoPrimaries;
}

}  // namespace

std::vector<std::optional<int>> parted_by_two_primaries(const drbd::Resource& resource,
                                                        std::string_view kernel_log) {
  // DRBD 8.4 shows no peer while it is StandAlone.
  if (resource.peers.empty())
    return differ_in_two_primaries(resource, kernel_log, "")
               ? std::vector<std::optional<int>>{std::nullopt}
               : std::vector<std::optional<int>>{};
  std::vector<std::optional<int>> parted;
  for (const drbd::Peer& peer : resource.peers)
    if (peer.connection == drbd::Connection::StandAlone &&
        differ_in_two_primaries(resource, kernel_log, peer.name))
      parted.push_back(peer.node_id);
  return parted;
}

bool are_parting_by_two_primaries(const drbd::Resource& resource, std::string_view kernel_log) {
  return std::ranges::any_of(resource.peers, [&](const drbd::Peer& peer) {
    return peer.connection != drbd::Connection::StandAlone &&
           differ_in_two_primaries(resource, kernel_log, peer.name);
  });
}

}  // namespace block_drbd::policy
