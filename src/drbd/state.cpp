#include "drbd/state.h"

#include <algorithm>
#include <iterator>

namespace block_drbd::drbd {

namespace {

template <typename Value>
struct Word {
  Value value;
  std::string_view word;
};

constexpr Word<Role> roles[] = {
    {Role::Primary, "Primary"},
    {Role::Secondary, "Secondary"},
};

constexpr Word<Disk> disks[] = {
    {Disk::Diskless, "Diskless"},       {Disk::Attaching, "Attaching"},
    {Disk::Detaching, "Detaching"},     {Disk::Failed, "Failed"},
    {Disk::Negotiating, "Negotiating"}, {Disk::Inconsistent, "Inconsistent"},
    {Disk::Outdated, "Outdated"},       {Disk::Consistent, "Consistent"},
    {Disk::UpToDate, "UpToDate"},
};

constexpr Word<Connection> connections[] = {
    {Connection::StandAlone, "StandAlone"},       {Connection::Disconnecting, "Disconnecting"},
    {Connection::Unconnected, "Unconnected"},     {Connection::Timeout, "Timeout"},
    {Connection::BrokenPipe, "BrokenPipe"},       {Connection::NetworkFailure, "NetworkFailure"},
    {Connection::ProtocolError, "ProtocolError"}, {Connection::TearDown, "TearDown"},
    {Connection::Connecting, "Connecting"},       {Connection::Connected, "Connected"},
};

constexpr Word<Replication> replications[] = {
    {Replication::Off, "Off"},
    {Replication::Established, "Established"},
    {Replication::StartingSyncS, "StartingSyncS"},
    {Replication::StartingSyncT, "StartingSyncT"},
    {Replication::WFBitMapS, "WFBitMapS"},
    {Replication::WFBitMapT, "WFBitMapT"},
    {Replication::WFSyncUUID, "WFSyncUUID"},
    {Replication::SyncSource, "SyncSource"},
    {Replication::SyncTarget, "SyncTarget"},
    {Replication::VerifyS, "VerifyS"},
    {Replication::VerifyT, "VerifyT"},
    {Replication::PausedSyncS, "PausedSyncS"},
    {Replication::PausedSyncT, "PausedSyncT"},
    {Replication::Ahead, "Ahead"},
    {Replication::Behind, "Behind"},
};

template <typename Value, std::size_t size>
std::string_view word_for(const Word<Value> (&words)[size], Value value) {
  const auto found =
      std::ranges::find_if(words, [&](const auto& each) { return each.value == value; });
  return found == std::end(words) ? "Unknown" : found->word;
}

template <typename Value, std::size_t size>
Value value_for(const Word<Value> (&words)[size], std::string_view word) {
  const auto found =
      std::ranges::find_if(words, [&](const auto& each) { return each.word == word; });
  return found == std::end(words) ? Value::Unknown : found->value;
}

}  // namespace

std::string_view to_string(Role role) {
  return word_for(roles, role);
}

std::string_view to_string(Disk disk) {
  return word_for(disks, disk);
}

std::string_view to_string(Connection connection) {
  return word_for(connections, connection);
}

std::string_view to_string(Replication replication) {
  return word_for(replications, replication);
}

Role role_from(std::string_view word) {
  return value_for(roles, word);
}

Disk disk_from(std::string_view word) {
  return value_for(disks, word);
}

Connection connection_from(std::string_view word) {
  return value_for(connections, word);
}

Replication replication_from(std::string_view word) {
  return value_for(replications, word);
}

const Volume* Resource::volume(int number) const {
  const auto found = std::find_if(volumes.begin(), volumes.end(),
                                  [&](const Volume& each) { return each.number == number; });
  return found == volumes.end() ? nullptr : &*found;
}

const Peer* Resource::peer(std::optional<int> node_id) const {
  const auto found = std::find_if(peers.begin(), peers.end(),
                                  [&](const Peer& each) { return each.node_id == node_id; });
  return found == peers.end() ? nullptr : &*found;
}

bool is_settled(const Peer& peer) {
  const bool replicating =
      !peer.volumes.empty() &&
      std::all_of(peer.volumes.begin(), peer.volumes.end(), [](const PeerVolume& volume) {
        return volume.replication != Replication::Unknown && volume.replication != Replication::Off;
      });
  return peer.connection == Connection::Connected && peer.role != Role::Unknown && replicating;
}

bool sees_every_peer(const Resource& resource) {
  return !resource.peers.empty() &&
         std::all_of(resource.peers.begin(), resource.peers.end(), is_settled);
}

bool is_secondary(const Resource& resource) {
  return resource.role == Role::Secondary &&
         std::all_of(resource.volumes.begin(), resource.volumes.end(), [](const Volume& volume) {
           return volume.role.value_or(Role::Secondary) == Role::Secondary;
         });
}

bool has_lost_one_of_many(const Resource& resource) {
  return resource.peers.size() > 1 && !sees_every_peer(resource);
}

bool sees_any_peer(const Resource& resource) {
  return std::any_of(resource.peers.begin(), resource.peers.end(), is_settled);
}

std::vector<const Peer*> primary_peers(const Resource& resource) {
  std::vector<const Peer*> primary;
  for (const Peer& peer : resource.peers)
    if (peer.role == Role::Primary)
      primary.push_back(&peer);
  return primary;
}

}  // namespace block_drbd::drbd
