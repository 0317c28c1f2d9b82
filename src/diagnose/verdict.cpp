#include "diagnose/verdict.h"

#include <algorithm>

#include "device/devices.h"
#include "policy/decide.h"
#include "policy/refusals.h"
#include "policy/window.h"

namespace block_drbd::diagnose {

using drbd::Disk;
using drbd::Resource;
using drbd::Role;
using policy::Action;
using policy::Decision;
using policy::Opening;
using policy::Purpose;

namespace {

Verdict works(std::string text) {
  return {.outcome = Outcome::Works, .text = std::move(text)};
}

Verdict in_use(std::string text) {
  return {.outcome = Outcome::InUse, .text = std::move(text)};
}

Verdict fails(std::string text) {
  return {.outcome = Outcome::Fails, .text = std::move(text)};
}

std::string in_seconds(Duration time) {
  return std::to_string(time / std::chrono::seconds(1)) + " s";
}

bool is_waiting(Action action) {
  return action == Action::WaitForPeer || action == Action::WaitForLink ||
         action == Action::WaitForData;
}

Duration patience_for(Action action) {
  switch (action) {
    case Action::WaitForPeer:
      return policy::patience_for_peer;
    case Action::WaitForLink:
      return policy::patience_for_link;
    default:
      return policy::patience_for_data;
  }
}

Verdicts both_fail(const std::string& text) {
  return {.start = fails(text), .migration = fails(text)};
}

/// What DRBD would answer where a promotion cannot succeed; success where nothing is known against.
drbd::Answer foreseen_answer(const Resource& resource, const drbd::Volume& volume) {
  drbd::Answer answer;
  const auto refused = [&](int code, const char* text) {
    answer = {.exit_code = 17, .code = code, .text = text};
  };
  const bool good_there = std::ranges::any_of(resource.peers, [&](const drbd::Peer& peer) {
    return std::ranges::any_of(peer.volumes, [&](const drbd::PeerVolume& each) {
      return each.number == volume.number && each.disk == Disk::UpToDate;
    });
  });
  const bool good_here = volume.disk == Disk::UpToDate || volume.disk == Disk::Consistent;
  if (!good_here && !good_there)
    refused(drbd::code::no_up_to_date, "Need access to UpToDate data");
  else if (!volume.quorum)
    refused(drbd::code::no_quorum, "No quorum");
  return answer;
}

/// One disk of one resource that is up.
class Judge {
 public:
  Judge(const Facts& facts, const Target& target, const Resource& resource,
        const drbd::Volume& volume)
      : facts_(facts),
        resource_(resource),
        volume_(volume),
        users_(users_of(facts, resource)),
        request_{.resource = resource.name,
                 .volume = volume.number,
                 .physical_device = device::physical_device(volume.minor),
                 .purpose = Purpose::Start,
                 .access = target.access,
                 .guest = target.guest,
                 .choices = facts.config.of(resource.name)} {}

  Verdicts judge() {
    if (const policy::Attachment* user = user_of(users_, volume_)) {
      const std::string who = policy::describe(*user) + " has it";
      const bool is_another = !request_.guest.empty() && user->domain.name != request_.guest;
      if (is_another)
        return {.start = fails(who + ", and " + request_.guest +
                               " could not start beside it. Shut that guest down first, or correct "
                               "the disk line"),
                .migration = fails(who)};
      return {.start = in_use(who), .migration = in_use("it is here already")};
    }
    if (resource_.suspended)
      return both_fail("its I/O is suspended: a guest would stand still. What to do is told below");
    if (const auto openers = facts_.openers.find(volume_.minor);
        openers != facts_.openers.end() && !openers->second.empty() && users_.empty())
      return both_fail("it is held open on this node by " + openers->second.front() +
                       ", and not by a guest: what comes from there would land over the writes of "
                       "the guest");
    return {.start = start(), .migration = migration()};
  }

 private:
  Verdict start() {
    request_.purpose = Purpose::Start;
    const auto [first, last] = decide();
    const std::string wait = waiting(first);
    const auto primary = drbd::primary_peers(resource_);
    if (last.action == Action::Refuse && !primary.empty() && first.action == Action::WaitForPeer)
      return in_use(policy::name_of(*primary.front(), situation().settings) +
                    " is Primary: a guest there has it, or somebody else (see `block-drbd test " +
                    resource_.name + "` there). A start here would be refused after " +
                    in_seconds(policy::patience_for_peer));
    const drbd::Answer answer = foreseen_answer(resource_, volume_);
    // Where a person may decide, that does not help without good data.
    const bool is_for_a_person = !drbd::sees_every_peer(resource_) && parted_by().empty();
    if (last.action == Action::Refuse && (answer.ok() || !is_for_a_person))
      return refused(wait, last.because);
    if (!answer.ok())
      return fails(policy::explain_promotion(resource_, answer));
    const bool is_remote = volume_.disk == Disk::Diskless && !volume_.is_client;
    return works((wait.empty() ? nothing_seen_in_the_way() : "would " + wait + ", then start") +
                 (is_remote ? "; but all its data is on another node: should the connection be "
                              "lost, the guest stands still"
                            : ""));
  }

  Verdict migration() {
    request_.purpose = Purpose::Incoming;
    const auto [first, last] = decide();
    const std::string wait = waiting(first);
    if (last.action == Action::Refuse)
      return refused(wait, last.because);
    if (last.action == Action::HandOver)
      return hand_over();
    if (const drbd::Answer answer = foreseen_answer(resource_, volume_); !answer.ok())
      return fails(policy::explain_hand_over(resource_, answer));
    if (is_target_of_resync(resource_, volume_))
      return fails("its data is being copied to here, and no guest can come before that is done");
    return works(nothing_seen_in_the_way() + "; no other node is Primary now");
  }

  std::string nothing_seen_in_the_way() const {
    return facts_.xenstore_trouble.empty()
               ? "nothing is in the way"
               : "nothing that an ordinary user can see is in the way; as root more is seen";
  }

  /// Where the nodes parted for a reason that is known, its finding has the way out; what `add`
  /// says in general about a lost connection would only mislead.
  Verdict refused(const std::string& wait, const std::string& because) const {
    if (const std::string parted = parted_by(); !parted.empty())
      return fails("DRBD resource " + resource_.name + " has given up the connection: " + parted +
                   ". What to do is told below");
    return fails(wait.empty() ? because : "would " + wait + ", then: " + because);
  }

  std::string parted_by() const {
    const auto reason = [&](std::string_view peer) -> std::string {
      switch (drbd::why_parted(facts_.kernel_log, resource_, peer)) {
        case drbd::Parted::SplitBrain:
          return "split brain";
        case drbd::Parted::TwoPrimaries:
          return "the nodes differ in allow-two-primaries";
        case drbd::Parted::UnrelatedData:
          return "the disks never were copies of each other";
        case drbd::Parted::SettingsDiffer:
          return "the nodes differ in their settings";
        case drbd::Parted::SecretsDiffer:
          return "the nodes do not accept each other's secret";
        case drbd::Parted::Unknown:
          return "";
      }
      return "";
    };
    if (resource_.peers.empty())
      return reason("");
    for (const drbd::Peer& peer : resource_.peers)
      if (peer.connection == drbd::Connection::StandAlone)
        if (std::string found = reason(peer.name); !found.empty())
          return found;
    return "";
  }

  Verdict hand_over() {
    const auto situation = this->situation();
    const drbd::Peer& source = *drbd::primary_peers(resource_).front();
    const std::string name = policy::name_of(source, situation.settings);
    const record::Window* window = facts_.records.window_of(resource_.name);
    const auto [opening, because] = policy::decide_opening(
        request_.access, request_.choices,
        situation.settings ? situation.settings->connection_to(source.node_id) : nullptr,
        window == nullptr ? std::nullopt : std::optional(*window));
    switch (opening) {
      case Opening::Open:
        return works("would allow two primaries towards " + name + " for its time");
      case Opening::Adopt:
        return works("would use the allowance of two primaries that is open towards " + name);
      case Opening::Allowed:
        return works("would work; two primaries are allowed");
      case Opening::Wait:
      case Opening::Refuse:
        break;
    }
    if (opening == Opening::Refuse && !request_.choices.opens_windows)
      return in_use("it stays there: " + because);
    return fails(policy::cannot_be_taken_over(resource_.name, because, "Then migrate again"));
  }

  /// What is decided at first, and what when nothing has changed after all waits.
  std::pair<Decision, Decision> decide() const {
    policy::Situation situation = this->situation();
    Decision first = policy::decide(request_, situation);
    situation.waited_for_peer = policy::patience_for_peer;
    situation.waited_for_link = policy::patience_for_link;
    situation.waited_for_data = policy::patience_for_data;
    return {std::move(first), policy::decide(request_, situation)};
  }

  static std::string waiting(const Decision& decision) {
    if (!is_waiting(decision.action))
      return "";
    return "wait up to " + in_seconds(patience_for(decision.action)) + ", because " +
           decision.because;
  }

  policy::Situation situation() const {
    policy::Situation situation{.resource = resource_,
                                .users = {},
                                .primary_by_person = is_primary_by_person(),
                                .held = false,
                                .settings = {},
                                .waited_for_peer = Duration(0),
                                .waited_for_link = Duration(0),
                                .waited_for_data = Duration(0)};
    const xenstore::Domain somebody_new{
        .id = ~xenstore::DomId{0}, .exists = false, .name = {}, .vm = {}, .target = {}};
    if (request_.purpose == Purpose::Incoming)
      situation.lost_primaries = drbd::lost_as_primary(facts_.kernel_log, resource_);
    for (const policy::Attachment& each : users_)
      situation.users.push_back(policy::user_for(each, somebody_new));
    for (const drbd::Volume& volume : resource_.volumes)
      if (const auto uses = facts_.host_uses.find(volume.minor); uses != facts_.host_uses.end())
        for (const std::string& use : uses->second)
          situation.users.push_back(policy::use_by_host(volume.minor, use));
    if (const drbd::Settings* settings = facts_.drbd.settings_of(resource_.name))
      situation.settings = *settings;
    return situation;
  }

  bool is_primary_by_person() const {
    return resource_.role == Role::Primary &&
           std::ranges::none_of(facts_.records.claims, [&](const record::Claim& claim) {
             return claim.resource == resource_.name && !claim.leave_role;
           });
  }

  const Facts& facts_;
  const Resource& resource_;
  const drbd::Volume& volume_;
  std::vector<policy::Attachment> users_;
  policy::Request request_;
};

}  // namespace

Verdicts judge(const Facts& facts, const Target& target) {
  const std::string& name = target.spec.resource;
  if (!target.driver_domain.empty()) {
    const Verdict elsewhere{.outcome = Outcome::Elsewhere,
                            .text = "the driver domain " + printable(target.driver_domain) +
                                    " serves it: run `block-drbd test " + name + "` there"};
    return {.start = elsewhere, .migration = elsewhere};
  }
  if (!facts.drbd_trouble.empty())
    return both_fail("DRBD does not answer: " + facts.drbd_trouble);
  if (!facts.xenstore_trouble.empty() && facts.is_root)
    return both_fail("without xenstore no guest can start, and none can be seen");
  if (!facts.config_trouble.empty())
    return both_fail(facts.config_trouble);
  if (facts.script == Script::Missing)
    return both_fail("there is no " XEN_SCRIPT);
  if (facts.script == Script::NotExecutable)
    return both_fail(XEN_SCRIPT " cannot be executed");
  if (!facts.records.can_be_read_of(name))
    return both_fail("what is remembered of it cannot be read. What to do is told below");
  const Resource* resource = facts.drbd.resource(name);
  if (resource == nullptr) {
    const auto why = facts.why_not_up.find(name);
    return both_fail(why == facts.why_not_up.end()
                         ? "DRBD resource " + name + " is not up: run `drbdadm up " + name + '`'
                         : why->second);
  }
  const drbd::Volume* volume = policy::requested_volume(*resource, target.spec.volume);
  if (volume == nullptr || volume->minor < 0)
    return both_fail(policy::no_such_volume(*resource, target.spec.volume));
  return Judge(facts, target, *resource, *volume).judge();
}

}  // namespace block_drbd::diagnose
