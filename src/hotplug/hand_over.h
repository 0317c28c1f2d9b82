// The window of a hand-over: two primaries are allowed for as long as one live migration needs it.
#pragma once

#include <optional>
#include <string>

#include "hotplug/host.h"
#include "policy/decide.h"

namespace block_drbd::hotplug {

/// What came of the attempt to have two primaries allowed towards the source.
struct Attempt {
  bool open = false;    ///< go on and promote
  std::string because;  ///< not open: what keeps it shut; it may be tried again
};

/// Has two primaries allowed on the connection to the source, which is the one Primary peer of
/// `resource`, for the guest that arrives at `backend`. Under the resource's lock. What is opened
/// here is remembered before, and a keeper is left behind that closes it, unless this `add`
/// `has_keeper` already. An error is final.
Result<Attempt> open_window(Host& host, const drbd::Resource& resource,
                            const policy::Request& request, const xenstore::BackendPath& backend,
                            bool has_keeper, const Budget& budget);

/// Writes down that the guest of the window has its own name, once it has: its source
/// has let it go, and would take it back only if it could not be unpaused here (xl
/// migrate-receive).
Result<void> note_arrival(Host& host, record::Window& window);

}  // namespace block_drbd::hotplug
