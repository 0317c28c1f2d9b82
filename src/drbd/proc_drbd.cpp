// /proc/drbd. The first line is "version: 8.4.11 (api:1/proto:86-101)"; up to 8.4 a line follows
// for each minor:
//
//    0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
//
// where DRBD before 8.3 has `st:` for `ro:`, and a minor without disk and peer has nothing after
// `cs:Unconfigured`. While a minor is in resync its progress follows:
//
//    [=>..................] sync'ed: 10.3% (3776/4204)K
//    finish: 0:01:30 speed: 10,240 (10,240) K/sec
#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "drbd/readers.h"
#include "drbd/text.h"

namespace block_drbd::drbd {

namespace {

/// Takes "1:" off a minor's line.
std::optional<int> take_minor(std::string_view& line) {
  std::string_view word = take_word(line);
  if (!word.ends_with(':'))
    return std::nullopt;
  word.remove_suffix(1);
  return number_from(word);
}

/// The words of each minor's line.
class Lines {
 public:
  explicit Lines(std::string_view proc_drbd) {
    while (!proc_drbd.empty()) {
      std::string_view line = take_line(proc_drbd);
      if (const auto minor = take_minor(line))
        lines_.emplace(*minor, line);
    }
  }

  /// Empty when there is no such minor.
  std::string_view operator[](int minor) const {
    const auto found = lines_.find(minor);
    return found == lines_.end() ? std::string_view() : found->second;
  }

 private:
  std::unordered_map<int, std::string_view> lines_;
};

/// What stands after `key` in a minor's line, here and on the peer: "Primary/Secondary".
std::pair<std::string_view, std::string_view> pair_after(std::string_view key,
                                                         std::string_view line) {
  for (std::string_view word; !(word = take_word(line)).empty();)
    if (word.starts_with(key)) {
      word.remove_prefix(key.size());
      const auto slash = word.find('/');
      return {word.substr(0, slash), slash == std::string_view::npos ? "" : word.substr(slash + 1)};
    }
  return {};
}

/// `cs:` is the connection's state as long as it is none, and the replication's once it is.
std::optional<std::pair<Connection, Replication>> link_from(std::string_view word) {
  if (word == "Connected")
    return std::pair(Connection::Connected, Replication::Established);
  if (word == "WFConnection")
    return std::pair(Connection::Connecting, Replication::Off);
  if (const auto replication = replication_from(word); replication != Replication::Unknown)
    return std::pair(Connection::Connected, replication);
  if (const auto connection = connection_from(word); connection != Connection::Unknown)
    return std::pair(connection, Replication::Off);
  return std::nullopt;  // WFReportParams, a handshake, among others
}

/// "0:01:30" in seconds.
std::optional<int> seconds_of(std::string_view time) {
  std::int64_t seconds = 0;
  for (;;) {
    const auto end = time.find(':');
    const auto part = number_from(time.substr(0, end));
    if (!part || *part < 0)
      return std::nullopt;
    seconds = seconds * 60 + *part;
    if (!std::in_range<int>(seconds))
      return std::nullopt;
    if (end == std::string_view::npos)
      return static_cast<int>(seconds);
    time.remove_prefix(end + 1);
  }
}

/// Of a resource, that of any volume; what is not known of one is not known.
void take_role(Role& of_all, Role of_one) {
  if (of_all == Role::Secondary || of_one == Role::Primary)
    of_all = of_one;
}

/// The state of a resource with one peer, of which the volumes are known.
std::optional<Resource> read_connected(Resource known, const Lines& lines) {
  if (known.peers.size() != 1 || known.peers.front().volumes.size() != known.volumes.size())
    return std::nullopt;
  Peer& peer = known.peers.front();
  known.role = peer.role = Role::Secondary;
  std::optional<Connection> connection;
  for (Volume& volume : known.volumes) {
    const std::string_view line = lines[volume.minor];
    const auto link = link_from(pair_after("cs:", line).first);
    const auto there = std::ranges::find(peer.volumes, volume.number, &PeerVolume::number);
    if (!link || there == peer.volumes.end() || connection.value_or(link->first) != link->first)
      return std::nullopt;
    connection = link->first;
    there->replication = link->second;
    const auto [own_disk, disk] = pair_after("ds:", line);
    volume.disk = disk_from(own_disk);
    there->disk = disk_from(disk);
    const auto [own_role, role] = pair_after("ro:", line);
    volume.role = role_from(own_role);
    if (*volume.role == Role::Unknown)
      return std::nullopt;
    take_role(known.role, *volume.role);
    take_role(peer.role, role_from(role));
  }
  if (!connection)
    return std::nullopt;
  peer.connection = *connection;
  return known;
}

/// The state of a resource that is StandAlone, of which the volumes are known.
std::optional<Resource> read_alone(Resource known, const Lines& lines) {
  known.role = Role::Secondary;
  for (Volume& volume : known.volumes) {
    const std::string_view line = lines[volume.minor];
    volume.disk = disk_from(pair_after("ds:", line).first);
    volume.role = role_from(pair_after("ro:", line).first);
    if (pair_after("cs:", line).first != "StandAlone" || *volume.role == Role::Unknown)
      return std::nullopt;
    take_role(known.role, *volume.role);
  }
  return known;
}

/// Nothing is frozen, in resync or in a handshake.
bool is_quiet(std::string_view line) {
  const std::string_view connection = pair_after("cs:", line).first;
  std::string_view flags;
  for (std::string_view word; !(word = take_word(line)).empty();)
    flags = word;
  const bool is_still =
      connection == "Connected" || connection == "WFConnection" || connection == "StandAlone";
  return is_still && flags == "r-----";
}

}  // namespace

std::string read_version(std::string_view proc_drbd) {
  std::string_view line = take_line(proc_drbd);
  return std::string(take_word(line) == "version:" ? take_word(line) : std::string_view());
}

Generation read_generation(std::string_view proc_drbd) {
  const std::string version = read_version(proc_drbd);
  const int major = number_from(std::string_view(version).substr(0, version.find('.'))).value_or(0);
  if (major < 8)
    return Generation::Absent;
  return major == 8 ? Generation::V8 : Generation::V9;
}

std::map<int, Role> read_minor_roles(std::string_view proc_drbd) {
  std::map<int, Role> roles;
  while (!proc_drbd.empty()) {
    std::string_view line = take_line(proc_drbd);
    const auto minor = take_minor(line);
    if (!minor)
      continue;
    for (std::string_view word; !(word = take_word(line)).empty();)
      if (word.starts_with("ro:") || word.starts_with("st:"))
        roles[*minor] = role_from(word.substr(3, word.find('/') - 3));
  }
  return roles;
}

std::optional<Resource> read_again(Resource known, std::string_view proc_drbd) {
  return read_connected(std::move(known), Lines(proc_drbd));
}

std::vector<std::optional<Resource>> read_proc(const std::vector<Settings>& settings,
                                               std::string_view proc_drbd) {
  const Lines lines(proc_drbd);
  std::vector<std::optional<Resource>> resources;
  for (const Settings& each : settings) {
    Resource resource{.name = each.resource, .volumes = {}, .peers = {}};
    const bool is_alone = each.connections.empty();
    if (!is_alone)
      resource.peers.push_back({.name = "peer", .node_id = {}, .volumes = {}});
    bool is_told = !each.volumes.empty();
    for (const auto& [number, minor] : each.volumes) {
      is_told = is_told && is_quiet(lines[minor]);
      resource.volumes.push_back({.number = number, .minor = minor, .role = {}});
      if (!is_alone)
        resource.peers.front().volumes.push_back({.number = number});
    }
    if (!is_told)
      resources.emplace_back();
    else if (is_alone)
      resources.push_back(read_alone(std::move(resource), lines));
    else
      resources.push_back(read_connected(std::move(resource), lines));
    // The other end of a handshake that has just begun, or ended.
    if (auto& read = resources.back(); read && !is_alone) {
      const Peer& peer = read->peers.front();
      const bool is_seen = peer.role != Role::Unknown;
      if (peer.connection == Connection::StandAlone ||
          is_seen != (peer.connection == Connection::Connected))
        read.reset();
    }
  }
  return resources;
}

std::map<int, int> read_resync_times(std::string_view proc_drbd) {
  std::map<int, int> times;
  std::optional<int> minor;
  while (!proc_drbd.empty()) {
    const std::string_view line = take_line(proc_drbd);
    std::string_view rest = line;
    if (const auto next = take_minor(rest)) {
      minor = next;
      continue;
    }
    rest = line;
    if (!minor || take_word(rest) != "finish:")
      continue;
    if (const auto seconds = seconds_of(take_word(rest)))
      times[*minor] = *seconds;
  }
  return times;
}

}  // namespace block_drbd::drbd
