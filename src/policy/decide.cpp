#include "policy/decide.h"

#include <algorithm>
#include <cstdlib>

#include "policy/refusals.h"
#include "spec/disk_spec.h"

namespace block_drbd::policy {

using drbd::Connection;
using drbd::Disk;
using drbd::Peer;
using drbd::Replication;
using drbd::Resource;
using drbd::Role;

namespace {

std::string title(const Request& request) {
  return "DRBD resource " + request.resource;
}

Decision refuse(std::string message) {
  return {.action = Action::Refuse, .because = std::move(message)};
}

Decision go(Action action) {
  return {.action = action, .because = {}};
}

/// A link that DRBD is trying to make; a StandAlone one stays so until somebody connects it.
bool link_is_being_made(const Resource& resource) {
  return std::any_of(resource.peers.begin(), resource.peers.end(), [](const Peer& peer) {
    return !drbd::is_settled(peer) && peer.connection != Connection::StandAlone;
  });
}

/// On the whole resource, or on each connection.
template <typename Is>
bool fencing_is(const drbd::Settings& settings, Is is) {
  const bool each_connection = !settings.connections.empty() &&
                               std::all_of(settings.connections.begin(), settings.connections.end(),
                                           [&](const auto& each) { return is(each.fencing); });
  return is(settings.fencing) || each_connection;
}

/// DRBD itself makes sure, before it becomes Primary, that no peer can be.
bool fences(const drbd::Settings& settings) {
  return fencing_is(settings, [](std::string_view fencing) { return fencing != "dont-care"; });
}

/// A Primary that loses a node writes no more until that one is surely off.
bool stands_still_until_fenced(const drbd::Settings& settings) {
  return fencing_is(settings,
                    [](std::string_view fencing) { return fencing == "resource-and-stonith"; });
}

bool is_diskless(const drbd::Volume& volume) {
  return volume.disk == Disk::Diskless;
}

/// Two nodes without disks may both be Primary through a third that has one, and both have quorum,
/// though they do not see each other: DRBD 9 allows that where it allows two primaries.
bool may_be_primary_behind_server(const drbd::Settings& settings, const Resource& resource) {
  return std::any_of(resource.volumes.begin(), resource.volumes.end(), is_diskless) &&
         settings.allows_two_primaries();
}

/// Two halves of the nodes cannot both have quorum. `quorum 1` is no such policy.
bool has_quorum_policy(const drbd::Settings& settings, const Resource& resource) {
  if (may_be_primary_behind_server(settings, resource))
    return false;
  if (settings.quorum == "majority" || settings.quorum == "all")
    return true;
  const std::size_t nodes = resource.peers.size() + 1;
  return std::strtoul(settings.quorum.c_str(), nullptr, 10) > nodes / 2;
}

/// Why the peer counts as not connected.
std::string what_is_missing(const Peer& peer) {
  const auto alone = std::find_if(peer.volumes.begin(), peer.volumes.end(), [](const auto& each) {
    return each.replication == Replication::Off;
  });
  // DRBD 9 connects the other volumes when one is not configured there. (8.4 shows a handshake so.)
  return peer.node_id && peer.connection == Connection::Connected && peer.role != Role::Unknown &&
                 alone != peer.volumes.end()
             ? "volume " + std::to_string(alone->number) +
                   " is not replicated: run `drbdadm adjust` there, too"
             : std::string(to_string(peer.connection));
}

std::string names_of_unseen(const Situation& situation) {
  std::string names;
  for (const Peer& peer : situation.resource.peers)
    if (!drbd::is_settled(peer))
      names += (names.empty() ? "" : ", ") + name_of(peer, situation.settings) + " (" +
               what_is_missing(peer) + ')';
  return names.empty() ? "the other node (StandAlone)" : names;
}

/// Somebody with whom nothing is shared, unless all only read or the administrator vouches for it.
const User* stranger(const Request& request, const Situation& situation) {
  if (request.access == Access::Shared)
    return nullptr;
  for (const User& user : situation.users) {
    const bool all_read = request.access == Access::ReadOnly && user.read_only;
    const bool same_disk_twice =
        user.relation == Relation::OwnDomain && user.physical_device == request.physical_device;
    if (!all_read &&
        (user.relation == Relation::OtherVm || user.relation == Relation::Host || same_disk_twice))
      return &user;
  }
  return nullptr;
}

const User* second_instance(const Situation& situation) {
  const auto found =
      std::find_if(situation.users.begin(), situation.users.end(),
                   [](const User& user) { return user.relation == Relation::SameVm; });
  return found == situation.users.end() ? nullptr : &*found;
}

std::string busy(const Request& request, const User& user) {
  const std::string used = title(request) + " is already in use on this node: " + user.description;
  if (user.relation == Relation::Host)
    return used +
           ". Two users would destroy the data. Release it first (`umount`, `swapoff` or the like, "
           "then `drbdadm secondary " +
           request.resource + "`)";
  if (xenstore::is_kept_of(request.guest, user.guest))
    return used +
           " has it. xl has kept that one of this guest (on_crash=rename-restart), and its last "
           "writes may not be on the disk yet. Look at it (`xl dump-core`), then `xl destroy " +
           printable(user.guest) + "` and start this guest again";
  return used +
         " has it. Two guests would destroy the data. Shut that guest down first (xl list), or "
         "detach its disk (xl block-detach)";
}

bool has_good_data(const Peer& peer, int volume) {
  return drbd::is_settled(peer) &&
         std::any_of(peer.volumes.begin(), peer.volumes.end(), [&](const drbd::PeerVolume& each) {
           return each.number == volume && each.disk == Disk::UpToDate;
         });
}

/// Why this node's data cannot take over now; empty when it can.
std::string unfit_for_hand_over(const Request& request, const Resource& resource,
                                const Peer& source) {
  if (request.access == Access::ReadOnly)
    return "";
  for (const drbd::Volume& volume : resource.volumes) {
    const auto there =
        std::find_if(source.volumes.begin(), source.volumes.end(),
                     [&](const drbd::PeerVolume& each) { return each.number == volume.number; });
    if (there == source.volumes.end())
      return "volume " + std::to_string(volume.number) + " is not replicated";
    const bool good =
        volume.disk == Disk::UpToDate ||
        (is_diskless(volume) &&
         std::any_of(resource.peers.begin(), resource.peers.end(),
                     [&](const Peer& peer) { return has_good_data(peer, volume.number); }));
    if (!good)
      return "the disk of volume " + std::to_string(volume.number) + " is " +
             std::string(to_string(volume.disk)) + " here";
    switch (there->replication) {
      case Replication::Established:
      case Replication::VerifyS:
      case Replication::VerifyT:
      case Replication::SyncSource:
      case Replication::PausedSyncS:
        break;
      default:
        return "replication of volume " + std::to_string(volume.number) + " is " +
               std::string(to_string(there->replication));
    }
  }
  return "";
}

Decision hand_over(const Request& request, const Situation& situation, const Peer& source) {
  const std::string unfit = unfit_for_hand_over(request, situation.resource, source);
  if (unfit.empty())
    return go(Action::HandOver);
  if (situation.waited_for_data < patience_for_data)
    return {.action = Action::WaitForData, .because = unfit};
  return refuse(cannot_be_taken_over(request.resource, unfit,
                                     "Wait until `drbdadm status " + request.resource +
                                         "` shows UpToDate on both nodes, then migrate again"));
}

std::string second_instance_here(const Request& request, const User& other) {
  return title(request) +
         " is still attached on this node to another instance of the same guest: " +
         other.description +
         ". If that one is a leftover (on_crash=preserve, a rename, a broken migration), `xl "
         "destroy` "
         "it first";
}

/// The Primary that is seen need not be the source: an earlier migration may have left it so, or
/// the guest was started there once more. What the real one wrote last may not be here.
std::string hidden_source(const Request& request, const Situation& situation, const Peer& seen) {
  std::string names;
  std::string forget;
  for (const Peer& peer : situation.resource.peers)
    if (situation.lost_primaries.contains(peer.name)) {
      names += (names.empty() ? "" : ", ") + name_of(peer, situation.settings);
      forget += (forget.empty() ? "`" : " and `") + ("drbdadm del-peer " + request.resource) + ':' +
                peer.name + '`';
    }
  const std::string& resource = request.resource;
  return cannot_be_taken_over(
      resource,
      names +
          ", which is not connected, was Primary when it was lost: the guest may come from there, "
          "and not from " +
          name_of(seen, situation.settings) +
          ", which is Primary now. Two guests could write, or this one run on old data",
      "Look with `xl list` on these nodes. If the guest is on more than one, `xl destroy` it where "
      "it is cut off. Then connect them again (`drbdadm adjust " +
          resource + "` on both). Only if the lost one is off, or no guest there has this disk: " +
          forget + " here, migrate again, and only then `drbdadm adjust " + resource + '`');
}

Decision decide_incoming(const Request& request, const Situation& situation) {
  const auto primary = drbd::primary_peers(situation.resource);
  if (const User* other = second_instance(situation)) {
    // `xl migrate NAME localhost`: the other one is the source, which has its plain name until this
    // one is ready. Anything else is what an earlier migration left.
    const bool is_source = primary.empty() && situation.resource.role == Role::Primary &&
                           !request.guest.empty() && other->guest == request.guest;
    return is_source ? go(Action::Share)
                     : refuse(second_instance_here(request, *other) +
                              ". The migrating guest goes on at its source");
  }
  if (primary.size() == 1 && drbd::is_settled(*primary.front())) {
    const bool is_fenced = situation.settings && stands_still_until_fenced(*situation.settings);
    return situation.lost_primaries.empty() || is_fenced
               ? hand_over(request, situation, *primary.front())
               : refuse(hidden_source(request, situation, *primary.front()));
  }
  if (primary.empty() && drbd::sees_every_peer(situation.resource))
    return go(Action::Promote);
  if (primary.size() > 1)
    return refuse(
        cannot_be_taken_over(request.resource, "more than one other node is Primary",
                             "See on which one the guest runs, and run `drbdadm secondary " +
                                 request.resource + "` on the other"));
  return refuse(cannot_be_taken_over(
      request.resource,
      names_of_unseen(situation) + " is not connected, so the data here may be old",
      "Look at `drbdadm status " + request.resource + "` and run `drbdadm adjust " +
          request.resource + "` on both nodes, then migrate again"));
}

Decision wait_for_primary_peer(const Request& request, const Situation& situation,
                               const Peer& peer) {
  const std::string who = name_of(peer, situation.settings);
  // Not by trying: the attempt makes DRBD look for a peer that it has not missed yet, and goes
  // through when that is gone. The data of both would count as changed then, and the nodes refuse
  // each other as after a split brain though only one was written.
  if (situation.waited_for_peer < patience_for_peer)
    return {.action = Action::WaitForPeer, .because = who + " is Primary"};
  std::string message =
      title(request) + " is Primary on " + who + ", and did not let go within " +
      std::to_string(patience_for_peer / std::chrono::seconds(1)) +
      " s: the guest runs there, or something there uses the disk. It cannot be "
      "started here as well. Look there with `xl list`; shut the guest down there, "
      "or migrate it from there. If no guest has it there, run `drbdadm secondary " +
      request.resource + "` there";
  if (!request.guest.empty())
    message += ". If it is listed there as " + printable(request.guest) +
               "--migratedaway, `xl destroy " + printable(request.guest) +
               "--migratedaway` there sets the resource free. If it is listed there as " +
               printable(request.guest) + "--incoming and no migration is under way, `xl destroy " +
               printable(request.guest) + "--incoming` there; never unpause it";
  return refuse(message);
}

/// A peer cannot be seen. Neither node can prove the other wrong then: only positive grounds count.
Decision decide_unseen(const Request& request, const Situation& situation) {
  const Resource& resource = situation.resource;
  if (link_is_being_made(resource) && situation.waited_for_link < patience_for_link)
    return {.action = Action::WaitForLink,
            .because = names_of_unseen(situation) + " is not connected"};
  if ((situation.primary_by_person || situation.held) && situation.users.empty())
    return go(Action::Promote);
  const bool drbd_decides =
      situation.settings &&
      (has_quorum_policy(*situation.settings, resource) || fences(*situation.settings));
  if (drbd_decides || request.choices.starts_unseen)
    return go(Action::Promote);
  return refuse(
      title(request) + " is not connected to " + names_of_unseen(situation) +
      ": the guest may be running there, or the data there may be newer, and this node "
      "cannot know. Restore the link (`drbdadm adjust " +
      request.resource +
      "` on both nodes). Only if that cannot be, and the guest has not run there since the two "
      "were last connected: `drbdadm primary " +
      request.resource +
      "` here, and start the guest again; else the data parts (split brain). With fencing or "
      "quorum configured, DRBD decides this by itself");
}

Decision decide_start(const Request& request, const Situation& situation) {
  if (const User* other = second_instance(situation);
      other != nullptr && request.access != Access::Shared)
    return refuse(second_instance_here(request, *other));
  const auto primary = drbd::primary_peers(situation.resource);
  if (!primary.empty())
    return wait_for_primary_peer(request, situation, *primary.front());
  const bool shares_role =
      std::any_of(situation.users.begin(), situation.users.end(),
                  [](const User& user) { return user.relation != Relation::Host; });
  if (shares_role && situation.resource.role == Role::Primary)
    return go(Action::Share);
  if (!drbd::sees_every_peer(situation.resource))
    return decide_unseen(request, situation);
  return go(Action::Promote);
}

}  // namespace

const drbd::Volume* requested_volume(const Resource& resource, std::optional<int> number) {
  if (number)
    return resource.volume(*number);
  return resource.volumes.size() == 1 ? &resource.volumes.front() : nullptr;
}

bool needs_settings(Purpose purpose, const Resource& resource) {
  return purpose == Purpose::Start &&
         (!drbd::primary_peers(resource).empty() || !drbd::sees_every_peer(resource));
}

Decision decide(const Request& request, const Situation& situation) {
  if (const User* user = stranger(request, situation))
    return refuse(busy(request, *user));
  return request.purpose == Purpose::Incoming ? decide_incoming(request, situation)
                                              : decide_start(request, situation);
}

std::string name_of(const Peer& peer, const std::optional<drbd::Settings>& settings) {
  const auto* connection = settings ? settings->connection_to(peer.node_id) : nullptr;
  const std::string name = peer.node_id ? "node " + peer.name : "the other node";
  return connection == nullptr || connection->peer_address.empty()
             ? name
             : name + " (" + connection->peer_address + ')';
}

}  // namespace block_drbd::policy
