#include "hotplug/release.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <optional>
#include <set>

#include "hotplug/survey.h"
#include "policy/refusals.h"

namespace block_drbd::hotplug {

using drbd::Role;
using record::Claim;
using record::Phase;

namespace {

constexpr Duration first_pause{20};
constexpr Duration longest_pause{500};

Role role_of(const drbd::Resource& resource, const drbd::Volume& volume) {
  return volume.role.value_or(resource.role);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

class Release {
 public:
  Release(Host& host, xenstore::BackendPath own, std::string resource, bool attached,
          const Budget& budget)
      : host_(host),
        own_(std::move(own)),
        resource_(std::move(resource)),
        attached_(attached),
        budget_(budget) {}

  Result<void> run() {
    Duration pause = first_pause;
    bool first = true;
    for (;;) {
      const auto done = turn(first);
      if (!done)
        return failure(done.error());
      if (*done)
        return {};
      first = false;
      if (!budget_.allows_another_turn() || !host_.clock.wait(budget_.left(pause)))
        return failure(not_released(), ETIMEDOUT);
      pause = std::min(pause * 2, longest_pause);
    }
  }

 private:
  /// One attempt under the lock. False: to be tried again.
  Result<bool> turn(bool first) {
    const auto lock = lock_resource(host_, resource_, budget_);
    if (!lock)
      return failure(lock.error());
    auto claims = host_.records.claims_on(resource_);
    if (!claims)
      return failure(claims.error());
    const auto mine = std::find_if(claims->begin(), claims->end(),
                                   [&](const Claim& claim) { return claim.backend == own_; });
    const bool claimed = mine != claims->end();
    if (first)
      by_shell_script_ = attached_ && !claimed;
    if (!claimed && !by_shell_script_)
      return true;  // never attached, or meanwhile finished by another remove
    bool leave_role = false;
    if (claimed && mine->phase != Phase::Released) {
      leave_role = mine->phase == Phase::Promoting && mine->was_primary;
      mine->phase = Phase::Released;
      if (auto written = host_.records.write(*mine); !written)
        return failure(written.error());
    }

    const auto seen = survey(host_, resource_, own_, budget_.left(status_limit));
    if (!seen && seen.error().code == ENOENT)
      return forget(*claims);  // it is down: no role to give back
    if (!seen)
      return failure(seen.error());
    if (!seen->in_use.empty()) {
      host_.report.tell(Severity::Info, "DRBD resource " + resource_ + " stays Primary: " +
                                            policy::describe(seen->in_use.front()) +
                                            " still uses it");
      return true;
    }
    if (leave_role)
      return forget(*claims);
    return demote(*seen);
  }

  Result<bool> demote(const Survey& seen) {
    const auto volumes = volumes_to_demote(seen.resource, seen.claims);
    refusals_.clear();
    bool may_pass = true;
    for (const drbd::Volume& volume : volumes) {
      const auto answer = host_.drbd.demote(seen.resource, volume, budget_.left());
      if (!answer) {
        refusals_.push_back(answer.error().message);
        may_pass = false;
      } else if (!answer->ok()) {
        refusals_.push_back(answer->text);
        may_pass = may_pass && policy::demotion_may_pass(*answer);
        if (answer->code == drbd::code::held_open)
          may_pass = may_pass && host_.devices.host_uses(volume.minor).empty();
      }
    }
    // The state counts, not the exit code: a command that was stopped may have taken effect.
    const auto now = host_.drbd.status(resource_, budget_.left(status_limit));
    if (!now && now.error().code != ENOENT)
      return failure(now.error());
    held_ = now ? volumes_to_demote(*now, seen.claims) : std::vector<drbd::Volume>();
    if (held_.empty()) {
      if (!volumes.empty())
        host_.report.tell(Severity::Info, "DRBD resource " + resource_ +
                                              " is Secondary again: its last guest here has ended");
      return forget(seen.claims);
    }
    if (!may_pass)
      return failure(not_released());
    return false;
  }

  /// On DRBD 9 any volume stands for the resource. On 8.4 those that were claimed: another one may
  /// have been promoted by somebody else for a purpose of his own. The shell script promotes all.
  std::vector<drbd::Volume> volumes_to_demote(const drbd::Resource& resource,
                                              const std::vector<Claim>& claims) const {
    std::set<int> claimed;
    for (const Claim& claim : claims)
      claimed.insert(claim.minor);
    std::vector<drbd::Volume> volumes;
    std::copy_if(resource.volumes.begin(), resource.volumes.end(), std::back_inserter(volumes),
                 [&](const drbd::Volume& volume) {
                   return role_of(resource, volume) == Role::Primary &&
                          (by_shell_script_ || !volume.role || claimed.contains(volume.minor));
                 });
    return volumes;
  }

  /// Takes the claims of ended uses away: nobody uses the resource here. One that is just being
  /// promoted for is written anew by its `add` at each turn.
  Result<bool> forget(const std::vector<Claim>& claims) {
    for (const Claim& claim : claims)
      if (claim.phase != Phase::Promoting)
        if (auto removed = host_.records.remove(claim); !removed)
          return failure(removed.error());
    return true;
  }

  std::string not_released() {
    std::vector<std::string> holders;
    for (const drbd::Volume& volume : held_) {
      const std::string node = "/dev/drbd" + std::to_string(volume.minor);
      for (const std::string& use : host_.devices.host_uses(volume.minor))
        holders.push_back(std::string(node).append(" is ").append(use));
      for (const std::string& process : host_.devices.processes_holding(volume.minor))
        holders.push_back(std::string(process).append(" has ").append(node).append(" open"));
    }
    if (host_.devices.blkback_has(own_.frontend(), own_.device()))
      holders.push_back("the kernel's block backend has it open for domain " +
                        std::to_string(own_.frontend()));
    return "DRBD resource " + resource_ +
           " is still Primary on this node, though its last guest here has ended" +
           (refusals_.empty() ? "" : ": DRBD says \"" + joined(refusals_) + "\"") +
           (holders.empty() ? ". Nobody was found who has its device open"
                            : ". " + joined(holders)) +
           ". No other node can start the guest until you have ended that and run `drbdadm "
           "secondary " +
           resource_ + "` here";
  }

  Host& host_;
  xenstore::BackendPath own_;
  std::string resource_;
  bool attached_;
  bool by_shell_script_ = false;  ///< attached before this program was installed
  Budget budget_;
  std::vector<std::string> refusals_;  ///< of the last attempt
  std::vector<drbd::Volume> held_;     ///< still Primary after it
};

}  // namespace

Result<void> release(Host& host, const xenstore::BackendPath& own, const std::string& resource,
                     bool attached, const Budget& budget) {
  return Release(host, own, resource, attached, budget).run();
}

}  // namespace block_drbd::hotplug
