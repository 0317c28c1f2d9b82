#include "hotplug/release.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "hotplug/hand_over.h"
#include "hotplug/survey.h"

namespace block_drbd::hotplug {

using drbd::Role;
using record::Claim;
using record::Phase;

namespace {

constexpr Duration first_pause_for_release{20};
constexpr Duration longest_pause_for_release{500};
/// blkback closes a device a moment after it has said so: nothing to speak of.
constexpr Duration quiet_about_release_for = std::chrono::seconds(1);
/// A guest that reboots is back within seconds; the toolstack may be busy with others.
constexpr Duration reboot_takes = std::chrono::minutes(1);
/// What a demotion leaves for the look at what came of it.
constexpr Duration time_for_a_look = std::chrono::seconds(2);

Role role_of(const drbd::Resource& resource, const drbd::Volume& volume) {
  return volume.role.value_or(resource.role);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// The end of one attempt.
enum class Turn { Done, Again, GivenUp };

class Release {
 public:
  Release(Host& host, Claim use, const Budget& budget)
      : host_(host), use_(std::move(use)), budget_(budget) {}

  Result<void> run() {
    Duration pause = first_pause_for_release;
    const TimePoint begin = host_.clock.now();
    bool said = false;
    for (;;) {
      const auto turn = locked_turn();
      if (!turn)
        return failure(turn.error());
      if (*turn == Turn::Done)
        return {};
      host_.place.reset();
      if (*turn == Turn::GivenUp || !budget_.allows_another_turn() ||
          !host_.clock.wait(budget_.left(pause)))
        return failure(not_released(), ETIMEDOUT);
      if (!said && host_.clock.now() - begin >= quiet_about_release_for) {
        host_.report.tell(Severity::Notice,
                          "DRBD resource " + resource_ + ": trying " +
                              (stays_ ? "to note again that this use of it has ended"
                                      : "to make it Secondary again") +
                              ", because " + joined(trouble_));
        said = true;
      }
      pause = std::min(pause * 2, longest_pause_for_release);
    }
  }

  /// Under the lock that the caller has.
  Result<bool> try_once(bool late, bool& tells) {
    late_ = late;
    const auto turn = take_turn();
    if (!held_.empty() && std::exchange(tells, false))
      host_.report.tell(Severity::Failure, not_released());
    return turn.map([](Turn end) { return end == Turn::Done; });
  }

 private:
  /// An error only when the lock cannot be had at all. What goes wrong under it is tried again:
  /// giving up would leave a Primary behind.
  Result<Turn> locked_turn() {
    const auto lock = lock_resource(host_, resource_, budget_);
    if (!lock) {
      // No user any more, whoever finds out about the role.
      static_cast<void>(release_claim());
      // A keeper, which `gone` has called meanwhile, may have it: what was seen before tells more.
      if (!held_.empty() && lock.error().code == ETIMEDOUT)
        return Turn::Again;
      return failure(lock.error());
    }
    trouble_.clear();
    held_.clear();
    stays_ = false;
    auto turn = take_turn();
    if (!turn) {
      trouble_.push_back(turn.error().message);
      return Turn::Again;
    }
    return turn;
  }

  Result<Turn> take_turn() {
    const auto mine = release_claim();
    if (!mine)
      return failure(mine.error());
    if (!*mine)
      return Turn::Done;  // never attached, or meanwhile finished by another remove
    if ((*mine)->incoming)
      complain_once(note_arrival_before_end());

    auto seen = survey(host_, resource_, own_, budget_.left(status_limit));
    if (!seen && seen.error().code == ENOENT)
      return forget();  // it is down: no role to give back
    // A DRBD that has not answered is not asked again under the same lock.
    if (!seen && seen.error().code != ETIMEDOUT && !(*mine)->unanswered && is_secondary())
      return drop_ended();
    if (!seen)
      return failure(seen.error());
    if (!released_) {  // it counts for what is to be done, though it could not be written
      std::erase_if(seen->claims, [&](const Claim& claim) { return claim.backend == own_; });
      seen->claims.push_back(**mine);
    }
    // A backend may stay in xenstore a moment longer than its use lasts.
    if (seen->resource.role != Role::Primary && !seen->in_use.empty() && !(*mine)->unanswered)
      return drop(**mine);
    if (!seen->in_use.empty() && !released_) {
      // The others would take this use for one that goes on, and each stay.
      stays_ = true;
      trouble_.push_back(policy::describe(seen->in_use.front()) + " still uses it");
      return Turn::Again;
    }
    if (!seen->in_use.empty()) {
      host_.report.tell(Severity::Info, "DRBD resource " + resource_ + " stays Primary: " +
                                            policy::describe(seen->in_use.front()) +
                                            " still uses it");
      return Turn::Done;
    }
    if ((*mine)->leave_role)  // what the claims on other volumes say, on 8.4, is not its affair
      return drop(**mine);
    const auto remembered = remember_for_later(*seen, **mine);
    complain_once(remembered);
    was_attached_ = was_attached_ && !remembered;
    return demote(*seen);
  }

  Result<Turn> drop(const Claim& mine) {
    return host_.records.remove(mine).map([] { return Turn::Done; });
  }

  template <typename Which>
  Result<Turn> drop_claims(Which which) {
    const auto claims = host_.records.claims_on(resource_);
    if (!claims)
      return failure(claims.error());
    for (const Claim& claim : *claims)
      if (which(claim))
        if (auto removed = host_.records.remove(claim); !removed)
          return failure(removed.error());
    return Turn::Done;
  }

  /// Takes away the claims of ended uses, but those whose promotion may still take effect.
  Result<Turn> drop_ended() {
    return drop_claims([&](const Claim& claim) {
      return (claim.phase == Phase::Released || claim.backend == own_) && !claim.unanswered;
    });
  }

  /// There is nothing to give back then, whoever else uses the resource.
  bool is_secondary() {
    const auto state = host_.drbd.status(resource_, budget_.left(status_limit));
    return state && drbd::is_secondary(*state);
  }

  /// A role that is not given back is worse than what is not remembered.
  void complain_once(const Result<void>& remembered) {
    if (!remembered && !std::exchange(complained_, true))
      host_.report.tell(Severity::Failure, remembered.error().message);
  }

  /// The guest came by migration. If it is gone before the keeper has seen it arrive, nobody will.
  Result<void> note_arrival_before_end() {
    auto window = host_.records.window_of(resource_);
    if (!window || !*window || (*window)->backend.frontend() != own_.frontend())
      return window.map([](const auto&) {});
    return note_arrival(host_, **window);
  }

  Result<void> remember_for_later(const Survey& seen, const Claim& mine) {
    if (!was_attached_ || seen.resource.role != Role::Primary ||
        own_.frontend() == xenstore::toolstack_domain)  // no guest, though xend gives it a vm
      return {};
    const auto domain = xenstore::read_domain(host_.store, own_.frontend());
    if (!domain)
      return failure(domain.error());
    // xl's name for a guest that runs on another node by now.
    if (xenstore::has_left(*domain))
      return remember_window(seen.resource);
    // Nor has one that never ran here anything to come back to.
    if (domain->name.empty() || xenstore::is_arriving(*domain))
      return {};
    return remember_held(seen.resource, mine.vm.empty() ? domain->vm : mine.vm);
  }

  /// The target's keeper closes the window for both nodes, as long as they are connected. Should
  /// the link be lost before, nobody but we would do it here, and the nodes would refuse each
  /// other.
  Result<void> remember_window(const drbd::Resource& resource) {
    const auto remembered = host_.records.window_of(resource_);
    if (!remembered || *remembered)
      return remembered.map([](const auto&) {});
    const auto target = target_of_hand_over(resource);
    if (!target || *target == nullptr)
      return target.map([](const auto&) {});
    return host_.records.write(record::Window{.resource = resource_,
                                              .peer = (*target)->node_id,
                                              .backend = own_,
                                              .found_open = true,
                                              .unanswered = false,
                                              .arrived = true});
  }

  /// The peer that has the guest by now, or has had it: a guest may end as soon as it has arrived,
  /// and the link may be lost. Where none is Primary, nothing when no link allows two primaries.
  Result<const drbd::Peer*> target_of_hand_over(const drbd::Resource& resource) {
    if (const auto primary = drbd::primary_peers(resource); !primary.empty())
      return primary.front();
    const auto settings = host_.drbd.settings(resource_, budget_.left(status_limit));
    if (!settings)
      return failure(settings.error());
    for (const bool is_settled : {false, true})
      for (const drbd::Peer& peer : resource.peers)
        if (const auto* link = settings->connection_to(peer.node_id);
            link && link->two_primaries && drbd::is_settled(peer) == is_settled)
          return &peer;
    return nullptr;
  }

  /// A guest that reboots while a peer cannot be seen may have the resource again: it has it now.
  /// Not where any node is seen: that one may have it next.
  Result<void> remember_held(const drbd::Resource& resource, const std::string& vm) {
    if (drbd::sees_any_peer(resource) || vm.empty())
      return {};
    return host_.records.write(
        record::Held{.resource = resource_, .vm = vm, .until = host_.clock.now() + reboot_takes});
  }

  /// Marks our claim released: from here on nobody counts us as a user. Nothing when another run
  /// has ended the use, or the claim is that of a disk which was attached under our name since.
  /// What the shell script attached gets one. It is released also where that cannot be written: on
  /// a read-only disk, or a full one where there was no claim to write over.
  Result<std::optional<Claim>> release_claim() {
    const auto claims = host_.records.claims_on(resource_);
    if (!claims)
      return failure(claims.error());
    const auto found = std::find_if(claims->begin(), claims->end(),
                                    [&](const Claim& claim) { return claim.backend == own_; });
    const bool is_unwritten = use_.minor < 0 && use_.phase == Phase::Attached && !released_;
    if (found == claims->end() ? !is_unwritten : found->run != use_.run)
      return std::nullopt;
    Claim mine = found != claims->end() ? *found : use_;
    if (mine.phase != Phase::Released) {
      was_attached_ = mine.phase == Phase::Attached;
      mine.phase = Phase::Released;
      const auto written = host_.records.write(mine);
      released_ = written.has_value();
      if (!written) {
        trouble_.push_back("it cannot be noted that this use has ended: " +
                           written.error().message);
        complain_once(
            failure("DRBD resource " + resource_ + ": " + trouble_.back() +
                    ". See that /run is writable and has room, and look at `drbdadm status " +
                    resource_ + "` whether its role was given back"));
      }
    } else {
      released_ = true;
    }
    return mine;
  }

  Result<Turn> demote(const Survey& seen) {
    const auto volumes = volumes_to_demote(seen.resource, seen.claims);
    std::vector<drbd::Volume> answered;
    bool lasting = false;
    for (const drbd::Volume& volume : with_unanswered(volumes, seen)) {
      const auto answer =
          host_.drbd.demote(seen.resource, volume, budget_.less(time_for_a_look).left());
      if (!answer) {
        trouble_.push_back(answer.error().message);
        continue;
      }
      answered.push_back(volume);
      if (!answer->ok())
        trouble_.push_back("DRBD says " + drbd::quoted(*answer));
      if (answer->code == drbd::code::held_open)
        lasting = lasting || !host_.devices.host_uses(volume.minor).empty();
    }
    // The state counts, not the exit code: a command that was stopped may have taken effect.
    const auto now = host_.drbd.status_again(seen.resource, budget_.left(status_limit));
    if (!now && now.error().code != ENOENT)
      return failure(now.error());
    if (now && drbd::sees_any_peer(*now))
      static_cast<void>(host_.records.remove_held(resource_));  // seen while it was given back
    held_ = now ? volumes_to_demote(*now, seen.claims) : std::vector<drbd::Volume>();
    if (!held_.empty() && trouble_.empty())
      trouble_.emplace_back("DRBD says that it is Secondary, and shows it as Primary");
    if (!held_.empty())
      return lasting ? Turn::GivenUp : Turn::Again;
    if (!volumes.empty())
      host_.report.tell(Severity::Info, "DRBD resource " + resource_ +
                                            " is Secondary again: its last guest here has ended");
    // DRBD carries out one command after another: what came before an answered one is over.
    const bool unanswered =
        late_ && std::any_of(seen.claims.begin(), seen.claims.end(), [&](const Claim& claim) {
          return claim.unanswered &&
                 std::none_of(answered.begin(), answered.end(), [&](const drbd::Volume& volume) {
                   return !volume.role || volume.minor == claim.minor;
                 });
        });
    if (unanswered) {
      trouble_.emplace_back("DRBD has not answered a promotion, which may still take effect");
      return Turn::Again;
    }
    return forget();
  }

  /// On DRBD 9 any volume stands for the resource. On 8.4 those that were claimed: another one may
  /// have been promoted by somebody else for a purpose of his own.
  static std::vector<drbd::Volume> volumes_to_demote(const drbd::Resource& resource,
                                                     const std::vector<Claim>& claims) {
    std::vector<drbd::Volume> volumes;
    for (const drbd::Volume& volume : resource.volumes) {
      const bool claimed = std::any_of(claims.begin(), claims.end(), [&](const Claim& claim) {
        return (claim.minor == volume.minor || claim.minor < 0) && !claim.leave_role;
      });
      const bool by_resource = !volume.role;
      if (role_of(resource, volume) == Role::Primary && (claimed || by_resource))
        volumes.push_back(volume);
      if (by_resource && !volumes.empty())
        break;
    }
    return volumes;
  }

  /// Also those that may become Primary yet: to ask for the role that they have is the way to hear
  /// that DRBD has done with what it was asked before.
  std::vector<drbd::Volume> with_unanswered(std::vector<drbd::Volume> volumes,
                                            const Survey& seen) const {
    for (const drbd::Volume& volume : seen.resource.volumes) {
      const auto is_same = [&](const drbd::Volume& other) {
        return !volume.role || other.minor == volume.minor;
      };
      const bool unanswered =
          late_ && std::any_of(seen.claims.begin(), seen.claims.end(), [&](const Claim& claim) {
            return claim.unanswered && claim.minor == volume.minor;
          });
      if (unanswered && std::none_of(volumes.begin(), volumes.end(), is_same))
        volumes.push_back(volume);
    }
    return volumes;
  }

  /// Takes the claims of ended uses away: nobody uses the resource here. One that is just being
  /// promoted for is written anew by its `add` at each turn.
  Result<Turn> forget() {
    return drop_claims([&](const Claim& claim) {
      return (claim.phase != Phase::Promoting || claim.backend == own_) && !may_be_answered(claim);
    });
  }

  /// Another disk's promotion may still take effect: its own release looks after that.
  bool may_be_answered(const Claim& claim) const {
    return late_ && claim.unanswered && !(claim.backend == own_);
  }

  std::string not_released() {
    const std::string what = joined(trouble_);
    const std::string why = what.empty() ? "" : ": " + what;
    if (held_.empty())
      return "DRBD resource " + resource_ + " may still be Primary on this node, or become so" +
             why + ". Look at `drbdadm status " + resource_ +
             "`; if it is Primary here and `xl list` shows "
             "no guest that uses it, run `drbdadm secondary " +
             resource_ + "` here";
    std::vector<std::string> holders;
    for (const drbd::Volume& volume : held_) {
      const std::string node = "/dev/drbd" + std::to_string(volume.minor);
      for (const std::string& use : host_.devices.host_uses(volume.minor))
        holders.push_back(std::string(node).append(" is ").append(use));
      for (const std::string& process : host_.devices.processes_holding(volume.minor))
        holders.push_back(std::string(process).append(" has ").append(node).append(" open"));
    }
    return "DRBD resource " + resource_ +
           " is still Primary on this node, though its last guest here has ended" + why + ". " +
           (holders.empty()
                ? "No process has its device open: most likely the kernel's block backend "
                  "waits for the guest's last I/O: suspended I/O shows in `drbdadm status " +
                      resource_ +
                      "`; and if another node or the link to it was lost, run `ss -K state "
                      "fin-wait-1 state closing state last-ack` here: else Linux may keep for ever "
                      "what was on its way to it"
                : joined(holders)) +
           ". No other node can start the guest until the device is closed. " +
           (released_ ? "A process stays behind and makes the resource Secondary then; `drbdadm "
                        "secondary " +
                            resource_ + "` here does the same"
                      : "No process stays behind for that, since it cannot be noted that this use "
                        "has ended: then run `drbdadm secondary " +
                            resource_ + "` here");
  }

  Host& host_;
  const Claim use_;  ///< the one that ends, as the caller knew it
  const xenstore::BackendPath& own_ = use_.backend;
  const std::string& resource_ = use_.resource;
  Budget budget_;
  bool was_attached_ = false;         ///< until this run
  bool released_ = false;             ///< the claim says so
  bool complained_ = false;           ///< of what could not be remembered
  bool stays_ = false;                ///< Primary, since others use it
  bool late_ = true;                  ///< what DRBD has not answered may still take effect
  std::vector<std::string> trouble_;  ///< what went wrong in the last attempt
  std::vector<drbd::Volume> held_;    ///< still Primary after it
};

}  // namespace

Result<void> release(Host& host, const Claim& claim, const Budget& budget) {
  return Release(host, claim, budget).run();
}

Result<bool> try_to_release(Host& host, const Claim& claim, bool late, bool& tells,
                            const Budget& budget) {
  return Release(host, claim, budget).try_once(late, tells);
}

Claim claim_of_shell_script(const xenstore::BackendPath& backend, const std::string& resource) {
  return {.backend = backend,
          .resource = resource,
          .volume = 0,
          .minor = -1,
          .phase = Phase::Attached,
          .leave_role = false,
          .unanswered = false,
          .incoming = false,
          .domain = {},
          .vm = {}};
}

}  // namespace block_drbd::hotplug
