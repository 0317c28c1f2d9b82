// The window of a hand-over: may two primaries be allowed now, and when no longer? Pure.
#pragma once

#include <optional>
#include <string>

#include "clock.h"
#include "drbd/settings.h"
#include "drbd/state.h"
#include "policy/access.h"
#include "policy/choices.h"
#include "record/window.h"

namespace block_drbd::policy {

enum class Opening {
  Open,   ///< from `no`: this hand-over opens it
  Adopt,  ///< still open from the hand-over before, towards the same peer: it serves this one, too
  Allowed,  ///< two primaries are allowed already, and not by a window of this node
  Wait,     ///< a window towards another peer is still open: never two
  Refuse,
};

struct OpeningDecision {
  Opening opening = Opening::Refuse;
  std::string
      because;  ///< Wait: what for. Refuse: why not, to be put behind "cannot be taken over: "
};

/// `source` is the connection to the node that hands the guest over (nothing: not configured in the
/// kernel), `window` what is remembered of an earlier hand-over of this resource to this node.
OpeningDecision decide_opening(Access access, const Choices& choices,
                               const drbd::ConnectionSettings* source,
                               const std::optional<record::Window>& window);

enum class WindowStep {
  Close,   ///< not both nodes are Primary any more, or the source will not come back with `yes`
  Wait,    ///< both are Primary, an `add` is under way, or a handshake is
  Forget,  ///< the connection has ended, and the setting with it
};

/// Not both nodes are Primary, as far as this one sees.
bool is_idle(const record::Window& window, const drbd::Resource& resource);

/// A peer that is gone is missed after ping-int and ping-timeout, 10.5 s by default. Who sees it
/// longer than this has seen it alive.
inline constexpr Duration seen_alive_after = std::chrono::seconds(12);

/// What the keeper does about an open window. `add_is_under_way`: for this resource, on this node;
/// `idle_for`: how long it has been so without a break.
WindowStep next_step(const record::Window& window, const drbd::Resource& resource,
                     bool add_is_under_way, Duration idle_for);

}  // namespace block_drbd::policy
