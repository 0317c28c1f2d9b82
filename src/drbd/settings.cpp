#include "drbd/settings.h"

#include <algorithm>

namespace block_drbd::drbd {

bool Settings::allows_two_primaries() const {
  return std::ranges::any_of(connections, &ConnectionSettings::two_primaries);
}

const ConnectionSettings* Settings::connection_to(std::optional<int> node_id) const {
  const auto found =
      std::find_if(connections.begin(), connections.end(),
                   [&](const ConnectionSettings& each) { return each.node_id == node_id; });
  return found == connections.end() ? nullptr : &*found;
}

}  // namespace block_drbd::drbd
