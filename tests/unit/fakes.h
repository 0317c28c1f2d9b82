// Stand-ins for the seams of hotplug/host.h: one node, as add and remove see it, in memory. They do
// what the real parts do as far as these tests look; the lab is where the real parts are.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "hotplug/host.h"
#include "hotplug/remove.h"

namespace block_drbd::test {

/// Time stands still but in waits. `at` lets something happen in the middle of one.
class FakeClock : public Clock {
 public:
  TimePoint now() override { return now_; }

  bool wait(Duration duration) override {
    const TimePoint end = now_ + duration;
    while (!events_.empty() && events_.begin()->first <= end) {
      now_ = std::max(now_, events_.begin()->first);
      const auto event = events_.begin()->second;
      events_.erase(events_.begin());
      event();
      if (asked_to_end)
        return false;
    }
    now_ = end;
    return !asked_to_end;
  }

  bool acknowledge() override { return std::exchange(asked_to_end, false); }

  void at(Duration time, std::function<void()> event) {
    events_.emplace(TimePoint() + time, std::move(event));
  }
  Duration elapsed() const { return std::chrono::duration_cast<Duration>(now_ - TimePoint()); }

  bool asked_to_end = false;

 private:
  TimePoint now_{};
  std::multimap<TimePoint, std::function<void()>> events_;
};

class FakeStore : public xenstore::Store {
 public:
  Result<std::optional<std::string>> read(const std::string& path) override {
    asked_for.insert(path);
    if (forbidden.contains(path))
      return failure("xenstore: cannot read " + path, EACCES);
    const auto found = values.find(path);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  }

  Result<std::vector<std::string>> list(const std::string& path) override {
    listed.insert(path);
    std::set<std::string> names;
    for (const auto& [key, value] : values)
      if (key.starts_with(path + '/')) {
        const std::string rest = key.substr(path.size() + 1);
        names.insert(rest.substr(0, rest.find('/')));
      }
    return std::vector<std::string>(names.begin(), names.end());
  }

  Result<void> write(const std::string& path, const std::string& value) override {
    values[path] = value;
    return {};
  }

  bool domain_exists(xenstore::DomId domain) override { return domains.contains(domain); }

  Result<void> transaction(const std::function<Result<void>()>& body) override {
    if (before_transaction)
      before_transaction();
    const auto saved = values;
    auto done = body();
    if (!done)
      values = saved;
    return done;
  }

  /// What libxl does after `remove`, and when it gives a guest up.
  void wipe(const std::string& directory) {
    std::erase_if(values,
                  [&](const auto& each) { return each.first.starts_with(directory + '/'); });
  }

  std::map<std::string, std::string> values;
  std::set<std::string> asked_for;  ///< what was read
  std::set<std::string> listed;
  std::set<std::string> forbidden;
  std::set<xenstore::DomId> domains{0};
  std::function<void()> before_transaction;
};

/// A DRBD that keeps its own rules about roles: by minor on 8.4 and by resource on 9, one Primary
/// unless two are allowed, no demotion of what is open.
class FakeDrbd : public drbd::Drbd {
 public:
  explicit FakeDrbd(FakeClock& clock) : clock_(clock) {}

  Result<drbd::Resource> status(const std::string& resource, Duration limit) override {
    calls.emplace_back("status");
    if (limit < takes) {
      clock_.wait(limit);
      return failure("`drbdsetup status` was stopped", ETIMEDOUT);
    }
    clock_.wait(takes);
    if (before_status)
      before_status();
    if (state.name != resource)
      return failure("DRBD resource " + resource + " is not up on this node", ENOENT);
    return state;
  }

  Result<drbd::Settings> settings(const std::string& /*resource*/, Duration /*limit*/) override {
    calls.emplace_back("show");
    return in_force;
  }

  Result<drbd::Answer> promote(const drbd::Resource& /*resource*/, const drbd::Volume& volume,
                               Duration limit) override {
    calls.push_back("primary " + std::to_string(volume.minor));
    if (promotion_hangs) {
      clock_.wait(limit);
      return failure("`drbdsetup primary` hangs in the kernel", ETIMEDOUT);
    }
    if (during_promotion)
      during_promotion();
    if (!promotions.empty()) {
      const drbd::Answer answer = promotions.front();
      promotions.erase(promotions.begin());
      if (!answer.ok())
        return answer;
    }
    const bool peer_is_primary =
        std::any_of(state.peers.begin(), state.peers.end(),
                    [](const drbd::Peer& peer) { return peer.role == drbd::Role::Primary; });
    if (peer_is_primary && !two_primaries())
      return refusal(drbd::code::two_primaries, "Multiple primaries not allowed by config");
    set_role(volume.minor, drbd::Role::Primary);
    return drbd::Answer{};
  }

  Result<drbd::Answer> demote(const drbd::Resource& /*resource*/, const drbd::Volume& volume,
                              Duration limit) override {
    calls.push_back("secondary " + std::to_string(volume.minor));
    // One command after another: this one waits for a promotion that hangs.
    constexpr Duration some{10};
    for (; promotion_hangs && limit > some; limit -= some)
      clock_.wait(some);
    if (demotion_hangs || promotion_hangs) {
      clock_.wait(limit);
      return failure("`drbdsetup secondary` hangs in the kernel", ETIMEDOUT);
    }
    if (demotion_fails)
      return *demotion_fails;
    const bool held = std::any_of(open.begin(), open.end(),
                                  [&](int minor) { return by_resource || minor == volume.minor; });
    if (held)
      return refusal(drbd::code::held_open, "Device is held open by someone");
    set_role(volume.minor, drbd::Role::Secondary);
    return drbd::Answer{};
  }

  Result<drbd::Answer> set_two_primaries(const drbd::Resource& /*resource*/,
                                         const drbd::ConnectionSettings& connection, bool allowed,
                                         Duration limit) override {
    calls.push_back(std::string("two-primaries ") + (allowed ? "yes" : "no"));
    if (window_hangs) {
      clock_.wait(limit);
      return failure("`drbdsetup net-options` hangs in the kernel", ETIMEDOUT);
    }
    if (!window_answers.empty()) {
      const drbd::Answer answer = window_answers.front();
      window_answers.erase(window_answers.begin());
      if (!answer.ok())
        return answer;
    }
    const bool both = state.role == drbd::Role::Primary &&
                      std::any_of(state.peers.begin(), state.peers.end(), [](const auto& peer) {
                        return peer.role == drbd::Role::Primary;
                      });
    if (!allowed && both)
      return drbd::Answer{.exit_code = 10,
                          .code = drbd::code::both_primary,
                          .text = "Failure: (164) Can not forbid two primaries now"};
    for (auto& each : in_force.connections)
      if (each.node_id == connection.node_id)
        each.two_primaries = allowed;
    return drbd::Answer{};
  }

  Result<bool> configured_two_primaries(const std::string& /*resource*/,
                                        Duration /*limit*/) override {
    calls.emplace_back("dump");
    if (before_dump)
      before_dump();
    return configured;
  }

  Result<drbd::Answer> connect(const drbd::Resource& /*resource*/, std::optional<int> node_id,
                               Duration /*limit*/) override {
    calls.push_back("connect" + (node_id ? ' ' + std::to_string(*node_id) : ""));
    if (at_connect)
      at_connect();
    return connect_answer;
  }

  /// Nothing is reported early: what waits for an event gets it late.
  Result<std::unique_ptr<drbd::Watch>> watch(const std::string& /*resource*/) override {
    struct Late : drbd::Watch {
      explicit Late(FakeClock& waited_on) : clock(waited_on) {}
      void wait(Duration limit) override { clock.wait(limit); }
      FakeClock& clock;
    };
    return std::make_unique<Late>(clock_);
  }

  std::string why_not_up(const std::string& resource, Duration /*limit*/) override {
    return "there is no DRBD resource " + resource + " in this node's configuration";
  }

  static drbd::Answer refusal(int code, std::string text) {
    return {.exit_code = 11,
            .code = code,
            .text = "State change failed: (" + std::to_string(code) + ") " + std::move(text)};
  }

  /// As a person gives it, or a promotion that DRBD had not answered.
  void make_primary(int minor) {
    promotion_hangs = false;
    set_role(minor, drbd::Role::Primary);
  }

  drbd::Role role(int minor) const {
    for (const drbd::Volume& volume : state.volumes)
      if (volume.minor == minor)
        return volume.role.value_or(state.role);
    return drbd::Role::Unknown;
  }

  void set_role(int minor, drbd::Role role) {
    state.role = by_resource ? role : drbd::Role::Secondary;
    for (drbd::Volume& volume : state.volumes) {
      if (by_resource)
        continue;
      if (volume.minor == minor)
        volume.role = role;
      if (volume.role == drbd::Role::Primary)
        state.role = drbd::Role::Primary;
    }
  }

  bool two_primaries() const { return in_force.allows_two_primaries(); }

  long count(const std::string& call) const { return std::count(calls.begin(), calls.end(), call); }

  drbd::Resource state;
  drbd::Settings in_force;
  bool by_resource = false;  ///< DRBD 9
  bool promotion_hangs = false;
  bool demotion_hangs = false;
  std::optional<drbd::Answer> demotion_fails;
  bool window_hangs = false;
  Duration takes{0};                     ///< a look at the state
  std::set<int> open;                    ///< minors that somebody has open
  std::vector<drbd::Answer> promotions;  ///< answers to the next promotions, before its own rules
  std::vector<drbd::Answer> window_answers;  ///< the same for allowing and forbidding two primaries
  Result<bool> configured = false;           ///< two primaries, by the configuration file
  std::function<void()> before_status;
  std::function<void()> before_dump;
  std::function<void()> during_promotion;
  Result<drbd::Answer> connect_answer = drbd::Answer{};
  std::function<void()> at_connect;
  std::vector<std::string> calls;

 private:
  FakeClock& clock_;
};

class FakeDevices : public device::Devices {
 public:
  Result<std::optional<std::string>> node_of(int minor) override {
    if (without_node.contains(minor))
      return std::nullopt;
    return "/dev/drbd" + std::to_string(minor);
  }
  std::vector<std::string> host_uses(int minor) override { return uses[minor]; }
  std::vector<std::string> processes_holding(int minor) override { return processes[minor]; }
  bool is_served(unsigned domain, unsigned device) override {
    return served.contains({domain, device});
  }

  std::set<int> without_node;
  std::map<int, std::vector<std::string>> uses;
  std::map<int, std::vector<std::string>> processes;
  std::set<std::pair<unsigned, unsigned>> served;
};

class FakeRecords : public record::Records {
 public:
  struct FakeLock : record::Lock {
    explicit FakeLock(bool& held) : held_(held) { held_ = true; }
    ~FakeLock() override { held_ = false; }
    bool& held_;
  };

  Result<void> write(const record::Claim& claim) override {
    const bool is_new =
        std::ranges::none_of(all, [&](const record::Claim& each) { return same(each, claim); });
    if (auto refused = refusal(is_new); !refused)
      return refused;
    std::erase_if(all, [&](const record::Claim& each) { return same(each, claim); });
    all.push_back(claim);
    return {};
  }
  Result<void> remove(const record::Claim& claim) override {
    if (read_only)
      return failure("cannot remove /run/block-drbd: Read-only file system", EROFS);
    std::erase_if(all, [&](const record::Claim& each) { return same(each, claim); });
    return {};
  }
  Result<std::vector<record::Claim>> claims_on(const std::string& resource) override {
    std::vector<record::Claim> found;
    for (const record::Claim& claim : all)
      if (claim.resource == resource)
        found.push_back(claim);
    return found;
  }
  Result<std::vector<record::Claim>> claims_of(const xenstore::BackendPath& backend) override {
    std::vector<record::Claim> found;
    for (const record::Claim& claim : all)
      if (claim.backend == backend)
        found.push_back(claim);
    return found;
  }
  Result<void> write(const record::Window& window) override {
    if (auto refused = refusal(!windows.contains(window.resource)); !refused)
      return refused;
    windows.insert_or_assign(window.resource, window);
    return {};
  }
  Result<void> remove_window(const std::string& resource) override {
    windows.erase(resource);
    return {};
  }
  Result<std::optional<record::Window>> window_of(const std::string& resource) override {
    const auto found = windows.find(resource);
    return found == windows.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> write(const record::Held& held) override {
    holds.insert_or_assign(held.resource, held);
    return {};
  }
  Result<void> remove_held(const std::string& resource) override {
    holds.erase(resource);
    return {};
  }
  Result<std::optional<record::Held>> held(const std::string& resource) override {
    const auto found = holds.find(resource);
    return found == holds.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> write(const record::Outage& outage) override {
    outages.insert_or_assign(outage.peer, outage);
    return {};
  }
  Result<std::optional<record::Outage>> outage(const std::string& peer) override {
    const auto found = outages.find(peer);
    return found == outages.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::unique_ptr<record::Lock>> try_lock_keeper(const std::string& /*resource*/) override {
    if (keeper_locked)
      return nullptr;
    return std::make_unique<FakeLock>(keeper_locked);
  }
  Result<std::unique_ptr<record::Lock>> try_lock_healer() override {
    if (healer_locked)
      return nullptr;
    return std::make_unique<FakeLock>(healer_locked);
  }
  Result<std::unique_ptr<record::Lock>> try_lock_place(unsigned number) override {
    if (places_taken[number])
      return nullptr;
    ++turns[number];
    return std::make_unique<FakeLock>(places_taken[number]);
  }
  std::int64_t place_taken_at(unsigned number) override { return turns[number]; }
  Result<std::unique_ptr<record::Lock>> try_lock(const std::string& /*resource*/) override {
    if (resource_locked)
      return nullptr;
    return std::make_unique<FakeLock>(resource_locked);
  }
  Result<std::unique_ptr<record::Lock>> try_lock_xen_block() override {
    if (xen_locked)
      return nullptr;
    return std::make_unique<FakeLock>(xen_locked);
  }

  std::vector<record::Claim> all;
  std::map<std::string, record::Window> windows;
  std::map<std::string, record::Held> holds;
  std::map<std::string, record::Outage> outages;
  bool keeper_locked = false;
  bool healer_locked = false;
  std::map<unsigned, bool> places_taken;
  std::map<unsigned, std::int64_t> turns;  ///< how often each was taken
  bool resource_locked = false;
  bool xen_locked = false;
  bool full = false;  ///< what there is can be written over
  bool read_only = false;

 private:
  Result<void> refusal(bool is_new) const {
    if (read_only)
      return failure("cannot write /run/block-drbd: Read-only file system", EROFS);
    if (full && is_new)
      return failure("cannot write /run/block-drbd: No space left on device", ENOSPC);
    return {};
  }
  static bool same(const record::Claim& one, const record::Claim& other) {
    return one.backend == other.backend && one.resource == other.resource;
  }
};

class FakeReport : public Report {
 public:
  void tell(Severity severity, const std::string& text) override {
    (severity == Severity::Info ? logged : said).push_back(text);
  }

  std::vector<std::string> said;    ///< on stderr
  std::vector<std::string> logged;  ///< in the log only
};

/// A node with the resource Wheezy (minor 1), connected to a peer, everything UpToDate and
/// Secondary; and the guest "web" (domain 5) whose disk xvda is to be attached.
struct FakeNode {
  FakeClock clock;
  FakeStore store;
  FakeDrbd drbd{clock};
  FakeDevices devices;
  FakeRecords records;
  FakeReport report;
  bool below_migrate_receive = false;
  bool no_keeper = false;
  Result<policy::Choices> choices = policy::Choices{};
  std::vector<std::string> keepers;  ///< that were started
  Result<std::string> kernel_log = "";
  hotplug::Host host{.store = store,
                     .drbd = drbd,
                     .devices = devices,
                     .records = records,
                     .clock = clock,
                     .report = report,
                     .is_below_migrate_receive = [this] { return below_migrate_receive; },
                     .start_keeper = [this](const std::string& resource) -> Result<void> {
                       if (no_keeper)
                         return failure("cannot start a process");
                       keepers.push_back(resource);
                       return {};
                     },
                     .choices_for = [this](const std::string&) { return choices; },
                     .kernel_log = [this]() -> Result<std::string> { return kernel_log; },
                     .random = std::minstd_rand(1)};

  /// `generation`: DRBD 8.4 or 9.
  explicit FakeNode(int generation = 8);

  static xenstore::BackendPath path(unsigned domain, unsigned device = xvda) {
    return {"vbd", domain, device};
  }

  /// As libxl leaves it when it runs `add`.
  void guest(unsigned domain, const std::string& name, const std::string& vm,
             const std::string& params = "Wheezy", const std::string& mode = "w",
             unsigned device = xvda);
  Result<void> remove(unsigned domain, unsigned device = xvda) {
    return hotplug::remove(host, path(domain, device), records.claims_of(path(domain, device)));
  }
  /// As libxl leaves it when it runs `remove`.
  void closing(unsigned domain, unsigned device = xvda);

  drbd::Peer& peer() { return drbd.state.peers.front(); }
  void peer_is(drbd::Role role) { peer().role = role; }
  /// Volume 1, minor 2.
  void second_volume();
  void link_is_down();
  void link_is_up();
  std::string value(unsigned domain, const std::string& key, unsigned device = xvda);

  static constexpr unsigned xvda = 51712;
  static constexpr unsigned xvdb = 51728;
};

}  // namespace block_drbd::test
