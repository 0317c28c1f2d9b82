#include "diagnose/findings.h"

#include <algorithm>
#include <cmath>

#include "device/devices.h"
#include "policy/decide.h"
#include "spec/disk_spec.h"

namespace block_drbd::diagnose {

using drbd::Connection;
using drbd::Disk;
using drbd::Replication;
using drbd::Resource;
using drbd::Role;
using drbd::Volume;

namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words)
    list += (list.empty() ? "" : ", ") + word;
  return list;
}

bool is_syncing(Replication replication) {
  switch (replication) {
    case Replication::SyncSource:
    case Replication::SyncTarget:
    case Replication::PausedSyncS:
    case Replication::PausedSyncT:
      return true;
    default:
      return false;
  }
}

std::string time_left(int seconds) {
  const int minutes = seconds / 60;
  if (minutes >= 60)
    return std::to_string(minutes / 60) + " h " + std::to_string(minutes % 60) + " min";
  return minutes > 0 ? std::to_string(minutes) + " min" : std::to_string(seconds) + " s";
}

/// One resource; each function is one kind of finding.
class Looker {
 public:
  Looker(const Facts& facts, const Resource& resource)
      : facts_(facts), resource_(resource), users_(users_of(facts, resource)) {
    if (const drbd::Settings* settings = facts.drbd.settings_of(resource.name))
      settings_ = *settings;
  }

  std::vector<Finding> look() && {
    // What is mended by hand comes in the order in which it is typed: blkback may hold the device
    // as long as its backend is there, and a role cannot be given back before.
    backends_without_guest();
    suspended();
    left_guests();
    forgotten_guests();
    half_promoted();
    idle_primary();
    stale_claims();
    two_primaries();
    disks_gone();
    connections();
    disks();
    disks_of_peers();
    resync();
    processes();
    return std::move(found_);
  }

 private:
  void problem(const char* id, std::string text, std::string advice) {
    found_.push_back({id, true, resource_.name, std::move(text), std::move(advice)});
  }

  void notice(const char* id, std::string text, std::string advice) {
    found_.push_back({id, false, resource_.name, std::move(text), std::move(advice)});
  }

  const std::string& name() const { return resource_.name; }

  std::string volume_name(const Volume& volume) const {
    return resource_.volumes.size() == 1 ? name() : name() + '/' + std::to_string(volume.number);
  }

  bool is_at_work() const {
    return facts_.records.locks.contains(name()) || facts_.records.keepers.contains(name());
  }

  bool is_used_by_host() const {
    return std::ranges::any_of(resource_.volumes, [&](const Volume& volume) {
      return facts_.host_uses.contains(volume.minor);
    });
  }

  /// Not while anybody has another volume of the resource: on DRBD 9 the role is for all of them,
  /// and the shell script makes all of them Primary on 8.4, too.
  bool is_idle_primary(const Volume& volume) const {
    return role_of(resource_, volume) == Role::Primary && users_.empty() && !is_used_by_host();
  }

  /// DRBD 8.4 has a role for each volume. One that a guest has is Primary, and its neighbours need
  /// not be; without a guest they should be alike.
  void half_promoted() {
    const auto is_primary = [&](const Volume& volume) {
      return role_of(resource_, volume) == Role::Primary;
    };
    if (!users_.empty() || is_used_by_host() || is_at_work() || xenstore_is_unseen() ||
        std::ranges::all_of(resource_.volumes, is_primary) ||
        std::ranges::none_of(resource_.volumes, is_primary))
      return;
    std::string primary, secondary;
    for (const Volume& volume : resource_.volumes)
      (is_primary(volume) ? primary : secondary) += ' ' + std::to_string(volume.number);
    problem("half-promoted",
            name() + " is half Primary on this node: volume" + primary + " is, volume" + secondary +
                " is not, and no guest here has any of them" + held_by(),
            "drbdadm secondary " + name());
  }

  void idle_primary() {
    const auto idle = [&](const Volume& volume) { return is_idle_primary(volume); };
    const auto first = std::ranges::find_if(resource_.volumes, idle);
    if (first == resource_.volumes.end() || is_at_work() || xenstore_is_unseen() ||
        has("half-promoted"))
      return;
    const std::vector<std::string> openers = this->openers();
    const std::string what =
        volume_name(*first) + " is Primary on this node, and no guest here has it";
    if (!openers.empty()) {
      problem("held-open",
              what + ". It is held open by " + joined(openers) +
                  ": as long as it is, the role cannot be given back",
              "end that, then\ndrbdadm secondary " + name());
      return;
    }
    const record::Claim* claim = claim_on_role();
    const std::string who =
        claim != nullptr ? "it was made so for " + guest_of(*claim) +
                               ", which has it no more: its block-drbd was killed, "
                               "or `remove` never ran"
        : facts_.records_trouble.empty() ? "a person made it so, or a service of this host"
                                         : "who made it so cannot be seen";
    const std::string consequence = "). As long as it is, no guest can start with it elsewhere";
    const bool is_decision = claim == nullptr && !drbd::sees_every_peer(resource_);
    problem("idle-primary", what + " (" + who + consequence,
            claim != nullptr ? keep()
                             : (is_decision ? "if that shall let its guest start here without the "
                                              "other node, start it. Else:\n"
                                            : "") +
                                   ("drbdadm secondary " + name()));
  }

  std::vector<std::string> openers() const {
    std::vector<std::string> openers;
    for (const Volume& volume : resource_.volumes)
      if (const auto found = facts_.openers.find(volume.minor); found != facts_.openers.end())
        openers.insert(openers.end(), found->second.begin(), found->second.end());
    return openers;
  }

  std::string held_by() const {
    return openers().empty() ? "" : ". End what has it open: " + joined(openers());
  }

  /// By which this program made it Primary, and so gives the role back.
  const record::Claim* claim_on_role() const {
    const auto found = std::ranges::find_if(facts_.records.claims, [&](const auto& claim) {
      return claim.resource == name() && !claim.leave_role;
    });
    return found == facts_.records.claims.end() ? nullptr : &*found;
  }

  static std::string guest_of(const record::Claim& claim) {
    return (claim.domain.empty() ? "" : "guest " + printable(claim.domain) + ", ") + "domain " +
           std::to_string(claim.backend.frontend());
  }

  std::string keep() const {
    return "this gives back what is left; it may take two minutes:\n" XEN_SCRIPT " keep " + name();
  }

  bool is_primary_on_both() const {
    return resource_.role == Role::Primary && !drbd::primary_peers(resource_).empty();
  }

  void two_primaries() {
    const auto configured = facts_.two_primaries_configured.find(name());
    const bool is_configured =
        configured != facts_.two_primaries_configured.end() && configured->second;
    const bool has_keeper = facts_.records.keepers.contains(name());
    if (is_primary_on_both() && !has_keeper)
      problem("both-primary",
              name() +
                  " is Primary on this node and on another one: either a migration from here is "
                  "under way, or two guests may be writing to it",
              "look again in half a minute, then at `block-drbd test` and `xl list` on both nodes");
    if (!settings_.allows_two_primaries() || has_keeper)
      return;
    if (is_configured)
      notice("two-primaries-configured",
             name() +
                 " is configured for two Primaries for ever (allow-two-primaries yes): DRBD "
                 "does not keep two nodes from being Primary. Live migration does not need it",
             "set `allow-two-primaries no;` in the configuration of both nodes, then on both:\n"
             "drbdadm adjust " +
                 name());
    else if (configured == facts_.two_primaries_configured.end())
      notice("two-primaries-allowed",
             name() +
                 " may be Primary on two nodes now; whether it is configured so cannot be "
                 "told: drbdadm does not answer",
             "");
    else if (is_primary_on_both())
      return;  // told already; the node where a migration arrives closes it
    else
      problem("window-open",
              name() +
                  " may be Primary on two nodes, though it is not configured so: a migration "
                  "left that behind, or a person, and nothing here is at work to end it",
              "look again in half a minute: a migration from here may just begin. Then\n"
              "drbdadm adjust " +
                  name());
  }

  void connections() {
    if (resource_.peers.empty())
      stand_alone("the other node", "");
    for (const drbd::Peer& peer : resource_.peers) {
      if (peer.connection == Connection::StandAlone)
        stand_alone(policy::name_of(peer, settings_), peer.name);
      else if (!drbd::is_settled(peer))
        problem("not-connected",
                name() + " is not connected to " + policy::name_of(peer, settings_) + " (" +
                    std::string(to_string(peer.connection)) +
                    "): nothing is replicated, and nobody here knows whether a guest runs there",
                "look whether that node and the network between are up, and at `block-drbd test " +
                    name() + "` there. Both are up? On both, and it takes some seconds:\n" +
                    "drbdadm adjust " + name() +
                    "\nstill not? Compare addresses, protocol and secret on both, and look at the "
                    "firewall:\ndrbdadm dump " +
                    name());
    }
  }

  void stand_alone(const std::string& peer, const std::string& in_log) {
    const std::string what = name() + " has given up the connection to " + peer + " (StandAlone)";
    // drbdadm(8) on DRBD 9; the other node calls the connection by this node's name.
    const bool has_choice = resource_.peers.size() > 1;
    const std::string to_peer = name() + (has_choice ? ":NODE" : "");
    switch (drbd::why_parted(facts_.kernel_log, resource_, in_log)) {
      case drbd::Parted::SplitBrain:
        problem("split-brain",
                what +
                    ": split brain. Both nodes have changed the data without each other, and the "
                    "changes of one of them will be lost",
                "look at both, and decide whose changes shall be THROWN AWAY. On that node, when "
                "no guest runs there any more" +
                    std::string(has_choice ? " (NODE is the other one)" : "") +
                    ":\ndrbdadm secondary " + name() + "\ndrbdadm connect --discard-my-data " +
                    to_peer + "\n(if it refuses, as it is Connecting: `drbdadm disconnect " +
                    to_peer + "` before). On the node whose data shall stay:\ndrbdadm connect " +
                    to_peer + "\nThey need some seconds to find each other");
        return;
      case drbd::Parted::TwoPrimaries:
        problem("settings-differ",
                what +
                    ": the nodes differ in allow-two-primaries, as after a loss of power during a "
                    "migration. No data is lost; replication stands still",
                std::string(facts_.records.healer
                                ? "wait a minute or two: `block-drbd heal`, which runs on each "
                                  "node, connects them again. Else "
                                : "") +
                    "on both nodes, first on the one that kept its power:\ndrbdadm adjust " +
                    name() +
                    "\nif it is StandAlone again, the configurations differ: make them alike on "
                    "both nodes, and adjust again. See\ndrbdadm dump " +
                    name());
        return;
      case drbd::Parted::SettingsDiffer:
        problem("other-settings-differ",
                what +
                    ": the nodes differ in a setting that must be the same on both, such as the "
                    "protocol; the kernel log names it",
                "see\ndmesg | grep 'drbd " + name() +
                    ".*incompatible'\nand make the configurations of both nodes alike, then on "
                    "both:\ndrbdadm adjust " +
                    name());
        return;
      case drbd::Parted::UnrelatedData:
        problem("unrelated-data",
                what + ": the disks of the two nodes never were copies of each other",
                "see drbdadm(8), create-md and invalidate");
        return;
      case drbd::Parted::SecretsDiffer:
        problem(
            "secrets-differ",
            what +
                ": the nodes do not accept each other, because cram-hmac-alg or "
                "shared-secret differ between them",
            "make the configurations of both nodes alike, then on both:\ndrbdadm adjust " + name());
        return;
      case drbd::Parted::Unknown:
        break;
    }
    // `drbdadm up` ends at a disk that cannot be used, and what mends that connects, too.
    if (has("disk-gone"))
      return;
    problem("standalone",
            what + ". The kernel log here does not say why" +
                (facts_.kernel_log_trouble.empty() ? "" : " (" + facts_.kernel_log_trouble + ')') +
                ": a person disconnected it, or the reason is in the other node's log",
            "on both nodes:\ndrbdadm adjust " + name() +
                "\nif it is StandAlone again, look on both at:\ndmesg | grep drbd");
  }

  static bool is_gone(const Volume& volume) {
    return (volume.disk == Disk::Diskless && !volume.is_client) || volume.disk == Disk::Failed ||
           volume.disk == Disk::Detaching;
  }

  void disks_gone() {
    for (const Volume& volume : resource_.volumes)
      if (is_gone(volume))
        problem("disk-gone",
                volume_name(volume) + ": the disk of this node is " +
                    std::string(to_string(volume.disk)) +
                    (drbd::sees_any_peer(resource_)
                         ? ": the data is read and written on another node, as long as that is "
                           "connected"
                         : ", and no other node is connected: there is no data here"),
                "look for I/O errors with dmesg, and replace the disk. A new one, and no other, is "
                "made ready by\ndrbdadm create-md " +
                    volume_name(volume) + "\nin any case then:\ndrbdadm adjust " + name());
  }

  void disks() {
    for (const Volume& volume : resource_.volumes) {
      if (volume.disk == Disk::UpToDate || is_target_of_resync(resource_, volume) ||
          is_gone(volume))
        continue;
      const std::string what =
          volume_name(volume) + ": the disk of this node is " + std::string(to_string(volume.disk));
      switch (volume.disk) {
        case Disk::Diskless:
          break;  // a client
        case Disk::Inconsistent:
        case Disk::Outdated:
          problem("disk-not-good", what + ": the data here must not be used alone",
                  is_new(volume)
                      ? "if it is new, and there is nothing to lose, its copies count as equal "
                        "from here on with\ndrbdadm new-current-uuid --clear-bitmap " +
                            name() + '/' + std::to_string(volume.number) +
                            "\nwhile they are connected. If DRBD refuses, it is not new: see "
                            "`drbdadm primary --force` in drbdadm(8)"
                      : "connect the node with the good data; it is copied by itself "
                        "then\ndrbdadm adjust " +
                            name());
          break;
        default:
          notice("disk-not-good",
                 what + ": it is not known yet whether the data here is the newest", "");
      }
    }
  }

  /// As after create-md on all nodes, which see each other.
  bool is_new(const Volume& volume) const {
    return volume.disk == Disk::Inconsistent && drbd::sees_every_peer(resource_) &&
           std::ranges::all_of(resource_.peers, [&](const drbd::Peer& peer) {
             return std::ranges::any_of(peer.volumes, [&](const drbd::PeerVolume& each) {
               return each.number == volume.number &&
                      (each.disk == Disk::Inconsistent || each.is_client);
             });
           });
  }

  void disks_of_peers() {
    for (const drbd::Peer& peer : resource_.peers)
      for (const drbd::PeerVolume& each : peer.volumes) {
        const Volume* volume = resource_.volume(each.number);
        const bool is_gone = each.disk == Disk::Diskless || each.disk == Disk::Failed;
        if (volume != nullptr && is_gone && !each.is_client && drbd::is_settled(peer))
          problem(
              "peer-disk-gone",
              volume_name(*volume) + ": the disk of " + policy::name_of(peer, settings_) + " is " +
                  std::string(to_string(each.disk)) + ": it holds no copy of the data any more",
              "there: look for I/O errors with dmesg, and replace the disk. A new one, and no "
              "other, is made ready by\ndrbdadm create-md " +
                  volume_name(*volume) + "\nin any case then, there:\ndrbdadm adjust " + name());
      }
  }

  void resync() {
    for (const drbd::Peer& peer : resource_.peers)
      for (const drbd::PeerVolume& each : peer.volumes) {
        if (!is_syncing(each.replication))
          continue;
        const Volume* volume = resource_.volume(each.number);
        const bool is_target = volume != nullptr && is_target_of_resync(resource_, *volume);
        const bool paused_here = each.paused_by.find("user") != std::string::npos;
        const bool is_paused = paused_here || each.paused_by.find("peer") != std::string::npos;
        std::string text = volume == nullptr ? name() : volume_name(*volume);
        text += is_paused ? " is not being copied " : " is being copied ";
        text += is_target ? "from " : "to ";
        text += policy::name_of(peer, settings_);
        if (is_paused) {
          text += ": a person has paused that ";
          text += paused_here ? "here" : "on the other node";
          text += ", and until it goes on and ends there is one good copy less";
          problem("resync-paused", text,
                  (paused_here ? "" : "on the other node:\n") + ("drbdadm resume-sync " + name()));
          continue;
        }
        if (!each.paused_by.empty())
          text += ", as soon as the resync that is before it has ended";
        if (each.in_sync)
          text += ", " + std::to_string(std::lround(std::floor(*each.in_sync))) + " % done";
        if (each.seconds_left)
          text += ", about " + time_left(*each.seconds_left) + " left";
        if (is_target)
          text += ". Until then no guest can migrate to here";
        notice("resync", text, "");
      }
  }

  bool is_suspended_by(std::string_view reason) const {
    return resource_.suspended_by.find(reason) != std::string::npos;
  }

  void suspended() {
    const std::string what =
        name() + " has its I/O suspended: whoever reads or writes it stands still";
    const std::string resume = "drbdadm resume-io " + name();
    if (is_suspended_by("fencing"))
      problem("suspended", what + ". DRBD waits until the other node is fenced",
              "see in the kernel log how the fence-peer handler ended; only when the other node is "
              "surely off:\n" +
                  resume);
    else if (is_suspended_by("no-data"))
      problem("suspended", what + ". Neither this node's disk nor another node's can be reached",
              "bring back the node that has the data, or the disk here: it goes on by itself");
    else if (resource_.suspended && !is_suspended_by("quorum"))
      problem("suspended", what + ". A person or a script did that (drbdadm suspend-io)", resume);
    for (const Volume& volume : resource_.volumes)
      if (!volume.quorum)
        problem("no-quorum",
                volume_name(volume) +
                    " has no quorum: too few nodes see each other, and nothing here may write" +
                    (resource_.suspended ? ": whoever tries stands still" : ""),
                "connect more of the nodes: it goes on by itself. See\ndrbdadm status " + name());
  }

  void stale_claims() {
    if (xenstore_is_unseen() || is_at_work())
      return;
    for (const record::Claim& claim : facts_.records.claims) {
      const bool has_backend =
          std::ranges::any_of(facts_.attachments, [&](const policy::Attachment& each) {
            return each.backend.path == claim.backend && each.domain.exists;
          });
      const bool is_told = has("idle-primary") && &claim == claim_on_role();
      if (claim.resource == name() && !has_backend && !is_told)
        problem("stale-claim",
                name() + " is still noted as given to " + guest_of(claim) +
                    ", which has it no more: its block-drbd was killed, or `remove` never ran",
                keep());
    }
  }

  void backends_without_guest() {
    for (const policy::Attachment& each : facts_.attachments)
      if (!each.domain.exists && is_ours(each.backend) && !is_at_work())
        problem("backend-without-guest",
                name() + ": xenstore still has the backend of domain " +
                    std::to_string(each.backend.path.frontend()) +
                    ", which does not exist any more",
                "xenstore-rm " + each.backend.path.text());
  }

  /// xl's halves of a guest that migrates. The keeper knows of a migration that is under way.
  void left_guests() {
    if (is_at_work())
      return;
    for (const policy::Attachment& each : users_)
      if (xenstore::is_arriving(each.domain) || xenstore::has_left(each.domain))
        problem("left-guest",
                name() + " is held by guest " + printable(each.domain.name) + " (domain " +
                    std::to_string(each.domain.id) +
                    "): a migration is under way, or one that broke off has left it",
                "look again in half a minute. If no migration is under way (never unpause it):\n"
                "xl destroy " +
                    std::to_string(each.domain.id));
  }

  void forgotten_guests() {
    for (const policy::Attachment& each : users_)
      if (std::ranges::find(facts_.forgotten, each.backend.path) != facts_.forgotten.end())
        problem("forgotten-guest",
                name() + " is in use by " + policy::describe(each) +
                    ", as the kernel serves its disk, and xenstore knows nothing of it: xenstored "
                    "was started anew, or the toolstack has given the disk up",
                "look with `xl list` whether the guest runs. If not, the disk is free when the "
                "kernel lets go of it: look with dmesg for I/O that hangs. If it runs, and xl "
                "cannot manage it any more: shut it down from inside, then boot this node");
  }

  bool is_ours(const xenstore::Backend& backend) const {
    return std::ranges::any_of(resource_.volumes, [&](const Volume& volume) {
      return backend.physical_device == device::physical_device(volume.minor);
    });
  }

  void processes() {
    if (const auto keeper = facts_.records.keepers.find(name());
        keeper != facts_.records.keepers.end())
      notice("keeper",
             "block-drbd keep " + name() + " (process " + std::to_string(keeper->second) +
                 ") is at work: it " + work_of_keeper(),
             "");
    if (const auto lock = facts_.records.locks.find(name());
        lock != facts_.records.locks.end() && (!facts_.records.keepers.contains(name()) ||
                                               facts_.records.keepers.at(name()) != lock->second))
      notice("locked",
             name() + " is being attached or released: process " + std::to_string(lock->second) +
                 " has its lock",
             "");
  }

  std::string work_of_keeper() const {
    if (facts_.records.window_of(name()) != nullptr)
      return is_primary_on_both() ? "waits for the migration's source to let go, and forbids two "
                                    "Primaries then"
                                  : "forbids two Primaries again";
    if (resource_.role == Role::Primary && users_.empty())
      return "gives the role back as soon as the device is free" + held_by();
    if (std::ranges::any_of(facts_.records.claims, [&](const record::Claim& claim) {
          return claim.resource == name() && claim.unanswered;
        }))
      return "waits, at most two minutes, for the end of a promotion that DRBD has not answered";
    return "looks whether anything is left to do";
  }

  bool xenstore_is_unseen() const { return !facts_.xenstore_trouble.empty(); }

  bool has(std::string_view id) const {
    return std::ranges::any_of(found_, [&](const Finding& each) { return each.id == id; });
  }

  const Facts& facts_;
  const Resource& resource_;
  std::vector<policy::Attachment> users_;
  drbd::Settings settings_;
  std::vector<Finding> found_;
};

}  // namespace

std::vector<Finding> findings_on_node(const Facts& facts) {
  std::vector<Finding> found;
  const auto add = [&](const char* id, bool is_problem, std::string text, std::string advice) {
    found.push_back({id, is_problem, "", std::move(text), std::move(advice)});
  };
  if (!facts.is_root)
    add("not-root", false,
        "not all can be seen as an ordinary user: guests, what is remembered, who holds a device",
        "run it as root");
  if (!facts.drbd_trouble.empty())
    add("drbd-unreadable", true, "DRBD does not answer: " + facts.drbd_trouble,
        "look at `drbdsetup status` and the kernel log, and whether drbd-utils is installed");
  else if (facts.drbd.generation == drbd::Generation::Absent)
    add("no-drbd", true, "DRBD is not loaded in this node's kernel",
        "modprobe drbd\ndrbdadm up all\nand for the next boot:\nsystemctl enable drbd");
  else if (facts.drbd.resources.empty() && !not_up(facts).empty())
    add("nothing-up", true, "no DRBD resource is up on this node: no guest with one can start",
        "drbdadm up all\nand for the next boot:\nsystemctl enable drbd");
  if (!facts.configured)
    add("configuration", facts.is_root,
        "the configuration of DRBD cannot be read: " + facts.configuration_trouble +
            (facts.is_root
                 ? ". Guests start all the same with what is up; `drbdadm` and the next boot do not"
                 : ""),
        !facts.is_root      ? ""
        : facts.has_drbdadm ? "mend that file; what is wrong is told in full by\ndrbdadm dump all"
                            : "install drbd-utils");
  if (!facts.xenstore_trouble.empty())
    add("no-xenstore", facts.is_root,
        "xenstore cannot be read, so no guest can be seen: " + facts.xenstore_trouble,
        facts.is_root ? "boot this host with Xen, and look whether xenstored runs" : "");
  const std::string link = "ln -s " + facts.program + " " XEN_SCRIPT;
  if (facts.script == Script::Missing)
    add("script-missing", true,
        "there is no " XEN_SCRIPT
        ", or it is a link to nothing: no guest with a DRBD disk can start",
        "rm -f " XEN_SCRIPT "\n" + link);
  if (facts.script == Script::NotExecutable)
    add("script-not-executable", true,
        XEN_SCRIPT " cannot be executed: no guest with a DRBD disk can start",
        "chmod 755 " XEN_SCRIPT);
  if (facts.script == Script::Other)
    add("script-other", true,
        XEN_SCRIPT
        " is another program than this one: guests start with that, and what is said here "
        "is not what that would do",
        "is it the shell script of drbd-utils? Then\nmv " XEN_SCRIPT " " XEN_SCRIPT ".old\n" +
            link);
  if (facts.is_root && !facts.kernel_log_trouble.empty() &&
      std::ranges::any_of(facts.drbd.resources, drbd::has_lost_one_of_many))
    add("kernel-log-unseen", false,
        "the kernel's log cannot be read (" + facts.kernel_log_trouble +
            "): whether a node that is away was Primary when it was lost cannot be told, and a "
            "guest may come from there on a migration",
        "before you migrate a guest to here, see with `xl list` that it does not run on a node "
        "that is away");
  if (!facts.config_trouble.empty())
    add("own-configuration", true,
        facts.config_trouble + ". No guest with a DRBD disk can start until then", "");
  for (const auto& [name, choices] : facts.config.resources)
    if (facts.configured && facts.drbd.resource(name) == nullptr &&
        std::ranges::find(*facts.configured, name) == facts.configured->end())
      add("choice-without-resource", false,
          std::string(config::path) + " chooses for " + printable(name) +
              ", and DRBD's configuration on this node has no such resource (a stacked one is seen "
              "only when it is up): is the name misspelt?",
          "compare it with\ndrbdadm sh-resources");
  if (!facts.records_trouble.empty())
    add("records-unseen", facts.is_root,
        "what is remembered cannot be seen: " + facts.records_trouble, "");
  else if (facts.is_root && facts.drbd.generation != drbd::Generation::Absent &&
           !facts.records.healer)
    add("no-healer", false,
        "`block-drbd heal` does not run on this node: when a loss of power during a migration has "
        "parted two nodes, nobody connects them again",
        "systemctl enable --now block-drbd-heal");
  for (const auto& [file, why] : facts.records.unreadable) {
    std::string text = "a record cannot be read: ";
    text.append(file).append(" (").append(why).append(")");
    std::string advice =
        "look whether the guest that it is about still runs (`xl list`); if not:\nrm ";
    advice += file;
    add("record-unreadable", true, std::move(text), std::move(advice));
  }
  return found;
}

std::vector<Finding> findings_on_not_up(const Facts& facts) {
  const auto names = not_up(facts);
  if (names.empty() || facts.drbd.resources.empty())
    return {};
  const bool one = names.size() == 1;
  constexpr std::size_t few = 4;  // in one line
  std::string advice = "drbdadm up";
  for (const std::string& name : names)
    advice += names.size() > few ? "" : ' ' + name;
  if (names.size() > few)
    advice += " all";
  return {{"not-up", true, "",
           (one ? "one resource is" : std::to_string(names.size()) + " resources are") +
               " configured on this node, but not up: " + joined(names) +
               (one ? ". No guest can start with it" : ". No guest can start with them"),
           advice}};
}

std::vector<Finding> findings_on(const Facts& facts, const Resource& resource) {
  return Looker(facts, resource).look();
}

}  // namespace block_drbd::diagnose
