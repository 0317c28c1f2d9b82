// What DRBD says of one resource: one model for every generation of DRBD.
//
// The words are DRBD's own (drbdsetup status, drbd.h). A word this program does not know becomes
// Unknown, never a guess: what is decided from Unknown is decided as if nothing had been said.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace block_drbd::drbd {

enum class Role { Unknown, Primary, Secondary };

enum class Disk {
  Unknown,  ///< DUnknown: the peer's disk while it cannot be seen
  Diskless,
  Attaching,
  Detaching,
  Failed,
  Negotiating,
  Inconsistent,
  Outdated,
  Consistent,
  UpToDate,
};

enum class Connection {
  Unknown,
  StandAlone,
  Disconnecting,
  Unconnected,
  Timeout,
  BrokenPipe,
  NetworkFailure,
  ProtocolError,
  TearDown,
  Connecting,
  Connected,
};

enum class Replication {
  Unknown,
  Off,
  Established,
  StartingSyncS,
  StartingSyncT,
  WFBitMapS,
  WFBitMapT,
  WFSyncUUID,
  SyncSource,
  SyncTarget,
  VerifyS,
  VerifyT,
  PausedSyncS,
  PausedSyncT,
  Ahead,
  Behind,
};

/// DRBD's own word for a value ("UpToDate", "SyncTarget"); Unknown is "Unknown".
std::string_view to_string(Role role);
std::string_view to_string(Disk disk);
std::string_view to_string(Connection connection);
std::string_view to_string(Replication replication);

/// The value for DRBD's word; Unknown for a word that is not known.
Role role_from(std::string_view word);
Disk disk_from(std::string_view word);
Connection connection_from(std::string_view word);
Replication replication_from(std::string_view word);

/// One replicated device of the resource on this node.
struct Volume {
  int number = 0;
  int minor = -1;
  Disk disk = Disk::Unknown;
  bool quorum = true;  ///< false where DRBD 9 says that it is lost
  /// DRBD 8.4 keeps a role per volume, and `status` does not show it: absent until it is read from
  /// /proc/drbd. On DRBD 9 the role is the resource's and this stays absent.
  std::optional<Role> role;
  bool is_client = false;  ///< DRBD 9: it has no disk here, and that is meant
  /// DRBD 9 with newer tools: somebody has it open. False also where that is not told.
  bool is_open = false;
};

/// One volume as a peer has it.
struct PeerVolume {
  int number = 0;
  Replication replication = Replication::Unknown;
  Disk disk = Disk::Unknown;
  std::optional<double> in_sync{};    ///< percent, during a resync
  std::optional<int> seconds_left{};  ///< of the resync, where it is told
  bool is_client = false;             ///< DRBD 9: it has no disk there, and that is meant
  /// What holds a resync up, in DRBD's words: "user", "peer" (a person here, there), "dependency"
  /// (resync-after another one), or several; empty when nothing does.
  std::string paused_by{};
};

/// A node on the other end of a connection.
struct Peer {
  std::string name;            ///< DRBD 9: the connection's name; 8.4 does not tell: "peer"
  std::optional<int> node_id;  ///< DRBD 9 only
  Connection connection = Connection::Unknown;
  Role role = Role::Unknown;
  std::vector<PeerVolume> volumes;
};

/// One resource on this node.
struct Resource {
  std::string name;
  Role role = Role::Unknown;   ///< 8.4: Primary when any volume is
  bool suspended = false;      ///< I/O is frozen
  std::string suspended_by{};  ///< DRBD's words for why: "user", "no-data", "fencing", "quorum"
  std::vector<Volume> volumes;
  /// 8.4 lists no peer at all while StandAlone; 9 lists every configured one.
  std::vector<Peer> peers;

  const Volume* volume(int number) const;
  /// The peer of this number; on 8.4, where it has none, the only one.
  const Peer* peer(std::optional<int> node_id) const;
};

/// The peer's state is beyond doubt: the handshake is over for every volume. 8.4 shows a handshake
/// in progress as Connected, so a known role and a replication that runs are asked for too.
bool is_settled(const Peer& peer);

/// DRBD 8.4 lists no peer at all on a resource that is StandAlone: nobody can be seen then.
bool sees_every_peer(const Resource& resource);
bool sees_any_peer(const Resource& resource);
/// DRBD 9. With one peer, a Primary that is seen is the only one there can be.
bool has_lost_one_of_many(const Resource& resource);

/// On this node, all of it. DRBD 8.4 tells roles twice, the volumes' own a moment later.
bool is_secondary(const Resource& resource);

std::vector<const Peer*> primary_peers(const Resource& resource);

}  // namespace block_drbd::drbd
