#include "drbd_model.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

namespace block_drbd::simulation {

namespace code = drbd::code;

namespace {

constexpr Time ping_interval = seconds(10);
constexpr Time ping_timeout = milliseconds(500);

void add_data(std::vector<int>& data, const std::vector<int>& more) {
  for (std::size_t writer = 0; writer < data.size(); ++writer)
    data[writer] = std::max(data[writer], more[writer]);
}

}  // namespace

drbd::Answer refusal(int code) {
  if (code == code::no_up_to_date)
    return {.exit_code = 17,
            .code = code,
            .text = "State change failed: (-2) Need access to UpToDate data"};
  const std::string number = "(" + std::to_string(code) + ")";
  return code < 0 ? drbd::Answer{.exit_code = 11,
                                 .code = code,
                                 .text = "State change failed: " + number + " refused"}
                  : drbd::Answer{
                        .exit_code = 10, .code = code, .text = "Failure: " + number + " refused"};
}

DrbdModel::DrbdModel(World& world, DrbdShape shape)
    : world_(world),
      shape_(shape),
      configured_(static_cast<std::size_t>(shape.resources), shape.configured_two_primaries),
      on_(static_cast<std::size_t>(shape.nodes), true),
      boots_(static_cast<std::size_t>(shape.nodes), 0),
      cut_(static_cast<std::size_t>(shape.nodes * shape.nodes), false),
      logs_(static_cast<std::size_t>(shape.nodes)),
      sites_(static_cast<std::size_t>(shape.resources * shape.nodes)),
      sides_(static_cast<std::size_t>(shape.resources * shape.nodes * shape.nodes)) {
  for (Site& each : sites_) {
    each.volumes.resize(static_cast<std::size_t>(shape.volumes));
    each.data.resize(static_cast<std::size_t>(shape.nodes));
  }
  for (Side& each : sides_) {
    each.link = Link::Connected;
    each.two_primaries = shape.configured_two_primaries;
  }
}

int DrbdModel::index_of(const std::string& name) const {
  if (name.size() == 2 && name[0] == 'r' && name[1] >= '0' && name[1] < '0' + shape_.resources)
    return name[1] - '0';
  return -1;
}

const DrbdModel::Site& DrbdModel::site(int resource, int node) const {
  const int index = resource * shape_.nodes + node;
  return sites_[static_cast<std::size_t>(index)];
}

const DrbdModel::Side& DrbdModel::side(int resource, int node, int peer) const {
  const int index = (resource * shape_.nodes + node) * shape_.nodes + peer;
  return sides_[static_cast<std::size_t>(index)];
}

bool DrbdModel::is_primary(int resource, int node, int volume) const {
  return site(resource, node).volumes[static_cast<std::size_t>(volume)].primary;
}

bool DrbdModel::is_primary(int resource, int node) const {
  const auto& volumes = site(resource, node).volumes;
  return std::any_of(volumes.begin(), volumes.end(),
                     [](const Volume& volume) { return volume.primary; });
}

bool DrbdModel::sees_each_other(int resource, int a, int b) const {
  return side(resource, a, b).link == Link::Connected &&
         side(resource, b, a).link == Link::Connected && reachable(a, b);
}

bool DrbdModel::is_ahead(int resource, int node, int peer) const {
  for (const int each : {node, peer})
    if (is_diskless(each) && !is_primary(resource, each))
      return false;
  const auto& mine = site(resource, node).data;
  const auto& other = site(resource, peer).data;
  for (std::size_t writer = 0; writer < mine.size(); ++writer)
    if (mine[writer] > other[writer])
      return true;
  return false;
}

bool DrbdModel::reads_old_data(int resource, int node, int peer) const {
  if (!has_quorum(resource, node) || !has_data(resource, node, 0))
    return false;  // it gets errors, or waits
  if (is_good(resource, node, 0) || is_diskless(node))
    return is_ahead(resource, peer, node);
  for (int p = 0; p < shape_.nodes; ++p)  // it reads through those that are better
    if (p != node && sees_each_other(resource, node, p) && is_good(resource, p, 0) &&
        !is_ahead(resource, peer, p))
      return false;
  return true;
}

bool DrbdModel::configured_two_primaries(int resource) const {
  return configured_[static_cast<std::size_t>(resource)];
}

void DrbdModel::set_configured_two_primaries(int resource, bool allowed) {
  configured_[static_cast<std::size_t>(resource)] = allowed;
}

drbd::Resource DrbdModel::status(int resource, int node) {
  const bool v9 = shape_.generation == 9;
  const Site& here = site(resource, node);
  const auto disk_of = [&](int of, int volume) {
    const Site& there = site(resource, of);
    return is_diskless(of)                                         ? drbd::Disk::Diskless
           : !there.volumes[static_cast<std::size_t>(volume)].good ? drbd::Disk::Inconsistent
           : there.outdated                                        ? drbd::Disk::Outdated
                                                                   : drbd::Disk::UpToDate;
  };
  drbd::Resource shown;
  shown.name = name_of(resource);
  shown.role = is_primary(resource, node) ? drbd::Role::Primary : drbd::Role::Secondary;
  shown.suspended = is_frozen(resource, node);
  for (int v = 0; v < shape_.volumes; ++v) {
    const Volume& volume = here.volumes[static_cast<std::size_t>(v)];
    drbd::Volume one;
    one.number = v;
    one.minor = minor_of(resource, v);
    one.disk = disk_of(node, v);
    one.quorum = has_quorum(resource, node);
    one.is_open = shape_.tells_open && volume.openers > 0;
    if (!v9)
      one.role = volume.primary ? drbd::Role::Primary : drbd::Role::Secondary;
    shown.volumes.push_back(one);
  }
  for (int p = 0; p < shape_.nodes; ++p) {
    if (p == node)
      continue;
    const Side& end = side(resource, node, p);
    if (!v9 && end.link == Link::StandAlone && !end.disconnecting)
      continue;
    drbd::Peer peer;
    peer.name = v9 ? "node" + std::to_string(p) : "peer";
    if (v9)
      peer.node_id = p;
    const bool connected = end.link == Link::Connected;
    switch (end.link) {
      case Link::StandAlone:
        peer.connection =
            end.disconnecting ? drbd::Connection::Disconnecting : drbd::Connection::StandAlone;
        break;
      case Link::Connecting:
        peer.connection = drbd::Connection::Connecting;
        break;
      case Link::Handshake:  // 8.4 does not tell
        peer.connection = v9 ? drbd::Connection::Connecting : drbd::Connection::Connected;
        break;
      case Link::Connected:
        peer.connection = drbd::Connection::Connected;
        break;
    }
    if (connected)
      peer.role = end.peer_primary ? drbd::Role::Primary : drbd::Role::Secondary;
    for (int v = 0; v < shape_.volumes; ++v) {
      drbd::PeerVolume volume;
      volume.number = v;
      volume.replication = drbd::Replication::Off;
      if (connected) {
        const bool there = side(resource, p, node).syncing;
        volume.replication = end.syncing ? drbd::Replication::SyncTarget
                             : there     ? drbd::Replication::SyncSource
                                         : drbd::Replication::Established;
        volume.disk = disk_of(p, v);
      }
      peer.volumes.push_back(volume);
    }
    shown.peers.push_back(std::move(peer));
  }
  return shown;
}

drbd::Settings DrbdModel::settings(int resource, int node) const {
  const bool v9 = shape_.generation == 9;
  drbd::Settings shown;
  shown.resource = name_of(resource);
  shown.quorum = shape_.quorum;
  for (int p = 0; p < shape_.nodes; ++p) {
    const Side& end = side(resource, node, p);
    if (p == node || (!v9 && end.link == Link::StandAlone))
      continue;
    drbd::ConnectionSettings connection;
    if (v9) {
      connection.peer = "node" + std::to_string(p);
      connection.node_id = p;
    }
    const auto address = [&](int of) {
      return "ipv4:10.0.0." + std::to_string(of + 1) + ":" + std::to_string(7700 + resource);
    };
    connection.local_address = address(node);
    connection.peer_address = address(p);
    connection.two_primaries = end.two_primaries;
    shown.connections.push_back(std::move(connection));
  }
  return shown;
}

void DrbdModel::notify(int resource, int node) {
  if (changed)
    changed(resource, node);
}

/// The peers that can be reached learn the role of `node`.
void DrbdModel::announce(int resource, int node) {
  for (int p = 0; p < shape_.nodes; ++p)
    if (p != node && sees_each_other(resource, node, p)) {
      side(resource, p, node).peer_primary = is_primary(resource, node);
      notify(resource, p);
    }
}

void DrbdModel::set_role(int resource, int node, int volume, bool primary) {
  auto& volumes = site(resource, node).volumes;
  if (shape_.generation == 9)
    for (Volume& each : volumes)
      each.primary = primary;
  else
    volumes[static_cast<std::size_t>(volume)].primary = primary;
  if (!primary)
    site(resource, node).by_command = false;
  else if (is_diskless(node))
    std::ranges::fill(site(resource, node).data, 0);
  see_through_peers(resource);
  world_.tell(node, "drbd", name_of(resource), "/", volume,
              primary ? " is Primary" : " is Secondary");
  if (primary && begins_generation(resource, node))
    wrote(resource, node);
  announce(resource, node);
  notify(resource, node);
  if (check)
    check();
}

/// Towards any peer.
bool DrbdModel::allows_two_primaries(int resource, int node) const {
  for (int p = 0; p < shape_.nodes; ++p)
    if (p != node && side(resource, node, p).two_primaries)
      return true;
  return false;
}

/// DRBD 9 asks every node that its peers are connected to, too. Two nodes without disks may both be
/// Primary through one that has one, if that is allowed towards it [3].
bool DrbdModel::reaches_hidden_primary(int resource, int node) const {
  for (int p = 0; p < shape_.nodes; ++p) {
    if (p == node || !sees_each_other(resource, node, p))
      continue;
    for (int q = 0; q < shape_.nodes; ++q)
      if (q != node && q != p && sees_each_other(resource, p, q) &&
          !sees_each_other(resource, node, q) && is_primary(resource, q) &&
          !(is_diskless(node) && is_diskless(q) && side(resource, node, p).two_primaries &&
            side(resource, q, p).two_primaries))
        return true;
  }
  return false;
}

std::optional<drbd::Answer> DrbdModel::try_promote(int resource, int node, int volume) {
  auto answer = take_role(resource, node, volume);
  if (answer && answer->ok())
    site(resource, node).by_command = true;
  return answer;
}

std::optional<drbd::Answer> DrbdModel::take_role(int resource, int node, int volume) {
  Site& here = site(resource, node);
  if (!here.up)
    return refusal(code::resource_unknown);
  if (here.volumes[static_cast<std::size_t>(volume)].primary)
    return drbd::Answer{};
  bool good = is_good(resource, node, volume);
  bool unanswered = false;
  for (int p = 0; p < shape_.nodes; ++p) {
    if (p == node || side(resource, node, p).link != Link::Connected)
      continue;
    good = good || is_good(resource, p, volume);
    if (!sees_each_other(resource, node, p)) {
      miss(resource, node, p, ping_timeout);
      unanswered = true;
    }
  }
  if (unanswered)
    return std::nullopt;
  if (!good)
    return refusal(code::no_up_to_date);
  if (!has_quorum(resource, node))
    return refusal(code::no_quorum);
  if (shape_.generation == 9 && reaches_hidden_primary(resource, node))
    return refusal(allows_two_primaries(resource, node) ? code::not_strongly_connected
                                                        : code::two_primaries);
  for (int p = 0; p < shape_.nodes; ++p) {
    if (p == node || side(resource, node, p).link != Link::Connected || !is_primary(resource, p))
      continue;
    if (!side(resource, node, p).two_primaries)
      return refusal(shape_.generation == 9 || is_primary(resource, p, volume)
                         ? code::two_primaries
                         : code::other_volume_primary_on_peer);
    if (!side(resource, p, node).two_primaries)
      return refusal(code::refused_by_peer);
  }
  for (int p = 0; p < shape_.nodes; ++p)  // [9]
    if (p != node && side(resource, node, p).link == Link::Connected &&
        !side(resource, p, node).two_primaries && is_read_only_open(resource, p))
      return refusal(code::refused_by_peer);
  set_role(resource, node, volume, true);
  return drbd::Answer{};
}

drbd::Answer DrbdModel::demote(int resource, int node, int volume) {
  Site& here = site(resource, node);
  if (!here.up)
    return refusal(code::resource_unknown);
  if (!here.volumes[static_cast<std::size_t>(volume)].primary)
    return {};
  if (shape_.generation == 9 ? is_written_to(resource, node) : openers(resource, node, volume) > 0)
    return refusal(code::held_open);
  set_role(resource, node, volume, false);
  if (demoted)
    demoted(resource, node, volume);
  return {};
}

drbd::Answer DrbdModel::set_two_primaries(int resource, int node, int peer, bool allowed) {
  Side& here = side(resource, node, peer);
  if (!site(resource, node).up)
    return refusal(code::resource_unknown);
  if (here.link == Link::StandAlone && shape_.generation != 9)
    return refusal(code::connection_unknown);
  const bool there_primary =
      here.link == Link::Connected &&
      (sees_each_other(resource, node, peer) ? is_primary(resource, peer) : here.peer_primary);
  if (here.two_primaries && !allowed && there_primary && is_primary(resource, node))
    return refusal(code::both_primary);
  if (here.two_primaries == allowed)
    return {};
  here.two_primaries = allowed;
  world_.tell(node, "drbd", name_of(resource), " towards node", peer, ": allow-two-primaries ",
              allowed ? "yes" : "no");
  if (sees_each_other(resource, node, peer)) {
    side(resource, peer, node).two_primaries = allowed;
    notify(resource, peer);
  } else if (here.link == Link::Connected || here.link == Link::Handshake) {
    here.update_under_way = true;
  } else if (allowed && lost_update) {
    lost_update(resource);  // the link was lost since it was looked at
  }
  notify(resource, node);
  return {};
}

bool DrbdModel::open(int resource, int node, int volume, bool writes) {
  Volume& here = site(resource, node).volumes[static_cast<std::size_t>(volume)];
  if (!here.primary)
    return false;
  ++here.openers;
  here.writable = here.writable || writes;
  return true;
}

std::optional<bool> DrbdModel::try_open(int resource, int node, int volume, bool writes) {
  Site& here = site(resource, node);
  if (is_primary(resource, node, volume) || !here.up || shape_.generation != 9 ||
      !shape_.auto_promote)
    return here.up && open(resource, node, volume, writes);
  if (writes) {
    const auto answer = take_role(resource, node, volume);
    return answer ? std::optional(answer->ok() && open(resource, node, volume, true))
                  : std::nullopt;
  }
  for (int p = 0; p < shape_.nodes; ++p)
    if (p != node && side(resource, node, p).peer_primary)
      return false;
  if (!has_quorum(resource, node) || !has_data(resource, node, volume))
    return false;
  ++here.volumes[static_cast<std::size_t>(volume)].openers;
  return true;
}

void DrbdModel::close(int resource, int node, int volume) {
  Site& site = this->site(resource, node);
  Volume& here = site.volumes[static_cast<std::size_t>(volume)];
  if (--here.openers == 0)
    here.writable = false;
  if (shape_.generation != 9)  // 8.4 has no event for it
    return;
  if (shape_.auto_promote && here.primary && !site.by_command && !is_written_to(resource, node)) {
    set_role(resource, node, volume, false);
    if (demoted)
      demoted(resource, node, volume);
  }
  notify(resource, node);
}

/// Somebody has the resource open who may write: DRBD 9 counts all of a volume as such, as long as
/// one of them was [9].
bool DrbdModel::is_written_to(int resource, int node) const {
  const auto& volumes = site(resource, node).volumes;
  return std::any_of(volumes.begin(), volumes.end(),
                     [](const Volume& volume) { return volume.writable; });
}

bool DrbdModel::is_read_only_open(int resource, int node) const {
  const auto& volumes = site(resource, node).volumes;
  return shape_.generation == 9 &&
         std::any_of(volumes.begin(), volumes.end(),
                     [](const Volume& volume) { return volume.openers > 0 && !volume.writable; });
}

/// Its own, or a connected peer's [1].
bool DrbdModel::has_data(int resource, int node, int volume) const {
  if (is_good(resource, node, volume))
    return true;
  for (int p = 0; p < shape_.nodes; ++p)
    if (p != node && sees_each_other(resource, node, p) && is_good(resource, p, volume))
      return true;
  return false;
}

// Quorum.

/// Of the nodes with disks, those that are connected, itself included [5].
int DrbdModel::votes(int resource, int node) const {
  int votes = 0;
  for (int p = 0; p < shape_.nodes; ++p)
    if (!is_diskless(p) && (p == node || side(resource, node, p).link == Link::Connected))
      ++votes;
  return votes;
}

bool DrbdModel::count_quorum(int resource, int node) const {
  const auto lone = static_cast<int>(shape_.diskless.size());
  const int voters = shape_.nodes - lone;
  const int needed =
      shape_.quorum == "majority" ? voters / 2 + 1 : std::atoi(shape_.quorum.c_str());
  const int votes = this->votes(resource, node);
  if (votes >= needed)
    return true;
  int tie_breakers = 0;
  for (const int p : shape_.diskless) {
    const bool here = p == node || side(resource, node, p).link == Link::Connected;
    tie_breakers += here ? 1 : 0;
  }
  // Half of the nodes keep a quorum that they had, never get one [6].
  if (voters % 2 == 0 && votes == needed - 1 && tie_breakers >= lone / 2 + 1 &&
      site(resource, node).quorum)
    return true;
  // Without a disk of its own it takes a peer's word for it [7].
  if (is_diskless(node))
    for (int p = 0; p < shape_.nodes; ++p)
      if (side(resource, node, p).link == Link::Connected && is_good(resource, p, 0) &&
          site(resource, p).quorum)
        return true;
  return false;
}

/// After something has changed on which quorum depends, or the way of a write to its data.
void DrbdModel::count_votes(int resource) {
  if (shape_.quorum == "off" && shape_.diskless.empty())
    return;
  for (const bool without_disk : {false, true})
    for (int n = 0; n < shape_.nodes; ++n) {
      Site& here = site(resource, n);
      if (is_diskless(n) != without_disk || !is_on(n))
        continue;
      const bool quorum = count_quorum(resource, n);
      if (std::exchange(here.quorum, quorum) == quorum || shape_.quorum == "off")
        continue;
      world_.tell(n, "drbd", name_of(resource), quorum ? " has quorum" : " has lost quorum");
      notify(resource, n);
    }
  for (int n = 0; n < shape_.nodes; ++n)
    if (is_written && is_written(resource, n))
      wrote(resource, n);
  if (check)
    check();
}

bool DrbdModel::completes_writes(int resource, int node) const {
  if (shape_.quorum == "off")
    return !is_diskless(node) || has_data(resource, node, 0);
  for (int p = 0; p < shape_.nodes; ++p)
    if (p != node && side(resource, node, p).link == Link::Connected &&
        !sees_each_other(resource, node, p))
      return false;
  return has_quorum(resource, node) && has_data(resource, node, 0);
}

int DrbdModel::openers(int resource, int node, int volume) const {
  return site(resource, node).volumes[static_cast<std::size_t>(volume)].openers;
}

void DrbdModel::wrote(int resource, int node) {
  if (!completes_writes(resource, node))
    return;
  const auto writer = static_cast<std::size_t>(node);
  int bout = 1;
  for (int n = 0; n < shape_.nodes; ++n)
    bout = std::max(bout, site(resource, n).data[writer] + 1);
  if (is_good(resource, node, 0) || is_diskless(node))  // else its peers have it all, not itself
    site(resource, node).data[writer] = bout;
  for (int p = 0; p < shape_.nodes; ++p)
    // Until a loss is noticed, writes wait for the peer's answer. A peer that lacks earlier ones
    // gets the new generation only with them.
    if (p != node && side(resource, node, p).link == Link::Connected && is_good(resource, p, 0))
      site(resource, p).data[writer] = bout;
  see_through_peers(resource);
  outdate_those_left_behind(resource, node);
}

/// A node without disk sees what those have that it is connected to.
void DrbdModel::see_through_peers(int resource) {
  for (const int d : shape_.diskless)
    for (int p = 0; p < shape_.nodes; ++p)
      if (p != d && side(resource, d, p).link == Link::Connected && is_good(resource, p, 0))
        add_data(site(resource, d).data, site(resource, p).data);
}

/// DRBD 9: who has lost the writer knows it through another peer, and may not become Primary [4].
void DrbdModel::outdate_those_left_behind(int resource, int node) {
  if (shape_.generation != 9)
    return;
  for (int p = 0; p < shape_.nodes; ++p)
    for (int q = 0; q < shape_.nodes; ++q)
      if (p != node && q != node && p != q && !is_diskless(p) &&
          !sees_each_other(resource, node, p) && sees_each_other(resource, node, q) &&
          sees_each_other(resource, q, p) &&
          // The writer's own disk may be no good: then its peers alone have what it writes.
          (is_ahead(resource, node, p) || is_ahead(resource, q, p)) &&
          !std::exchange(site(resource, p).outdated, true)) {
        world_.tell(p, "drbd", name_of(resource), " is Outdated: node", q, " has newer data");
        notify(resource, p);
      }
}

// Connections.

void DrbdModel::look_for_partners(int resource) {
  for (int a = 0; a < shape_.nodes; ++a)
    for (int b = a + 1; b < shape_.nodes; ++b)
      if (reachable(a, b) && side(resource, a, b).link == Link::Connecting &&
          side(resource, b, a).link == Link::Connecting) {
        const std::uint64_t epoch = ++side(resource, a, b).epoch;
        ++side(resource, b, a).epoch;
        world_.scheduler().after(milliseconds(20 + 200 * world_.choices().below(10)), [=, this] {
          if (side(resource, a, b).epoch == epoch && reachable(a, b) &&
              side(resource, a, b).link == Link::Connecting &&
              side(resource, b, a).link == Link::Connecting)
            begin_handshake(resource, a, b);
        });
      }
}

void DrbdModel::begin_handshake(int resource, int a, int b) {
  for (const auto& [node, peer] : {std::pair(a, b), std::pair(b, a)}) {
    Side& end = side(resource, node, peer);
    end.link = Link::Handshake;
    end.sent_two_primaries = end.two_primaries;
    end.update_under_way = false;
    notify(resource, node);
  }
  const std::uint64_t epoch = side(resource, a, b).epoch;
  world_.scheduler().after(milliseconds(5 + 20 * world_.choices().below(20)), [=, this] {
    if (side(resource, a, b).epoch == epoch && side(resource, a, b).link == Link::Handshake &&
        side(resource, b, a).link == Link::Handshake)
      end_handshake(resource, a, b);
  });
}

/// Whether the two may connect for all the Primaries that they would see through each other [15].
DrbdModel::Meeting DrbdModel::meet_primaries(int resource, int a, int b) {
  if (shape_.generation != 9 || shape_.nodes == 2)
    return Meeting::Fine;
  const auto connected = [&](int n, int p) {
    return n == p || std::minmax(n, p) == std::minmax(a, b) || sees_each_other(resource, n, p);
  };
  std::vector<int> primaries;
  for (int n = 0; n < shape_.nodes; ++n)
    if (is_primary(resource, n) && (connected(a, n) || connected(b, n)))
      primaries.push_back(n);
  if (primaries.size() < 2)
    return Meeting::Fine;
  const int asking = world_.choices().one_in(2) ? a : b;
  const auto allows = [&](int p) { return side(resource, asking, p).two_primaries; };
  std::vector<int> others;
  for (int n = 0; n < shape_.nodes; ++n)
    if (n != asking)
      others.push_back(n);
  if (!allows_two_primaries(resource, asking))
    return Meeting::Refused;
  const auto sees_all = [&](int n) {
    return std::all_of(primaries.begin(), primaries.end(),
                       [&](int primary) { return connected(n, primary); });
  };
  if (std::all_of(primaries.begin(), primaries.end(), sees_all))
    return Meeting::Fine;
  const bool behind_servers =
      (!is_primary(resource, asking) || is_diskless(asking)) &&
      std::all_of(others.begin(), others.end(), [&](int n) { return !sees_all(n) || allows(n); }) &&
      (sees_all(asking) || std::any_of(others.begin(), others.end(), sees_all));
  return behind_servers ? Meeting::Fine : Meeting::Later;
}

void DrbdModel::end_handshake(int resource, int a, int b) {
  Side& one = side(resource, a, b);
  Side& other = side(resource, b, a);
  if (!reachable(a, b)) {
    lose(resource, a, b, Link::Connecting);
    lose(resource, b, a, Link::Connecting);
    return;
  }
  // Each compares what the peer sent with what it has by now.
  const bool one_objects = other.sent_two_primaries != one.two_primaries;
  const bool other_objects = one.sent_two_primaries != other.two_primaries;
  if (one_objects || other_objects) {
    // Who ends the connection first may keep the other one from seeing why.
    const std::uint32_t unheard = world_.faults.half_heard ? world_.choices().below(3) : 0;
    for (const auto& [objects, node, peer] :
         {std::tuple(one_objects && (unheard != 1 || !other_objects), a, b),
          std::tuple(other_objects && (unheard != 2 || !one_objects), b, a)}) {
      if (objects)
        part(resource, node, peer);
      else
        lose(resource, node, peer, Link::Connecting);
    }
    return;
  }
  // Who reads on a Secondary keeps a Primary away: the one that began the connection decides how it
  // goes on [9].
  const bool reader = (is_primary(resource, a) && is_read_only_open(resource, b)) ||
                      (is_primary(resource, b) && is_read_only_open(resource, a));
  if (reader && !one.two_primaries) {
    const bool gives_up = world_.choices().one_in(2);
    for (const auto& [node, peer] : {std::pair(a, b), std::pair(b, a)})
      if (gives_up)
        stand_alone(resource, node, peer, "the Secondary is open for reading");
      else
        lose(resource, node, peer, Link::Connecting);
    return;
  }
  if (const Meeting meeting = meet_primaries(resource, a, b); meeting != Meeting::Fine) {
    if (meeting == Meeting::Refused && met_primaries)
      met_primaries(resource);
    for (const auto& [node, peer] : {std::pair(a, b), std::pair(b, a)})
      if (meeting == Meeting::Refused)
        stand_alone(resource, node, peer, "more than one Primary");
      else
        lose(resource, node, peer, Link::Connecting);
    return;
  }
  const bool both_primary = is_primary(resource, a) && is_primary(resource, b);
  const bool one_ahead = is_ahead(resource, a, b);
  const bool other_ahead = is_ahead(resource, b, a);
  const bool split = one_ahead && other_ahead;
  // One whose own disk is Inconsistent or Outdated may get what it lacks [14].
  const auto objects = [&](int node) {
    return is_primary(resource, node) && (is_diskless(node) || has_a_good_disk(resource, node));
  };
  const bool stale_primary = (one_ahead && objects(b)) || (other_ahead && objects(a));
  if (split || stale_primary || (both_primary && !one.two_primaries)) {
    const char* why = split           ? "split brain"
                      : stale_primary ? "the Primary's data is the older"
                                      : "both are Primary";
    for (const auto& [node, peer] : {std::pair(a, b), std::pair(b, a)}) {
      if (split)
        log(node, device_of(resource, peer),
            "Split-Brain detected but unresolved, dropping connection!");
      stand_alone(resource, node, peer, why);
    }
    return;
  }
  one.link = other.link = Link::Connected;
  one.peer_primary = is_primary(resource, b);
  other.peer_primary = is_primary(resource, a);
  for (Side* end : {&one, &other})  // a change that was sent behind the handshake
    if (end->update_under_way) {
      end->update_under_way = false;
      (end == &one ? other : one).two_primaries = end->two_primaries;
    }
  for (const auto& [node, peer] : {std::pair(a, b), std::pair(b, a)})
    if (shape_.generation == 9)
      log(node, connection_of(resource, peer),
          is_primary(resource, peer)
              ? "conn( Connecting -> Connected ) peer( Unknown -> Primary )"
              : "conn( Connecting -> Connected ) peer( Unknown -> Secondary )");
  world_.tell(a, "drbd", name_of(resource), " is connected to node", b);
  if (is_diskless(a) || is_diskless(b)) {
    // What it wrote elsewhere, the other one lacks, and gets from those that have it [2].
    if (one_ahead || other_ahead)
      site(resource, one_ahead ? b : a).outdated = true;
    for (int n = 0; n < shape_.nodes; ++n)
      reconcile(resource, n);
    see_through_peers(resource);
  } else {
    const bool one_unfinished = !site(resource, a).volumes.front().good;
    const bool other_unfinished = !site(resource, b).volumes.front().good;
    if (one_ahead || (other_unfinished && !one_unfinished))
      begin_sync(resource, a, b);
    else if (other_ahead || (one_unfinished && !other_unfinished))
      begin_sync(resource, b, a);
    else if (!site(resource, a).outdated || !site(resource, b).outdated)
      site(resource, a).outdated = site(resource, b).outdated = false;
  }
  if (shape_.generation == 9)  // who is connected again hears of a Primary behind the other [4]
    for (int n = 0; n < shape_.nodes; ++n)
      if (is_primary(resource, n))
        outdate_those_left_behind(resource, n);
  notify(resource, a);
  notify(resource, b);
  count_votes(resource);
  if (check)
    check();
}

/// DRBD 9: what a lost peer gave to `node`, but not to others, those get from it now.
void DrbdModel::reconcile(int resource, int node) {
  if (is_diskless(node))
    return;
  for (int q = 0; q < shape_.nodes; ++q)
    if (q != node && !is_diskless(q) && sees_each_other(resource, node, q) &&
        !side(resource, q, node).syncing && site(resource, node).volumes.front().good &&
        is_ahead(resource, node, q) && !is_primary(resource, q))
      begin_sync(resource, node, q);
}

void DrbdModel::begin_sync(int resource, int source, int target) {
  Side& end = side(resource, target, source);
  end.syncing = true;
  for (Volume& volume : site(resource, target).volumes)
    volume.good = false;
  const std::uint64_t epoch = end.epoch;
  world_.scheduler().after(milliseconds(200 + 2000 * world_.choices().below(6)), [=, this] {
    Side& then = side(resource, target, source);
    if (then.epoch != epoch || !then.syncing)
      return;
    then.syncing = false;
    Site& here = site(resource, target);
    const Site& from = site(resource, source);
    for (Volume& volume : here.volumes)
      volume.good = true;
    add_data(here.data, from.data);
    here.outdated = from.outdated;
    world_.tell(target, "drbd", name_of(resource), " is synchronised from node", source);
    notify(resource, target);
    notify(resource, source);
    count_votes(resource);
  });
}

void DrbdModel::lose(int resource, int node, int peer, Link link) {
  Side& end = side(resource, node, peer);
  if (end.link == Link::StandAlone || (end.link == link && link == Link::Connecting))
    return;
  world_.tell(node, "drbd", name_of(resource), " lost the connection to node", peer);
  if (end.peer_primary && shape_.generation == 9)
    log(node, connection_of(resource, peer),
        "conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )");
  end.link = link;
  ++end.epoch;
  if (std::exchange(end.update_under_way, false) && lost_update)
    lost_update(resource);
  end.peer_primary = false;
  reconcile(resource, node);
  end.syncing = false;  // it stays Inconsistent until it is synchronised
  count_votes(resource);
  if (begins_generation(resource, node) || (is_written && is_written(resource, node)))
    wrote(resource, node);
  notify(resource, node);
  // A connection that only one end has ends at the other one as soon as that hears of it.
  if (side(resource, peer, node).link >= Link::Handshake)
    miss(resource, peer, node, reachable(node, peer) ? milliseconds(100) : ping_interval);
  look_for_partners(resource);
}

void DrbdModel::stand_alone(int resource, int node, int peer, const char* why) {
  Side& end = side(resource, node, peer);
  lose(resource, node, peer, Link::StandAlone);
  end.link = Link::StandAlone;
  world_.tell(node, "drbd", name_of(resource), " is StandAlone towards node", peer, ": ", why);
  notify(resource, node);
}

/// The settings of the two differ.
void DrbdModel::part(int resource, int node, int peer) {
  constexpr const char* why = "incompatible allow-two-primaries settings";
  log(node, connection_of(resource, peer), why);
  stand_alone(resource, node, peer, why);
  Side& end = side(resource, node, peer);
  end.settings_differ = true;
  end.disconnecting = true;
  // 9 runs `drbdadm disconnected` before (conn_disconnect).
  const Time handler = shape_.generation == 9 ? milliseconds(20 + world_.choices().below(200)) : 0;
  world_.scheduler().after(milliseconds(1) + handler, [=, this, epoch = end.epoch] {
    Side& then = side(resource, node, peer);
    if (!is_on(node) || then.epoch != epoch)
      return;
    then.disconnecting = false;
    notify(resource, node);
  });
  if (settings_differ)
    settings_differ(resource, node);
}

/// In the words of the kernel module, as /dev/kmsg gives them. 8.4 does not name the peer.
void DrbdModel::log(int node, const std::string& about, const char* text) {
  logs_[static_cast<std::size_t>(node)] += "3,1,1,-;" + about + ": " + text + '\n';
}

std::string DrbdModel::connection_of(int resource, int peer) const {
  return "drbd " + name_of(resource) +
         (shape_.generation == 9 ? " node" + std::to_string(peer) : "");
}

std::string DrbdModel::device_of(int resource, int peer) const {
  const std::string device = "drbd" + std::to_string(minor_of(resource, 0));
  return shape_.generation == 9
             ? "drbd " + name_of(resource) + "/0 " + device + " node" + std::to_string(peer)
             : "block " + device;
}

/// The peer does not answer (any more): that is noticed in time, unless it comes back before.
void DrbdModel::miss(int resource, int node, int peer, Time within) {
  const std::uint64_t epoch = side(resource, node, peer).epoch;
  Time delay = within / 20 + within / 20 * world_.choices().below(20);
  if (const auto said = notices_after.find(node);
      said != notices_after.end() && within > ping_interval / 2)
    delay = said->second;
  world_.scheduler().after(delay, [=, this] {
    const Side& end = side(resource, node, peer);
    if (is_on(node) && end.epoch == epoch && end.link >= Link::Handshake &&
        !(end.link == Link::Connected && sees_each_other(resource, node, peer)))
      lose(resource, node, peer, Link::Connecting);
  });
}

void DrbdModel::cut(int a, int b) {
  cut_[index(a, b)] = cut_[index(b, a)] = true;
  world_.tell(-1, "network", "the link between node", a, " and node", b, " is cut");
  for (int r = 0; r < shape_.resources; ++r)
    for (const auto& [node, peer] : {std::pair(a, b), std::pair(b, a)})
      if (side(r, node, peer).link >= Link::Handshake)
        miss(r, node, peer, ping_interval + ping_timeout);
}

void DrbdModel::restore(int a, int b) {
  cut_[index(a, b)] = cut_[index(b, a)] = false;
  world_.tell(-1, "network", "the link between node", a, " and node", b, " is back");
  for (int r = 0; r < shape_.resources; ++r) {
    for (const auto& [node, peer] : {std::pair(a, b), std::pair(b, a)}) {
      if (sees_each_other(r, node, peer)) {  // nobody had noticed: what was sent arrives now
        Side& end = side(r, node, peer);
        if (end.update_under_way) {
          end.update_under_way = false;
          side(r, peer, node).two_primaries = end.two_primaries;
        }
        announce(r, node);
      } else if (side(r, node, peer).link >= Link::Handshake) {
        miss(r, node, peer, milliseconds(200));
      }
    }
    count_votes(r);
    look_for_partners(r);
  }
}

void DrbdModel::power_off(int node) {
  for (int r = 0; r < shape_.resources; ++r)
    if (is_written && is_written(r, node))
      wrote(r, node);
  on_[static_cast<std::size_t>(node)] = false;
  logs_[static_cast<std::size_t>(node)].clear();
  for (int r = 0; r < shape_.resources; ++r) {
    Site& here = site(r, node);
    here.up = false;
    here.by_command = here.quorum = false;
    for (Volume& volume : here.volumes)
      volume.primary = volume.writable = false, volume.openers = 0;
    for (int p = 0; p < shape_.nodes; ++p) {
      if (p == node)
        continue;
      Side& end = side(r, node, p);
      end.syncing = end.disconnecting = false;
      end.link = Link::Connecting;
      ++end.epoch;
      if (side(r, p, node).link >= Link::Handshake)
        miss(r, p, node, ping_interval + ping_timeout);
    }
  }
}

void DrbdModel::boot(int node) {
  on_[static_cast<std::size_t>(node)] = true;
  ++boots_[static_cast<std::size_t>(node)];
  for (int r = 0; r < shape_.resources; ++r) {
    site(r, node).up = true;
    for (int p = 0; p < shape_.nodes; ++p) {
      if (p == node)
        continue;
      side(r, node, p).two_primaries = configured_two_primaries(r);
      begin_to_connect(r, node, p);
      if (side(r, p, node).link >= Link::Handshake)
        miss(r, p, node, milliseconds(200));
    }
    count_votes(r);
    look_for_partners(r);
    notify(r, node);
  }
}

drbd::Answer DrbdModel::adjust(int resource, int node) {
  drbd::Answer answer;
  for (int p = 0; p < shape_.nodes; ++p) {
    if (p == node)
      continue;
    if (side(resource, node, p).link == Link::StandAlone)
      side(resource, node, p).two_primaries = configured_two_primaries(resource);
    else if (auto set = set_two_primaries(resource, node, p, configured_two_primaries(resource));
             !set.ok())
      answer = std::move(set);
  }
  connect(resource, node);
  return answer;
}

void DrbdModel::invalidate(int resource, int node) {
  for (Volume& volume : site(resource, node).volumes)
    volume.good = false;
  notify(resource, node);
}

drbd::Answer DrbdModel::disconnect(int resource, int node) {
  drbd::Answer answer;
  for (int p = 0; p < shape_.nodes; ++p) {
    if (p == node)
      continue;
    if (side(resource, node, p).link != Link::StandAlone)
      stand_alone(resource, node, p, "drbdadm disconnect");
    else if (shape_.generation != 9)
      answer = refusal(code::connection_unknown);
  }
  return answer;
}

void DrbdModel::connect(int resource, int node) {
  for (int p = 0; p < shape_.nodes; ++p) {
    Side& end = side(resource, node, p);
    if (p == node || end.link != Link::StandAlone || end.disconnecting)
      continue;
    end.two_primaries = configured_two_primaries(resource);
    begin_to_connect(resource, node, p);
  }
  look_for_partners(resource);
}

drbd::Answer DrbdModel::connect(int resource, int node, int peer) {
  Side& end = side(resource, node, peer);
  if (!site(resource, node).up)
    return refusal(code::resource_unknown);
  if (end.link != Link::StandAlone || end.disconnecting)
    return refusal(102);  // "Local address(port) already in use."
  if (shape_.generation != 9)
    end.two_primaries = configured_two_primaries(resource);
  begin_to_connect(resource, node, peer);
  look_for_partners(resource);
  return {};
}

void DrbdModel::begin_to_connect(int resource, int node, int peer) {
  Side& end = side(resource, node, peer);
  end.link = Link::Connecting;
  end.settings_differ = end.disconnecting = false;
  ++end.epoch;
  log(node, connection_of(resource, peer), "conn( StandAlone -> Unconnected )");
  notify(resource, node);
}

}  // namespace block_drbd::simulation
