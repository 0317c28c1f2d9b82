// May this disk be attached here, now? Pure: everything that is taken into account is an argument.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "clock.h"
#include "drbd/settings.h"
#include "drbd/state.h"
#include "policy/access.h"
#include "policy/choices.h"
#include "policy/users.h"

namespace block_drbd::policy {

/// What the toolstack wants the disk for.
enum class Purpose {
  Start,     ///< a guest that starts here (create, restore, reboot), or a disk that is hot-plugged
  Incoming,  ///< a guest that arrives by live migration, and is still Primary and suspended
             ///< elsewhere
};

struct Request {
  std::string resource;
  int volume = 0;
  std::string physical_device;  ///< of the volume: `93:1`
  Purpose purpose = Purpose::Start;
  Access access = Access::ReadWrite;
  std::string guest;  ///< name of the guest; empty when it cannot be read
  Choices choices{};
};

struct Situation {
  drbd::Resource resource;
  std::vector<User> users;  ///< on this node, all volumes of the resource
  /// The resource is Primary here, and neither this start nor another one made it so.
  bool primary_by_person = false;
  /// This very guest had the resource here until moments ago, while the peer could not be seen.
  bool held = false;
  /// Names of peers that cannot be seen, and were Primary when they were lost. Asked for only when
  /// a guest arrives.
  std::set<std::string> lost_primaries{};
  /// Asked for only while a peer is Primary or cannot be seen.
  std::optional<drbd::Settings> settings;
  Duration waited_for_peer{0};  ///< for a Primary peer to let go
  Duration waited_for_link{0};  ///< for a peer that cannot be seen
  Duration waited_for_data{0};  ///< for this node's data to be good enough for a hand-over
};

enum class Action {
  Promote,   ///< make the volume Primary, then look whether a peer did so, too
  HandOver,  ///< make the volume Primary beside the peer that hands the guest over
  Share,     ///< the role is here already, for somebody who may be shared with
  WaitForPeer,
  WaitForLink,
  WaitForData,
  Refuse,
};

struct Decision {
  Action action = Action::Refuse;
  std::string because;  ///< Wait…: what for. Refuse: the whole message. Else empty
};

/// How long a start waits for a Primary peer to let go: a guest that reboots right after it came by
/// migration, a `shutdown` over there that is still being cleaned up, a peer that died and was not
/// missed yet (DRBD's ping-int is 10 s).
inline constexpr Duration patience_for_peer = std::chrono::seconds(15);
/// How long a start waits for a link that is being made.
inline constexpr Duration patience_for_link = std::chrono::seconds(10);
/// How long an incoming migration waits for data and replication to be fit for it. The guest is
/// suspended meanwhile.
inline constexpr Duration patience_for_data = std::chrono::seconds(10);

/// The volume that a disk spec asks for; without a number, the only one there is.
const drbd::Volume* requested_volume(const drbd::Resource& resource, std::optional<int> number);

/// Whether `decide` would look at the settings in force.
bool needs_settings(Purpose purpose, const drbd::Resource& resource);

Decision decide(const Request& request, const Situation& situation);

/// "the other node", or a peer's name where DRBD tells it (9 does, 8.4 does not), with its address
/// where the settings are known.
std::string name_of(const drbd::Peer& peer, const std::optional<drbd::Settings>& settings);

}  // namespace block_drbd::policy
