#include "policy/window.h"

#include <algorithm>

namespace block_drbd::policy {

using drbd::Connection;
using drbd::Role;

OpeningDecision decide_opening(Access access, const drbd::ConnectionSettings* source,
                               const std::optional<record::Window>& window) {
  if (source == nullptr)
    return {.opening = Opening::Refuse,
            .because = "the connection to the node that has the guest is not configured any more"};
  const bool ours = window && window->peer == source->node_id;
  if (window && !ours)
    return {.opening = Opening::Wait,
            .because = "the hand-over before, from another node, is not finished"};
  if (source->two_primaries)
    return {.opening = ours ? Opening::Adopt : Opening::Allowed, .because = {}};
  // Others may use such a disk on the source, too. It would stay Primary, and the window open.
  if (access != Access::ReadWrite)
    return {.opening = Opening::Refuse,
            .because = "a disk that is shared (mode " +
                       std::string(access == Access::Shared ? "w!" : "r") +
                       ") can only be handed over where two primaries are configured: set "
                       "`allow-two-primaries yes;` in the resource's net section on both nodes and "
                       "run `drbdadm adjust` on both"};
  if (source->protocol != 'C')
    return {.opening = Opening::Refuse,
            .because = std::string("it is replicated with protocol ") + source->protocol +
                       ", and two primaries need protocol C: set `protocol C;` in the resource's "
                       "net section on both nodes and run `drbdadm adjust` on both"};
  return {.opening = Opening::Open, .because = {}};
}

WindowStep next_step(const record::Window& window, const drbd::Resource& resource,
                     bool add_is_under_way) {
  const auto peer =
      std::find_if(resource.peers.begin(), resource.peers.end(),
                   [&](const drbd::Peer& each) { return each.node_id == window.peer; });
  if (peer == resource.peers.end())
    return WindowStep::Forget;  // 8.4, StandAlone
  if (drbd::is_settled(*peer)) {
    const bool both = resource.role == Role::Primary && peer->role == Role::Primary;
    return both || add_is_under_way ? WindowStep::Wait : WindowStep::Close;
  }
  // The value decides whether two nodes accept each other: not to be touched in the middle.
  if (peer->connection == Connection::Connected)
    return WindowStep::Wait;
  // The link is lost. The source resumes its guest with the open setting when the guest has not
  // left it for good, and nobody there will close it: `no` here would part the two. Else it comes
  // back with its configuration.
  return window.arrived && !add_is_under_way ? WindowStep::Close : WindowStep::Wait;
}

}  // namespace block_drbd::policy
