// A window: two primaries are allowed for the time of one hand-over.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "result.h"
#include "xenstore/backend.h"

namespace block_drbd::record {

/// Written on the target of a migration before the window is opened, and on its source before the
/// role is given back; forgotten when it was seen closed. The value to restore is `no`, by
/// definition: a window is only ever opened from `no`.
struct Window {
  std::string resource;
  std::optional<int> peer;        ///< node id of the peer; DRBD 9 only, 8.4 has one connection
  xenstore::BackendPath backend;  ///< the disk of the migrating guest
  bool found_open = false;  ///< not opened here: closed only if the configuration does not allow it
  bool unanswered = false;  ///< DRBD has not answered yet: it may still be opened
  bool arrived = false;     ///< the guest has its own name: its source has let it go

  bool operator==(const Window&) const = default;
};

/// One small JSON object, with a version.
std::string to_json(const Window& window);
Result<Window> window_from_json(std::string_view text);

}  // namespace block_drbd::record
