#include "policy/reconnect.h"

#include "drbd/kernel_log.h"

namespace block_drbd::policy {

std::vector<std::optional<int>> parted_by_two_primaries(const drbd::Resource& resource,
                                                        std::string_view kernel_log) {
  const auto is_so = [&](std::string_view peer) {
    return drbd::why_parted(kernel_log, resource, peer) == drbd::Parted::TwoPrimaries;
  };
  // DRBD 8.4 shows no peer while it is StandAlone.
  if (resource.peers.empty())
    return is_so("") ? std::vector<std::optional<int>>{std::nullopt}
                     : std::vector<std::optional<int>>{};
  std::vector<std::optional<int>> parted;
  for (const drbd::Peer& peer : resource.peers)
    if (peer.connection == drbd::Connection::StandAlone && is_so(peer.name))
      parted.push_back(peer.node_id);
  return parted;
}

}  // namespace block_drbd::policy
