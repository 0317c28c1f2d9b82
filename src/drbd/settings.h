// The settings of a resource that are in force (drbdsetup show), as far as a hand-over needs them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace block_drbd::drbd {

/// The settings of one connection, as the kernel has them now: not what a configuration file says.
struct ConnectionSettings {
  std::string peer;            ///< the peer's name; DRBD 9 only, else empty
  std::optional<int> node_id;  ///< DRBD 9 only
  /// As drbdsetup takes them: "ipv4:10.0.0.1:7789". Of several paths (DRBD 9), of one of them.
  std::string local_address;
  std::string peer_address;
  bool two_primaries = false;         ///< allow-two-primaries
  char protocol = 'C';                ///< A, B or C
  std::string fencing = "dont-care";  ///< dont-care, resource-only, resource-and-stonith
};

/// One replicated device, as DRBD was told to make it.
struct VolumeSettings {
  int number = 0;
  int minor = -1;
};

struct Settings {
  std::string resource;
  std::vector<VolumeSettings> volumes{};
  /// Empty when no connection is configured in the kernel: never connected, or StandAlone on 8.4.
  std::vector<ConnectionSettings> connections;
  /// DRBD 8.4, where it belongs to the disks and is known without a connection: that of the weakest
  /// disk (each connection has it, too). On DRBD 9 it is the connections' alone.
  std::string fencing = "dont-care";
  std::string quorum = "off";  ///< off, majority, all, or a number (DRBD 9 only)

  /// On any connection.
  bool allows_two_primaries() const;

  /// The connection to this peer; on 8.4, where a resource has one connection and the peer no
  /// number, that one.
  const ConnectionSettings* connection_to(std::optional<int> node_id) const;
};

}  // namespace block_drbd::drbd
