#include "drbd/settings.h"

#include <algorithm>

#include "drbd/net_option.h"

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

bool set_net_option(ConnectionSettings& connection, std::string_view name, std::string_view value) {
  if (name == "allow-two-primaries") {
    connection.two_primaries = value == "yes";
    return value == "yes" || value == "no";
  }
  if (name == "protocol") {
    if (value != "A" && value != "B" && value != "C")
      return false;
    connection.protocol = value.front();
  } else if (name == "fencing") {
    connection.fencing = value;
  } else if (name == "_name") {
    connection.peer = value;
  }
  return true;
}

}  // namespace block_drbd::drbd
