#include "policy/window.h"

namespace block_drbd::policy {

using drbd::Connection;
using drbd::Role;

OpeningDecision decide_opening(Access access, const Choices& choices,
                               const drbd::ConnectionSettings* source,
                               const std::optional<record::Window>& window) {
  if (source == nullptr)
    return {.opening = Opening::Refuse,
            .because = "the connection to the node that has the guest is not configured any more"};
  const bool ours = window && window->peer == source->node_id;
  if (window && !ours)
    return {.opening = Opening::Wait,
            .because =
                "an earlier hand-over, with another node, is not finished. When that node is "
                "connected it ends by itself; `drbdadm adjust` here ends it, too"};
  if (source->two_primaries)
    return {.opening = ours ? Opening::Adopt : Opening::Allowed, .because = {}};
  if (!choices.opens_windows)
    return {.opening = Opening::Refuse,
            .because =
                "/etc/xen/block-drbd.json says that two primaries are never to be allowed "
                "for it (\"window\": \"never\")"};
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

bool is_idle(const record::Window& window, const drbd::Resource& resource) {
  const drbd::Peer* peer = resource.peer(window.peer);
  return peer != nullptr && drbd::is_settled(*peer) &&
         (resource.role != Role::Primary || peer->role != Role::Primary);
}

WindowStep next_step(const record::Window& window, const drbd::Resource& resource,
                     bool add_is_under_way, Duration idle_for) {
  const drbd::Peer* peer = resource.peer(window.peer);
  if (peer == nullptr)
    return WindowStep::Forget;  // 8.4, StandAlone
  if (add_is_under_way)
    return WindowStep::Wait;
  // That the guest arrived, and its source is not Primary any more, was seen through the link. Else
  // the migration was aborted, perhaps because all links were lost at once, and this one is not
  // missed yet: `no` would not get through, and the source would keep `yes`.
  if (is_idle(window, resource))
    return window.arrived || idle_for >= seen_alive_after ? WindowStep::Close : WindowStep::Wait;
  // Both are Primary; or the nodes are shaking hands, where the value decides whether they accept
  // each other, and is not to be touched in the middle.
  if (peer->connection == Connection::Connected)
    return WindowStep::Wait;
  // The link is lost. While the guest has not left its source for good, that resumes it with the
  // open setting, and nobody there will close it: `no` here would part the two. Else the source
  // closes it for itself, or comes back with its configuration.
  return window.arrived ? WindowStep::Close : WindowStep::Wait;
}

}  // namespace block_drbd::policy
