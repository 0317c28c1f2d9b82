// The text of `drbdsetup status`:
//
//   r1 role:Primary suspended:no
//     volume:0 minor:10 disk:UpToDate blocked:no
//     volume:1 minor:11 disk:UpToDate blocked:no
//     peer connection:Connected role:Secondary congested:no
//       volume:0 replication:Established peer-disk:UpToDate resync-suspended:no
//       volume:1 replication:Established peer-disk:UpToDate resync-suspended:no
//
// Every resource is followed by an empty line. Lines are wrapped at 80 columns, and drbd-utils up
// to 9.31 indent what comes after a line of exactly 80 as if it were its continuation. So the
// indentation says nothing here; the words and their order say all: what stands before the first
// peer is the resource's own, what stands after a peer is that peer's.
#include "drbd/readers.h"
#include "drbd/text.h"

namespace block_drbd::drbd {

namespace {

constexpr std::string_view status_as_text = "drbdsetup status";

/// The volume that the words are about. Without --verbose a single volume is not numbered: it is 0.
template <typename AnyVolume>
AnyVolume& current(std::vector<AnyVolume>& volumes) {
  return volumes.empty() ? volumes.emplace_back() : volumes.back();
}

template <typename Number>
bool set_number(Number& target, std::string_view value) {
  const auto number = number_from(value);
  if (number)
    target = *number;
  return number.has_value();
}

// These take over what a word says; other words are passed over. False: the value makes no sense.

bool set_own(Resource& resource, std::string_view key, std::string_view value) {
  if (key == "volume")
    return set_number(resource.volumes.emplace_back().number, value);
  if (key == "minor")
    return set_number(current(resource.volumes).minor, value);
  if (key == "disk")
    current(resource.volumes).disk = disk_from(value);
  else if (key == "client")
    current(resource.volumes).is_client = value == "yes";
  else if (key == "open")
    current(resource.volumes).is_open = value == "yes";
  else if (key == "quorum")
    current(resource.volumes).quorum = value != "no";
  else if (key == "role")
    resource.role = role_from(value);
  else if (key == "suspended" && value != "no") {
    resource.suspended = true;
    resource.suspended_by = value;
  }
  return true;
}

bool set_peers(Peer& peer, std::string_view key, std::string_view value) {
  if (key == "volume")
    return set_number(peer.volumes.emplace_back().number, value);
  if (key == "node-id")
    return set_number(peer.node_id, value);
  if (key == "connection")
    peer.connection = connection_from(value);
  else if (key == "role")
    peer.role = role_from(value);
  else if (key == "replication")
    current(peer.volumes).replication = replication_from(value);
  else if (key == "peer-disk")
    current(peer.volumes).disk = disk_from(value);
  else if (key == "peer-client")
    current(peer.volumes).is_client = value == "yes";
  else if (key == "resync-suspended")
    current(peer.volumes).paused_by = value == "no" ? "" : value;
  else if (key == "done")
    current(peer.volumes).in_sync = decimal_from(value);
  return true;
}

bool set(Resource& resource, std::string_view word) {
  const auto colon = word.find(':');
  if (colon == std::string_view::npos)
    return false;
  const auto key = word.substr(0, colon);
  const auto value = word.substr(colon + 1);
  return resource.peers.empty() ? set_own(resource, key, value)
                                : set_peers(resource.peers.back(), key, value);
}

bool is_name(std::string_view word) {
  return word.find(':') == std::string_view::npos;
}

}  // namespace

Result<std::vector<Resource>> read_status_text(std::string_view text) {
  const bool whole_lines = text.empty() || text.ends_with('\n');
  std::vector<Resource> resources;
  bool in_resource = false;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    std::string_view rest = line;
    std::string_view word = take_word(rest);
    if (word.empty()) {
      in_resource = false;
      continue;
    }
    if (line.front() == '#')
      continue;  // "# No currently configured DRBD found."
    if (!in_resource) {
      if (line.front() == ' ' || !is_name(word))
        return not_understood(status_as_text, line);
      resources.emplace_back().name = word;
      in_resource = true;
      word = take_word(rest);
    } else if (is_name(word)) {
      resources.back().peers.emplace_back().name = word;
      word = take_word(rest);
    }
    for (; !word.empty(); word = take_word(rest))
      if (!set(resources.back(), word))
        return not_understood(status_as_text, line);
  }
  if (in_resource || !whole_lines)
    return broke_off(status_as_text);
  return resources;
}

}  // namespace block_drbd::drbd
