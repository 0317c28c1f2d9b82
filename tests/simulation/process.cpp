#include "process.h"

#include <algorithm>
#include <cerrno>

#include "hotplug/add.h"
#include "hotplug/gone.h"
#include "hotplug/heal.h"
#include "hotplug/keeper.h"
#include "hotplug/remove.h"

namespace block_drbd::simulation {

namespace {

using drbd::Answer;

constexpr const char* healer = "heal";

/// What all seams of one process share.
struct Process {
  Cluster& cluster;
  int node;
  std::string who;

  World& world() { return cluster.world(); }
  Scheduler& scheduler() { return cluster.world().scheduler(); }
  Node& here() { return cluster.node(node); }

  /// A point where others may have their turn, and where a process may be killed.
  void step(Time cost) {
    auto& choices = world().choices();
    if (choices.one_in(24))
      cost += world().faults.slow && choices.one_in(6) ? milliseconds(100 + 300 * choices.below(8))
                                                       : milliseconds(1 + 3 * choices.below(12));
    if (world().faults.kills && choices.one_in(1500)) {
      world().tell(node, who.c_str(), "is killed");
      if (who == healer)
        cluster.lost_healer(node);
      else
        here().lost_a_helper = true;
      scheduler().kill(*scheduler().current());
    }
    scheduler().sleep(cost);
  }
};

Time micros(Duration duration) {
  return duration.count() > 1'000'000 ? seconds(1000) : milliseconds(duration.count());
}

class ModelClock : public Clock {
 public:
  explicit ModelClock(Process& process) : process_(process) {}
  TimePoint now() override {
    return TimePoint() + std::chrono::microseconds(process_.world().now()) + std::chrono::hours(1);
  }
  bool wait(Duration duration) override {
    process_.step(micros(duration));
    return true;
  }
  bool acknowledge() override { return false; }

 private:
  Process& process_;
};

class ModelStore : public xenstore::Store {
 public:
  explicit ModelStore(Process& process) : process_(process) {}

  Result<std::optional<std::string>> read(const std::string& path) override {
    step();
    return process_.cluster.value(process_.node, path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    step();
    std::vector<std::string> names;
    const auto& all = process_.here().xenstore;
    const std::string prefix = path + '/';
    for (auto each = all.lower_bound(prefix); each != all.end() && each->first.starts_with(prefix);
         ++each) {
      const auto end = each->first.find('/', prefix.size());
      std::string name = each->first.substr(prefix.size(), end - prefix.size());
      if (names.empty() || names.back() != name)
        names.push_back(std::move(name));
    }
    return names;
  }
  Result<void> write(const std::string& path, const std::string& value) override {
    written_.emplace_back(path, value);
    return {};
  }
  bool domain_exists(xenstore::DomId domain) override {
    step();
    return domain == 0 || process_.cluster.domain(process_.node, domain) != nullptr;
  }
  /// Atomic: nobody else gets a turn inside.
  Result<void> transaction(const std::function<Result<void>()>& body) override {
    step();
    inside_ = true;
    written_.clear();
    auto done = body();
    inside_ = false;
    if (!done)
      return done;
    for (const auto& [path, value] : written_) {
      process_.here().xenstore[path] = value;
      constexpr std::string_view key = "/physical-device";
      if (path.ends_with(key)) {
        process_.world().tell(process_.node, process_.who.c_str(), "attaches ", value, " to ",
                              path.substr(0, path.size() - key.size()));
        process_.cluster.attached(process_.node, path.substr(0, path.size() - key.size()), value);
      }
    }
    return {};
  }

 private:
  void step() {
    if (!inside_)
      process_.step(50);
  }

  Process& process_;
  bool inside_ = false;
  std::vector<std::pair<std::string, std::string>> written_;
};

class ModelWatch : public drbd::Watch {
 public:
  ModelWatch(Process& process, int resource) : process_(process), resource_(resource) {
    seen_ = process_.cluster.changes(resource_, process_.node);
    actor_ = process_.scheduler().current();
    process_.cluster.watch(resource_, process_.node, actor_);
  }
  ~ModelWatch() override { process_.cluster.unwatch(resource_, process_.node, actor_); }
  ModelWatch(const ModelWatch&) = delete;
  ModelWatch& operator=(const ModelWatch&) = delete;

  void wait(Duration limit) override {
    if (process_.cluster.changes(resource_, process_.node) == seen_)
      process_.scheduler().park(micros(limit));
    process_.step(100);
    seen_ = process_.cluster.changes(resource_, process_.node);
  }

 private:
  Process& process_;
  int resource_;
  std::uint64_t seen_;
  Actor* actor_;
};

class ModelDrbd : public drbd::Drbd {
 public:
  explicit ModelDrbd(Process& process) : process_(process) {}

  Result<drbd::Resource> status(const std::string& resource, Duration limit) override {
    if (auto waited = take_time(milliseconds(5), limit); !waited)
      return failure(waited.error());
    const int index = model().index_of(resource);
    if (index < 0 || !model().is_up(index, process_.node))
      return failure("DRBD resource " + resource + " is not up on this node", ENOENT);
    return model().status(index, process_.node);
  }

  Result<drbd::Settings> settings(const std::string& resource, Duration limit) override {
    if (auto waited = take_time(milliseconds(5), limit); !waited)
      return failure(waited.error());
    return model().settings(model().index_of(resource), process_.node);
  }

  Result<Answer> promote(const drbd::Resource& resource, const drbd::Volume& volume,
                         Duration limit) override {
    const int index = model().index_of(resource.name);
    const int number = volume.number;
    const int node = process_.node;
    Cluster* const cluster = &process_.cluster;
    return command("primary", index, limit, [cluster, index, node, number] {
      auto answer = cluster->drbd().try_promote(index, node, number);
      // Who is not seen may have what this one lacks, as the administrator chose.
      if (cluster->configured.starts_unseen && answer && answer->ok() &&
          !cluster->sees_all(index, node))
        cluster->may_stand_alone.insert(index);
      return answer;
    });
  }

  Result<Answer> demote(const drbd::Resource& resource, const drbd::Volume& volume,
                        Duration limit) override {
    const int index = model().index_of(resource.name);
    const int number = volume.number;
    const int node = process_.node;
    DrbdModel* drbd = &model();
    return command("secondary", index, limit, [drbd, index, node, number] {
      return std::optional(drbd->demote(index, node, number));
    });
  }

  Result<Answer> set_two_primaries(const drbd::Resource& resource,
                                   const drbd::ConnectionSettings& connection, bool allowed,
                                   Duration limit) override {
    const int index = model().index_of(resource.name);
    const int node = process_.node;
    const int peer = connection.node_id.value_or(1 - node);
    DrbdModel* drbd = &model();
    return command(allowed ? "two primaries: yes" : "two primaries: no", index, limit,
                   [drbd, index, node, peer, allowed] {
                     return std::optional(drbd->set_two_primaries(index, node, peer, allowed));
                   });
  }

  Result<bool> configured_two_primaries(const std::string& resource, Duration limit) override {
    if (auto waited = take_time(milliseconds(60), limit); !waited)
      return failure(waited.error());
    if (process_.world().faults.broken_drbdadm)
      return failure("drbdadm cannot read another resource's file");
    return model().configured_two_primaries(model().index_of(resource));
  }

  Result<Answer> connect(const drbd::Resource& resource, std::optional<int> node_id,
                         Duration limit) override {
    const int index = model().index_of(resource.name);
    const int node = process_.node;
    const int peer = node_id.value_or(1 - node);
    if (model().shape().generation != 9 && process_.world().faults.broken_drbdadm)
      return failure("drbdadm cannot read another resource's file");
    Cluster* const cluster = &process_.cluster;
    // One that hangs in the kernel may take effect after a person's turn has come: nobody can call
    // it back, and DRBD refuses the connection once more.
    const bool is_ours_to_heal = model().is_parted_by_settings(index, node, peer);
    return command("connect", index, limit, [cluster, index, node, peer, is_ours_to_heal] {
      DrbdModel& drbd = cluster->drbd();
      if (drbd.link(index, node, peer) == Link::StandAlone && !is_ours_to_heal &&
          !drbd.is_parted_by_settings(index, node, peer))
        cluster->world().violation("what a person has to decide was decided",
                                   DrbdModel::name_of(index) + " on node" + std::to_string(node) +
                                       " is connected again to node" + std::to_string(peer));
      return std::optional(drbd.connect(index, node, peer));
    });
  }

  Result<std::unique_ptr<drbd::Watch>> watch(const std::string& resource) override {
    process_.step(milliseconds(3));
    return std::make_unique<ModelWatch>(process_, model().index_of(resource));
  }

  std::string why_not_up(const std::string& resource, Duration /*limit*/) override {
    return "DRBD resource " + resource + " is configured but not up on this node";
  }

 private:
  /// Ends with the process.
  struct Hold {
    Commands& commands;
    std::shared_ptr<Command> command;
    std::shared_ptr<Actor*> waiting;
    ~Hold() {
      *waiting = nullptr;
      commands.abandon(*command);
    }
  };

  DrbdModel& model() { return process_.cluster.drbd(); }

  Result<void> take_time(Time time, Duration limit) {
    if (process_.world().faults.slow && process_.world().choices().one_in(200))
      time += milliseconds(500) * (1 + process_.world().choices().below(12));
    process_.step(std::min(time, micros(limit)));
    if (time > micros(limit))
      return failure("`drbdsetup` was stopped: it did not answer in time", ETIMEDOUT);
    return {};
  }

  Result<Answer> command(const char* what, int resource, Duration limit,
                         std::function<std::optional<Answer>()> act) {
    auto& choices = process_.world().choices();
    process_.step(milliseconds(2));
    auto command = std::make_shared<Command>();
    command->takes = milliseconds(5);
    if (choices.one_in(8))
      command->takes += milliseconds(Time{20} * choices.below(20));
    if (process_.world().faults.hanging_drbd && choices.one_in(12)) {
      command->uninterruptible = true;
      command->takes += seconds(1 + 5 * choices.below(9));
      process_.world().tell(process_.node, process_.who.c_str(), "drbdsetup (", what,
                            ") hangs in the kernel");
    }
    const auto answer = std::make_shared<std::optional<Answer>>();
    const auto waiting = std::make_shared<Actor*>(process_.scheduler().current());
    Scheduler* const scheduler = &process_.scheduler();
    command->act = [act = std::move(act), answer, waiting, scheduler] {
      *answer = act();
      if (*answer && *waiting != nullptr)
        scheduler->wake(**waiting);
      return answer->has_value();
    };
    const Hold hold{process_.cluster.commands(), command, waiting};
    process_.cluster.commands().submit(resource, process_.node, command);
    const Time end = process_.world().now() + micros(limit);
    while (!*answer && process_.world().now() < end)
      process_.scheduler().park(end - process_.world().now());
    if (!*answer) {
      process_.world().tell(process_.node, process_.who.c_str(), "drbdsetup (", what,
                            ") did not answer in time");
      return failure("`drbdsetup` was stopped: it did not answer in time", ETIMEDOUT);
    }
    if (!(*answer)->ok())
      process_.world().tell(process_.node, process_.who.c_str(), "drbdsetup (", what,
                            "): ", (*answer)->text);
    process_.step(milliseconds(1));
    return **answer;
  }

  Process& process_;
};

class ModelDevices : public device::Devices {
 public:
  explicit ModelDevices(Process& process) : process_(process) {}
  Result<std::optional<std::string>> node_of(int minor) override {
    process_.step(100);
    if (process_.world().choices().one_in(150))
      return std::nullopt;  // udev is not done yet
    return "/dev/drbd" + std::to_string(minor);
  }
  std::vector<std::string> host_uses(int /*minor*/) override { return {}; }
  std::vector<std::string> processes_holding(int minor) override {
    process_.step(milliseconds(30));
    return process_.cluster.is_open_by_hand(process_.node, minor)
               ? std::vector<std::string>{"somebody"}
               : std::vector<std::string>{};
  }
  bool is_served(unsigned domain, unsigned device) override {
    return process_.cluster.is_open(process_.node, domain, device);
  }

 private:
  Process& process_;
};

class ModelRecords : public record::Records {
 public:
  explicit ModelRecords(Process& process) : process_(process) {}

  Result<void> write(const record::Claim& claim) override {
    step();
    auto& claims = here().claims;
    const auto found = std::find_if(claims.begin(), claims.end(),
                                    [&](const record::Claim& each) { return same(each, claim); });
    if (found == claims.end())
      claims.push_back(claim);
    else
      *found = claim;
    return {};
  }
  Result<void> remove(const record::Claim& claim) override {
    step();
    std::erase_if(here().claims, [&](const record::Claim& each) { return same(each, claim); });
    return {};
  }
  Result<std::vector<record::Claim>> claims_on(const std::string& resource) override {
    step();
    std::vector<record::Claim> found;
    for (const auto& each : here().claims)
      if (each.resource == resource)
        found.push_back(each);
    return found;
  }
  Result<std::vector<record::Claim>> claims_of(const xenstore::BackendPath& backend) override {
    step();
    std::vector<record::Claim> found;
    for (const auto& each : here().claims)
      if (each.backend == backend)
        found.push_back(each);
    return found;
  }
  Result<void> write(const record::Window& window) override {
    step();
    here().windows.insert_or_assign(window.resource, window);
    return {};
  }
  Result<void> remove_window(const std::string& resource) override {
    step();
    here().windows.erase(resource);
    return {};
  }
  Result<std::optional<record::Window>> window_of(const std::string& resource) override {
    step();
    return find(here().windows, resource);
  }
  Result<void> write(const record::Held& held) override {
    step();
    here().held.insert_or_assign(held.resource, held);
    return {};
  }
  Result<void> remove_held(const std::string& resource) override {
    step();
    here().held.erase(resource);
    return {};
  }
  Result<std::optional<record::Held>> held(const std::string& resource) override {
    step();
    return find(here().held, resource);
  }
  Result<void> write(const record::Outage& outage) override {
    step();
    here().outages.insert_or_assign(outage.peer, outage);
    return {};
  }
  Result<std::optional<record::Outage>> outage(const std::string& peer) override {
    step();
    return find(here().outages, peer);
  }
  Result<std::unique_ptr<record::Lock>> try_lock_keeper(const std::string& resource) override {
    return take(resource + ".keeper");
  }
  Result<std::unique_ptr<record::Lock>> try_lock_healer() override { return take("healer"); }
  Result<std::unique_ptr<record::Lock>> try_lock_place(unsigned number) override {
    return take(std::to_string(number) + ".place");
  }
  std::int64_t place_taken_at(unsigned /*number*/) override { return 0; }
  Result<std::unique_ptr<record::Lock>> try_lock(const std::string& resource) override {
    return take(resource + ".lock");
  }
  Result<std::unique_ptr<record::Lock>> try_lock_xen_block() override { return take("xen-block"); }

 private:
  /// Ends with its holder.
  class ModelLock : public record::Lock {
   public:
    ModelLock(Node& node, std::string name) : node_(node), name_(std::move(name)) {}
    ~ModelLock() override { node_.locks.erase(name_); }
    ModelLock(const ModelLock&) = delete;
    ModelLock& operator=(const ModelLock&) = delete;

   private:
    Node& node_;
    std::string name_;
  };

  Node& here() { return process_.here(); }
  void step() { process_.step(100); }

  template <typename Value>
  static std::optional<Value> find(const std::map<std::string, Value>& all,
                                   const std::string& key) {
    const auto found = all.find(key);
    return found == all.end() ? std::nullopt : std::optional(found->second);
  }
  static bool same(const record::Claim& one, const record::Claim& other) {
    return one.backend == other.backend && one.resource == other.resource;
  }
  Result<std::unique_ptr<record::Lock>> take(const std::string& name) {
    step();
    if (!here().locks.emplace(name, process_.scheduler().current()).second)
      return nullptr;
    return std::make_unique<ModelLock>(here(), name);
  }

  Process& process_;
};

class ModelKernelLog : public drbd::KernelLog {
 public:
  explicit ModelKernelLog(Process& process) : process_(process) {}

  Result<std::string> read() override {
    process_.step(milliseconds(2));
    const std::string& log = process_.cluster.drbd().kernel_log(process_.node);
    read_ = std::max(read_, log.size());
    return log;
  }
  void wait(Duration limit) override {
    struct Waiting {
      Actor*& healer;
      ~Waiting() { healer = nullptr; }
    };
    if (process_.cluster.drbd().kernel_log(process_.node).size() <= read_) {
      const Waiting waiting{process_.here().healer = process_.scheduler().current()};
      process_.scheduler().park(micros(limit));
    }
    process_.step(milliseconds(1));
  }

 private:
  Process& process_;
  std::size_t read_ = 0;
};

class ModelReport : public Report {
 public:
  explicit ModelReport(Process& process) : process_(process) {}
  void tell(Severity severity, const std::string& text) override {
    process_.world().tell(process_.node, process_.who.c_str(),
                          severity == Severity::Info     ? "logs: "
                          : severity == Severity::Notice ? "says: "
                                                         : "complains: ",
                          text);
  }

 private:
  Process& process_;
};

/// All seams of one process.
struct Seams {
  Process process;
  bool below_migrate_receive;
  ModelClock clock{process};
  ModelStore store{process};
  ModelDrbd drbd{process};
  ModelDevices devices{process};
  ModelRecords records{process};
  ModelReport report{process};
  hotplug::Host host{
      .store = store,
      .drbd = drbd,
      .devices = devices,
      .records = records,
      .clock = clock,
      .report = report,
      .is_below_migrate_receive = [this] { return below_migrate_receive; },
      .start_keeper = [this](const std::string& resource) -> Result<void> {
        process.step(milliseconds(2));
        start_keeper(process.cluster, process.node, resource);
        return {};
      },
      .choices_for = [this](const std::string&) { return process.cluster.configured; },
      .kernel_log = [this]() -> Result<std::string> {
        process.step(milliseconds(1));
        return process.cluster.drbd().kernel_log(process.node);
      },
      .random = std::minstd_rand(1)};
};

std::string word(Verb verb) {
  switch (verb) {
    case Verb::Add:
      return "add ";
    case Verb::Remove:
      return "remove ";
    case Verb::Gone:
      return "gone ";
  }
  return "";
}

Result<void> act(hotplug::Host& host, Verb verb, const xenstore::BackendPath& path) {
  switch (verb) {
    case Verb::Add:
      return hotplug::add(host, path);
    case Verb::Remove:
      return hotplug::remove(host, path, host.records.claims_of(path));
    case Verb::Gone:
      return hotplug::gone(host, path);
  }
  return {};
}

}  // namespace

Script start_script(Cluster& cluster, int node, Verb verb, const xenstore::BackendPath& path,
                    bool below_migrate_receive, Actor* caller) {
  auto outcome = std::make_shared<Outcome>();
  const std::string who = word(verb) + std::to_string(path.frontend()) + '/' +
                          static_cast<char>('a' + (path.device() - 51712) / 16);
  Scheduler& scheduler = cluster.world().scheduler();
  Actor& actor = scheduler.start(node, who, [=, &cluster, &scheduler] {
    struct Wake {
      Scheduler& scheduler;
      Actor* caller;
      ~Wake() {
        if (caller != nullptr)
          scheduler.wake(*caller);
      }
    } const wake{scheduler, caller};
    Seams seams{.process = {.cluster = cluster, .node = node, .who = who},
                .below_migrate_receive = below_migrate_receive};
    seams.host.random.seed(1 + static_cast<unsigned>(node) * 1000 +
                           cluster.world().choices().below(1000));
    cluster.world().tell(node, who.c_str(), "begins");
    const Time begin = cluster.world().now();
    const int resource =
        cluster.drbd().index_of(cluster.value(node, path / "params").value_or("").substr(0, 2));
    const auto by_hand = verb == Verb::Add
                             ? cluster.writers_by_hand(resource, node, !below_migrate_receive)
                             : std::vector<ByHand>();
    seams.process.step(milliseconds(10));
    const auto done = act(seams.host, verb, path);
    outcome->ended = true;
    outcome->ok = done.has_value();
    if (!done)
      outcome->message = done.error().message;
    cluster.world().tell(node, who.c_str(), done ? "succeeds" : "fails: ", outcome->message);
    if (!done && outcome->message.empty())
      cluster.world().violation("a silent failure", who);
    if (done && verb == Verb::Add && cluster.value(node, path / "state") &&
        !cluster.value(node, path / "physical-device"))
      cluster.world().violation("a silent failure", who + " succeeded without a device");
    for (const ByHand& each : by_hand)
      if (done && cluster.is_held_by_hand(each) &&
          (each.node == node || cluster.drbd().sees_each_other(resource, node, each.node)))
        cluster.world().violation("a start beside somebody who writes by hand",
                                  who + " on node" + std::to_string(node) + ", where node" +
                                      std::to_string(each.node) + " has it open");
    if (cluster.world().now() - begin > seconds(39))
      cluster.world().violation("a hang", who + " took more than 39 s");
  });
  return {.actor = &actor, .outcome = std::move(outcome)};
}

void start_keeper(Cluster& cluster, int node, const std::string& resource) {
  cluster.world().scheduler().start(node, "keep " + resource, [&cluster, node, resource] {
    Seams seams{.process = {.cluster = cluster, .node = node, .who = "keep " + resource},
                .below_migrate_receive = false};
    seams.process.step(milliseconds(30));
    const auto kept = hotplug::keep(seams.host, resource);
    if (!kept)
      cluster.world().tell(node, seams.process.who.c_str(), "ends: ", kept.error().message);
  });
}

bool is_in_background(const Actor& actor) {
  return actor.name().starts_with("keep") || actor.name() == healer;
}

void start_healer(Cluster& cluster, int node) {
  cluster.world().scheduler().start(node, healer, [&cluster, node] {
    Seams seams{.process = {.cluster = cluster, .node = node, .who = healer},
                .below_migrate_receive = false};
    ModelKernelLog kernel_log(seams.process);
    hotplug::Ward ward{.drbd = seams.drbd,
                       .kernel_log = kernel_log,
                       .records = seams.records,
                       .clock = seams.clock,
                       .report = seams.report};
    static_cast<void>(hotplug::heal(ward));
  });
}

}  // namespace block_drbd::simulation
