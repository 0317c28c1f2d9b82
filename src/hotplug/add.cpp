#include "hotplug/add.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "drbd/kernel_log.h"
#include "hotplug/hand_over.h"
#include "hotplug/keeper.h"
#include "hotplug/publish.h"
#include "hotplug/release.h"
#include "hotplug/survey.h"
#include "policy/decide.h"
#include "policy/refusals.h"
#include "spec/disk_spec.h"

namespace block_drbd::hotplug {

using drbd::Role;
using policy::Action;
using policy::Decision;
using policy::Purpose;
using record::Claim;
using record::Phase;

namespace {

constexpr Duration pause_for_node{50};
constexpr Duration shortest_pause_for_xen_lock{1};
constexpr Duration longest_pause_for_xen_lock{20};
/// After which all is looked at anew: of many that wait, the looks would be most of the work.
constexpr Duration turn_for_xen_lock = std::chrono::seconds(5);
constexpr Duration pause_for_drbd{200};
constexpr Duration patience_for_node = std::chrono::seconds(5);
constexpr Duration patience_for_xen_lock = std::chrono::seconds(20);
constexpr Duration patience_for_close = std::chrono::seconds(10);
constexpr Duration patience_for_refusal = std::chrono::seconds(10);
constexpr Duration patience_for_window = std::chrono::seconds(10);
/// `drbdadm adjust`, typed in the wrong moment, closes a window.
constexpr int most_windows = 5;
/// As long as one peer stays away, its absence is waited for once.
constexpr Duration outage_lasts = std::chrono::minutes(2);
/// Two nodes that stepped back from each other must not meet again.
constexpr unsigned shortest_step_back = 100;
constexpr unsigned longest_step_back = 1500;

/// What a turn waits for. Each has its own patience, counted from the first time.
enum class Awaited { Answer, Peer, Link, Data, Refusal, Window, Close, Node, XenLock };

/// The end of one turn under the lock: the disk is attached, or a pause and another turn.
struct TurnEnd {
  bool done = false;
  Duration pause{0};
};

constexpr TurnEnd done_turn{.done = true, .pause = Duration(0)};

TurnEnd again_after(Duration pause) {
  return {.done = false, .pause = pause};
}

/// "ipv4:10.0.0.2" of "ipv4:10.0.0.2:7789": all resources shared with one node have it in common.
std::string host_of(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

bool all_peers_settled(const drbd::Resource& resource) {
  return std::all_of(resource.peers.begin(), resource.peers.end(), drbd::is_settled);
}

/// One disk on its way to be attached.
class Attaching {
 public:
  Attaching(Host& host, xenstore::BackendPath path, const Budget& budget)
      : host_(host), path_(std::move(path)), budget_(budget) {}

  Result<void> run() {
    if (auto known = read_request(); !known)
      return known;
    for (;;) {
      const auto turn = take_turn();
      if (!turn)
        return failure(turn.error());
      if (turn->done)
        return {};
      host_.place.reset();
      if (!host_.clock.wait(budget_.left(turn->pause)))
        return failure("DRBD resource " + request_.resource +
                       ": this program was asked to end before the disk was attached");
      if (!budget_.allows_another_turn())
        return failure("DRBD resource " + request_.resource +
                       " could not be attached in the time that the toolstack allows" +
                       (waiting_for_.empty() ? "" : "; the last wait was: " + waiting_for_));
    }
  }

  /// Many guests may start at once, and their messages stand in one log.
  std::string for_whom() const {
    const std::string guest =
        request_.guest.empty() ? "" : "guest " + printable(request_.guest) + ", ";
    return " [" + guest + "domain " + std::to_string(path_.frontend()) + ']';
  }

  /// Empty until the disk spec was understood.
  const std::string& resource() const { return request_.resource; }
  /// Whether a keeper was started for it.
  bool has_keeper() const { return has_keeper_; }
  /// The backend as it was at the beginning; nothing when it could not be read.
  const std::optional<xenstore::Backend>& disk() const { return disk_; }
  /// What there is to roll back; nothing as long as nothing was touched.
  const std::optional<Claim>& claimed() const { return claim_; }

 private:
  /// Before a guest starts whose kernel is on its disk, the toolstack attaches the disk to its own
  /// domain for as long as pygrub reads it. Then it attaches it to the guest, by another `add`:
  /// what lets that guest start must still be there. `xl block-attach 0` looks the same, and is a
  /// user like any other for as long as it lasts.
  bool is_for_toolstack() const { return path_.frontend() == xenstore::toolstack_domain; }

  Result<xenstore::Backend> read_backend() {
    auto backend = xenstore::read_backend(host_.store, path_);
    if (!backend)
      return failure(backend.error());
    // Its values are read one after the other: what is just being wiped may have none.
    if (!*backend || (disk_ && (*backend)->params.empty()))
      return failure("the toolstack has given up this disk: there is no backend " + path_.text() +
                     " in xenstore any more. See its own message, and /var/log/xen");
    if (disk_ && !is_same_disk(**backend, *disk_))
      return failure("DRBD resource " + request_.resource +
                     " is not attached: " + has_another_disk(**backend));
    return std::move(**backend);
  }

  Result<void> read_request() {
    const auto backend = read_backend();
    if (!backend)
      return failure(backend.error());
    disk_ = *backend;
    auto spec = parse_disk_spec(backend->params);
    if (!spec)
      return failure(spec.error());
    request_.resource = std::move(spec->resource);
    volume_ = spec->volume;
    const auto choices = host_.choices_for(request_.resource);
    if (!choices)
      return failure(choices.error());
    request_.choices = *choices;
    request_.access = policy::access_from(backend->mode);
    auto domain = xenstore::read_domain(host_.store, path_.frontend());
    if (!domain)
      return failure(domain.error());
    domain_ = std::move(*domain);

    const bool incoming = xenstore::is_arriving(domain_) && host_.is_below_migrate_receive();
    request_.purpose = incoming ? Purpose::Incoming : Purpose::Start;
    request_.guest = incoming
                         ? domain_.name.substr(0, domain_.name.size() - xenstore::arriving.size())
                         : domain_.name;
    return {};
  }

  /// Whether the work is done already, by another run of ours: udev runs us twice under xend. An
  /// error when the directory is gone, or has somebody else's device.
  Result<bool> is_attached() {
    const auto backend = read_backend();
    if (!backend)
      return failure(backend.error());
    if (backend->physical_device.empty())
      return false;
    const auto claims = host_.records.claims_of(path_);
    if (!claims)
      return failure(claims.error());
    const bool ours = std::any_of(claims->begin(), claims->end(), [&](const Claim& claim) {
      return claim.resource == request_.resource && claim.phase == Phase::Attached;
    });
    if (!ours)
      return failure("backend " + path_.text() +
                     " has a device already that another block script attached: only one may serve "
                     "a disk. Detach the disk (xl block-detach) and attach it again");
    return true;
  }

  Result<TurnEnd> take_turn() {
    const auto lock = lock_resource(host_, request_.resource, budget_);
    if (!lock)
      return failure(lock.error());
    const auto attached = is_attached();
    if (!attached)
      return failure(attached.error());
    if (*attached)
      return done_turn;
    auto seen = survey(host_, request_.resource, path_, budget_.left(status_limit));
    if (!seen && seen.error().code == ENOENT)
      return failure(host_.drbd.why_not_up(request_.resource, budget_.left(status_limit)));
    if (!seen && seen.error().code == ETIMEDOUT)  // a busy node, on which many guests start at once
      return wait_for(Awaited::Answer, seen.error().message);
    if (!seen)
      return failure(seen.error());
    const drbd::Volume* volume = policy::requested_volume(seen->resource, volume_);
    if (volume == nullptr || volume->minor < 0)
      return failure(policy::no_such_volume(seen->resource, volume_));
    request_.volume = volume->number;
    request_.physical_device = device::physical_device(volume->minor);
    if (auto released = release_abandoned(*seen); !released)
      return failure(released.error());

    auto decision = decide(*seen, *volume);
    if (!decision)
      return failure(decision.error());
    if (decision->action == Action::Promote && is_primary_by_person(*seen, *volume) &&
        !drbd::sees_every_peer(seen->resource) && !volume->role)
      if (auto end = rule_out_opener(seen->resource); !end || *end)
        return end ? Result<TurnEnd>(**end) : failure(end.error());
    switch (decision->action) {
      case Action::Refuse:
        return failure(decision->because);
      case Action::WaitForPeer:
        return wait_for(Awaited::Peer, decision->because);
      case Action::WaitForLink:
        return wait_for(Awaited::Link, decision->because);
      case Action::WaitForData:
        return wait_for(Awaited::Data, decision->because);
      case Action::Promote:
      case Action::HandOver:
      case Action::Share:
        break;
    }
    return promote(*decision, *seen, *volume);
  }

  /// An `add` that was killed, and whose `remove` never came, leaves its claim. One that only waits
  /// will find its directory gone, and the claim says what it has to give back.
  Result<void> release_abandoned(Survey& seen) {
    for (Claim& claim : seen.claims) {
      if (claim.phase != Phase::Promoting || claim.backend == path_)
        continue;
      const auto backend = xenstore::read_backend(host_.store, claim.backend);
      if (!backend)
        return failure(backend.error());
      if (*backend)
        continue;
      claim.phase = Phase::Released;
      if (auto written = host_.records.write(claim); !written)
        return written;
    }
    return {};
  }

  /// Neither this run nor any other made the volume Primary, as far as anybody remembers: what a
  /// skipped `remove` left is nobody's decision.
  bool is_primary_by_person(const Survey& seen, const drbd::Volume& volume) const {
    return volume.role.value_or(seen.resource.role) == Role::Primary &&
           (claim_ ? by_person_ : nobody_claims(seen, volume));
  }

  /// The role that the volume has: on 8.4 each has its own.
  static bool nobody_claims(const Survey& seen, const drbd::Volume& volume) {
    return std::ranges::none_of(seen.claims, [&](const Claim& claim) {
      return !volume.role || claim.minor < 0 || claim.minor == volume.minor;
    });
  }

  /// On DRBD 9 whoever opens the device makes it Primary as well, for as long. What nobody has
  /// open, and is Primary still, was made so on purpose. Nothing then, else the end of this turn.
  Result<std::optional<TurnEnd>> rule_out_opener(const drbd::Resource& resource) {
    const auto wait = [&](const drbd::Volume& volume, const std::string& evidence) {
      return wait_for_close(
                 volume, evidence,
                 "what is open is Primary by itself, which is no decision to start without the "
                 "other node. If it is to be one, run `drbdadm primary " +
                     request_.resource + "` when nobody has it, and start the guest again")
          .map([](const TurnEnd& end) { return std::optional(end); });
    };
    for (const drbd::Volume& volume : resource.volumes)
      if (const auto holders = host_.devices.processes_holding(volume.minor); !holders.empty())
        return wait(volume, "Now " + holders.front() + " has it");
    const auto now = host_.drbd.status_again(resource, budget_.left(status_limit));
    if (!now)
      return failure(now.error());
    if (now->role != Role::Primary)
      return again_after(pause_for_drbd);
    for (const drbd::Volume& volume : now->volumes)
      if (volume.is_open)
        return wait(volume, "DRBD tells so");
    // A process that ends writes its last pages when nobody sees it any more.
    if (was_held_)
      return wait(resource.volumes.front(), "DRBD told so when it was to be made Secondary");
    return std::optional<TurnEnd>();
  }

  Result<Decision> decide(const Survey& seen, const drbd::Volume& requested) {
    policy::Situation situation{.resource = seen.resource,
                                .users = {},
                                .primary_by_person = is_primary_by_person(seen, requested),
                                .held = false,
                                .settings = {},
                                .waited_for_peer = waited(Awaited::Peer),
                                .waited_for_link = waited(Awaited::Link),
                                .waited_for_data = waited(Awaited::Data)};
    for (const policy::Attachment& attachment : seen.in_use)
      situation.users.push_back(policy::user_for(attachment, domain_));
    // What is Secondary here has no writer.
    if (seen.resource.role == Role::Primary)
      for (const drbd::Volume& volume : seen.resource.volumes)
        for (const std::string& use : host_.devices.host_uses(volume.minor))
          situation.users.push_back(policy::use_by_host(volume.minor, use));
    if (request_.purpose == Purpose::Incoming)
      situation.lost_primaries = lost_primaries(seen.resource);
    if (policy::needs_settings(request_.purpose, seen.resource) ||
        !situation.lost_primaries.empty()) {
      auto settings = host_.drbd.settings(request_.resource, budget_.left(status_limit));
      if (!settings)
        return failure(settings.error());
      situation.settings = std::move(*settings);
    }
    if (!saw_a_peer_ && drbd::sees_any_peer(seen.resource)) {
      saw_a_peer_ = true;  // that one may have had it since
      static_cast<void>(host_.records.remove_held(request_.resource));
    }
    if (request_.purpose == Purpose::Start && !drbd::sees_every_peer(seen.resource))
      remember_absence(situation);
    return policy::decide(request_, situation);
  }

  std::set<std::string> lost_primaries(const drbd::Resource& resource) {
    if (!drbd::has_lost_one_of_many(resource))
      return {};
    const auto log = host_.kernel_log();
    if (!log && !std::exchange(told_of_log_, true))
      host_.report.tell(Severity::Notice,
                        "DRBD resource " + request_.resource +
                            ": a node is away, and it cannot be told whether it was Primary when "
                            "it was lost: make sure with `xl list` that the guest does not come "
                            "from there. " +
                            log.error().message);
    return log ? drbd::lost_as_primary(*log, resource) : std::set<std::string>();
  }

  /// What earlier runs left about the time since a peer cannot be seen.
  void remember_absence(policy::Situation& situation) {
    const auto held = host_.records.held(request_.resource);
    if (!held)  // it can be done without
      host_.report.tell(Severity::Notice, held.error().message);
    situation.held = !saw_a_peer_ && held && *held && host_.clock.now() < (*held)->until &&
                     (is_for_toolstack() || (!domain_.vm.empty() && (*held)->vm == domain_.vm));

    bool all_known = true;
    for (const drbd::Peer& peer : situation.resource.peers) {
      if (drbd::is_settled(peer))
        continue;
      const auto* connection = situation.settings->connection_to(peer.node_id);
      if (connection == nullptr || connection->peer_address.empty()) {
        all_known = false;
        continue;
      }
      const record::Outage outage{.peer = host_of(connection->peer_address),
                                  .until = host_.clock.now() + outage_lasts};
      const auto known = host_.records.outage(outage.peer);
      const bool waited_for = situation.waited_for_link >= policy::patience_for_link;
      const bool absent = known && *known && host_.clock.now() < (*known)->until;
      if (absent || waited_for)
        if (auto written = host_.records.write(outage); !written)
          host_.report.tell(Severity::Notice, written.error().message);
      all_known = all_known && absent;
    }
    // That DRBD of another resource is down there says nothing of this one: who starts without
    // being sure waits for himself.
    if (all_known && !request_.choices.starts_unseen)
      situation.waited_for_link = policy::patience_for_link;
  }

  Result<TurnEnd> promote(const Decision& decision, const Survey& seen,
                          const drbd::Volume& volume) {
    bool is_primary = volume.role.value_or(seen.resource.role) == Role::Primary;
    if (!claim_)
      for (const drbd::Volume& left : left_under_our_name(seen, volume)) {
        const auto answer = host_.drbd.demote(seen.resource, left, budget_.left());
        if (!answer)
          return failure(answer.error());
        if (!answer->ok())
          return wait_for_close(left, says(*answer),
                                "it was attached under the name of this disk before, and is "
                                "to be made Secondary first");
      }
    if (auto claimed = claim(seen, volume, is_primary); !claimed)
      return failure(claimed.error());
    // A role that no guest here has is left over from an earlier one, or a person gave it, or on
    // DRBD 9 whoever has opened the device. DRBD gives it back only when all is closed.
    if (is_primary && !promoted_ && nobody_has(seen, volume)) {
      const auto answer = host_.drbd.demote(seen.resource, volume, budget_.left());
      if (!answer)
        return failure(answer.error());
      was_held_ = !answer->ok();
      if (was_held_)
        return wait_for_close(volume, says(*answer),
                              "what comes from there, be it the last writes of an earlier guest, "
                              "would land over those of this one");
      claim_->leave_role = false;  // it was given back just now, and is ours from here on
      is_primary = false;
    }
    if (decision.action == Action::HandOver) {
      const auto window = open_window(host_, seen.resource, request_, path_, has_keeper_, budget_);
      if (!window)
        return failure(window.error());
      has_keeper_ = true;
      if (!window->open)
        return wait_for_window(window->because);
    }
    // What this run has taken already is not asked for again: DRBD may not answer this time, and
    // take the role after it was given back.
    const bool has_role = is_primary && (promoted_ || decision.action == Action::Share);
    if (!has_role) {
      const auto answer = ask_for_role(seen.resource, volume);
      if (!answer)
        return failure(answer.error());
      if (!answer->ok())
        return refused(decision, seen.resource, *answer);
      promoted_ = true;
    }
    if (decision.action == Action::HandOver)
      if (auto whole = link_held(seen.resource); !whole)
        return failure(whole.error());
    if (decision.action == Action::Promote) {
      const auto alone = is_alone(seen.resource);
      if (!alone)
        return failure(alone.error());
      if (!*alone)
        return step_back(seen.resource, volume);
    }
    return attach(seen, volume);
  }

  /// On 8.4, the other volumes that a disk has left Primary which was attached under the name that
  /// ours has now, or for which DRBD has not answered its promotion. Only its claim remembers them,
  /// and ours will take its place.
  std::vector<drbd::Volume> left_under_our_name(const Survey& seen,
                                                const drbd::Volume& volume) const {
    std::vector<drbd::Volume> left;
    for (const Claim& claim : seen.claims)
      for (const drbd::Volume& other : seen.resource.volumes)
        if (claim.backend == path_ && !claim.leave_role &&
            (claim.minor < 0 || claim.minor == other.minor) && other.minor != volume.minor &&
            other.role && (other.role == Role::Primary || claim.unanswered) &&
            nobody_has(seen, other))
          left.push_back(other);
    return left;
  }

  /// Of what shares the role with the volume: on 8.4 each has its own.
  static bool nobody_has(const Survey& seen, const drbd::Volume& volume) {
    const std::string device = device::physical_device(volume.minor);
    return std::none_of(seen.in_use.begin(), seen.in_use.end(), [&](const auto& attachment) {
      return !volume.role || attachment.backend.physical_device == device;
    });
  }

  static std::string says(const drbd::Answer& answer) {
    return "DRBD says " + drbd::quoted(answer);
  }

  Result<TurnEnd> wait_for_close(const drbd::Volume& volume, const std::string& evidence,
                                 const std::string& why) {
    const std::string node = "/dev/drbd" + std::to_string(volume.minor);
    const std::string what = node + " is held open on this node, and not by a guest that runs here";
    if (waited(Awaited::Close) < patience_for_close)
      return wait_for(Awaited::Close, what + ": " + evidence);
    return failure("DRBD resource " + request_.resource + ": " + what + ": " + why +
                   ". Look who has it with `fuser -v " + node + "`, and at `drbdadm status " +
                   request_.resource + "` for suspended I/O. " + evidence);
  }

  Result<TurnEnd> wait_for_window(const std::string& because) {
    if (waited(Awaited::Window) < patience_for_window)
      return wait_for(Awaited::Window, because);
    return failure(policy::cannot_be_taken_over(
        request_.resource, because,
        "See `drbdadm status " + request_.resource + "` on all nodes, then migrate again"));
  }

  /// As long as DRBD has not answered, the promotion may still take effect, whatever becomes of us:
  /// the claim says so to whoever releases the resource.
  Result<drbd::Answer> ask_for_role(const drbd::Resource& resource, const drbd::Volume& volume) {
    claim_->unanswered = true;
    if (auto written = host_.records.write(*claim_); !written)
      return failure(written.error());
    auto answer = host_.drbd.promote(resource, volume, budget_.left());
    claim_->unanswered = !answer && answer.error().code == ETIMEDOUT;
    if (auto written = host_.records.write(*claim_); !written)
      host_.report.tell(Severity::Failure, written.error().message);
    if (!answer)
      return failure("DRBD resource " + request_.resource +
                     " cannot become Primary: " + answer.error().message);
    return answer;
  }

  Result<TurnEnd> refused(const Decision& decision, const drbd::Resource& resource,
                          const drbd::Answer& answer) {
    const bool hand_over = decision.action == Action::HandOver;
    const bool peer_is_primary = policy::peer_is_primary(answer);
    if (hand_over && peer_is_primary && ++windows_ < most_windows)
      return again_after(pause_for_node);
    // Behind another node: neither that it lets go would be seen from here, nor what it wrote last.
    const bool is_hidden = drbd::has_lost_one_of_many(resource);
    const bool is_final = peer_is_primary && (hand_over || is_hidden);
    if (policy::promotion_may_pass(answer) && !is_final &&
        waited(Awaited::Refusal) < patience_for_refusal)
      return wait_for(Awaited::Refusal, says(answer));
    return failure(hand_over ? policy::explain_hand_over(resource, answer)
                             : policy::explain_promotion(resource, answer));
  }

  /// Once the role is ours, the look at it and at the others is worth a wait.
  Result<drbd::Resource> look_again(const drbd::Resource& before) {
    for (;;) {
      auto now = host_.drbd.status_again(before, budget_.left(status_limit));
      const bool late = !now && now.error().code == ETIMEDOUT;
      if (late && budget_.allows_another_turn() && host_.clock.wait(budget_.left(pause_for_drbd)))
        continue;
      if (now && !is_primary_here(*now))
        return failure("DRBD resource " + request_.resource +
                       " is not Primary on this node, though DRBD has just said that it is. Look "
                       "whether something else runs `drbdadm secondary " +
                       request_.resource + "`, and into the kernel log, then try again");
      return now;
    }
  }

  bool is_primary_here(const drbd::Resource& resource) const {
    const drbd::Volume* volume = resource.volume(request_.volume);
    return volume != nullptr && volume->role.value_or(resource.role) == Role::Primary;
  }

  /// After our promotion: promotions are ordered cluster-wide while the link is up, so whoever
  /// looks last sees the other. A peer whose role is not known any more is not settled.
  Result<bool> is_alone(const drbd::Resource& before) {
    const auto now = look_again(before);
    if (!now)
      return failure(now.error());
    return drbd::primary_peers(*now).empty() &&
           (!all_peers_settled(before) ||
            (all_peers_settled(*now) && now->peers.size() == before.peers.size()));
  }

  /// After a promotion beside the one Primary peer, the source: DRBD may have missed it only then,
  /// and have made this node Primary on data that is old by now. The roll-back gives the role back.
  Result<void> link_held(const drbd::Resource& before) {
    const auto now = look_again(before);
    if (!now)
      return failure(now.error());
    const drbd::Peer* source = now->peer(drbd::primary_peers(before).front()->node_id);
    if (source != nullptr && source->role == Role::Primary && drbd::is_settled(*source))
      return {};
    return failure(policy::cannot_be_taken_over(
        request_.resource, "its source was lost, or gave the resource up, during the hand-over",
        "Look at `drbdadm status " + request_.resource + "` on both nodes, then migrate again"));
  }

  /// The role is ours here, also where a person had given it before: it was given back and taken
  /// again. When DRBD refuses to take it back, the next turn finds the resource Primary by our own
  /// hand, and that is no ground for anything; nor is what a person decided before the other node
  /// appeared.
  Result<void> give_role_back(const drbd::Resource& resource, const drbd::Volume& volume) {
    by_person_ = false;
    const auto answer = host_.drbd.demote(resource, volume, budget_.left());
    if (!answer)
      return failure(answer.error());
    promoted_ = !answer->ok();
    return {};
  }

  Result<TurnEnd> step_back(const drbd::Resource& resource, const drbd::Volume& volume) {
    if (auto given = give_role_back(resource, volume); !given)
      return failure(given.error());
    host_.report.tell(Severity::Notice, "DRBD resource " + request_.resource +
                                            ": another node became Primary at the same moment, or "
                                            "the link changed; stepping back, then looking again");
    std::uniform_int_distribution<unsigned> pause(shortest_step_back, longest_step_back);
    return again_after(Duration(pause(host_.random)));
  }

  /// Xen's lock is one for all disks of the node, each of which needs it for a moment: when many
  /// guests start at once, a look at DRBD before each try would take the time that they all need.
  Result<std::unique_ptr<record::Lock>> lock_xen_block() {
    const TimePoint until = host_.clock.now() + turn_for_xen_lock;
    for (Duration pause = shortest_pause_for_xen_lock;;
         pause = std::min(pause * 2, longest_pause_for_xen_lock)) {
      auto lock = host_.records.try_lock_xen_block();
      if (!lock || *lock || host_.clock.now() >= until || !host_.clock.wait(pause))
        return lock;
    }
  }

  /// The resource is ours: hands the device over, still under the lock.
  Result<TurnEnd> attach(const Survey& seen, const drbd::Volume& volume) {
    const auto node = host_.devices.node_of(volume.minor);
    if (!node)
      return failure(node.error());
    if (!*node) {
      if (waited(Awaited::Node) < patience_for_node)
        return wait_for(Awaited::Node,
                        "udev has not made the device of minor " + std::to_string(volume.minor));
      return failure("DRBD resource " + request_.resource + ": there is no device node for minor " +
                     std::to_string(volume.minor) +
                     " (block device 147:" + std::to_string(volume.minor) +
                     ") under /dev. Look whether udev runs, and try `udevadm trigger "
                     "--subsystem-match=block`");
    }
    auto xen_lock = lock_xen_block();
    if (!xen_lock)
      return failure(xen_lock.error());
    if (!*xen_lock) {
      if (waited(Awaited::XenLock) < patience_for_xen_lock)
        return wait_for(Awaited::XenLock, "another of Xen's block scripts is at work");
      return failure(
          "DRBD resource " + request_.resource +
          ": another of Xen's block scripts has held /run/xen-hotplug/block for too long. "
          "Look with `ps ax | grep scripts/block` what it is doing");
    }
    // Xen's own block script may have attached the device as phy:/dev/drbd… Should that one be in
    // the way, the next turn says so.
    const auto in_use = attachments_in_use(host_, seen.resource, seen.claims, path_);
    const bool as_seen =
        in_use && std::equal(in_use->begin(), in_use->end(), seen.in_use.begin(), seen.in_use.end(),
                             [](const policy::Attachment& one, const policy::Attachment& other) {
                               return one.backend.path == other.backend.path;
                             });
    if (!as_seen) {
      xen_lock->reset();
      if (promoted_)
        if (auto given = give_role_back(seen.resource, volume); !given)
          return failure(given.error());
      return in_use ? Result<TurnEnd>(again_after(pause_for_drbd)) : failure(in_use.error());
    }

    if (auto published = publish_device(host_.store, *disk_, request_.physical_device, **node);
        !published)
      return failure("DRBD resource " + request_.resource + ": " + published.error().message);
    claim_->phase = Phase::Attached;
    // From here on it is ours; but what the toolstack only looks at, and the guest needs, stays.
    claim_->leave_role = by_person_ && is_for_toolstack() && !drbd::sees_every_peer(seen.resource);
    if (!is_for_toolstack())
      static_cast<void>(host_.records.remove_held(request_.resource));  // it ends by itself, too
    if (auto written = host_.records.write(*claim_); !written)
      host_.report.tell(Severity::Failure, written.error().message);
    const std::string guest =
        request_.guest.empty() ? "" : "guest " + printable(request_.guest) + ", ";
    const std::string arriving =
        request_.purpose == Purpose::Incoming ? ", which arrives by migration" : "";
    host_.report.tell(Severity::Info, "DRBD resource " + request_.resource + ": " + **node +
                                          " is Primary for " + guest + "domain " +
                                          std::to_string(path_.frontend()) + arriving);
    return done_turn;
  }

  /// Written before the role is touched: whatever happens to us then, `remove` knows.
  Result<void> claim(const Survey& seen, const drbd::Volume& volume, bool is_primary) {
    if (!claim_) {
      by_person_ = is_primary && seen.in_use.empty() && nobody_claims(seen, volume);
      claim_ = Claim{.backend = path_,
                     .resource = request_.resource,
                     .volume = request_.volume,
                     .minor = volume.minor,
                     .phase = Phase::Promoting,
                     // What a killed or forgotten use of ours left is not somebody else's.
                     .leave_role = by_person_,
                     .unanswered = false,
                     .incoming = request_.purpose == Purpose::Incoming,
                     .domain = domain_.name,
                     .vm = domain_.vm,
                     .run = static_cast<int>(host_.random())};
    }
    if (!is_primary)  // what was given up is nobody's
      by_person_ = claim_->leave_role = false;
    claim_->minor = volume.minor;
    return host_.records.write(*claim_);
  }

  Result<TurnEnd> wait_for(Awaited what, const std::string& because) {
    say_what_we_wait_for(what, because);
    switch (what) {
      case Awaited::Node:
        return again_after(pause_for_node);
      default:
        return again_after(pause_for_drbd);
    }
  }

  /// Says it once, at once.
  void say_what_we_wait_for(Awaited what, const std::string& because) {
    waiting_for_ = because;
    if (since_.try_emplace(what, host_.clock.now()).second)
      host_.report.tell(Severity::Notice,
                        "DRBD resource " + request_.resource + ": waiting, because " + because);
  }

  Duration waited(Awaited what) const {
    const auto since = since_.find(what);
    return since == since_.end()
               ? Duration(0)
               : std::chrono::duration_cast<Duration>(host_.clock.now() - since->second);
  }

  Host& host_;
  xenstore::BackendPath path_;
  Budget budget_;
  policy::Request request_;
  std::optional<xenstore::Backend> disk_;
  std::optional<int> volume_;  ///< as the disk line names it
  xenstore::Domain domain_;
  std::optional<Claim> claim_;
  int windows_ = 0;  ///< that were closed again before the promotion
  bool has_keeper_ = false;
  bool promoted_ = false;
  bool by_person_ = false;  ///< Primary before this run began, and by none of ours
  bool was_held_ = false;   ///< as DRBD would not take the role back
  bool saw_a_peer_ = false;
  bool told_of_log_ = false;  ///< that it cannot be read
  std::map<Awaited, TimePoint> since_;
  std::string waiting_for_;
};

}  // namespace

Result<void> add(Host& host, const xenstore::BackendPath& path, Duration limit) {
  const Budget budget(host.clock, limit);
  Attaching attaching(host, path, budget.less(rollback_reserve));
  const auto attached = attaching.run();
  if (attached) {
    if (!attaching.has_keeper())
      call_keeper(host, attaching.resource(), attaching.claimed());
    return {};
  }
  host.clock.acknowledge();
  std::string message = attached.error().message;
  const std::string& resource = attaching.resource();
  if (!resource.empty() && message.find("resource " + resource) == std::string::npos)
    message = "DRBD resource " + resource + " cannot be attached: " + message;
  // A device that is there by now was attached by another run of ours for the same disk.
  const auto backend = xenstore::read_backend(host.store, path);
  const bool attached_by_another = attaching.disk() && backend && *backend &&
                                   is_same_disk(**backend, *attaching.disk()) &&
                                   !(*backend)->physical_device.empty();
  if (attaching.claimed() && !attached_by_another)
    if (const auto released = release(host, *attaching.claimed(), budget); !released)
      message += ". " + released.error().message;
  if (!resource.empty())
    call_keeper(host, resource, std::nullopt);
  message += attaching.for_whom();
  if (attaching.disk())
    publish_failure(host.store, host.report, *attaching.disk(), message);
  return failure(message);
}

}  // namespace block_drbd::hotplug
