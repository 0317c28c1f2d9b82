#include "toolstack.h"

#include <algorithm>

namespace block_drbd::simulation {

namespace {

constexpr Time script_timeout = seconds(40);

/// Does something at the end, however that comes.
template <typename Body>
class Done {
 public:
  explicit Done(Body body) : body_(std::move(body)) {}
  ~Done() { body_(); }
  Done(const Done&) = delete;
  Done& operator=(const Done&) = delete;

 private:
  Body body_;
};

}  // namespace

void Toolstack::start(int node, const std::string& what, std::function<void()> body) {
  scheduler().start(node, "xl " + what, std::move(body));
}

Toolstack::Call Toolstack::run(int node, Verb verb, const xenstore::BackendPath& path,
                               bool below_migrate_receive) {
  const Script script =
      start_script(cluster_, node, verb, path, below_migrate_receive, scheduler().current());
  const Time end = cluster_.world().now() + script_timeout;
  while (!script.actor->has_ended() && cluster_.world().now() < end)
    scheduler().park(end - cluster_.world().now());
  if (!script.actor->has_ended()) {
    cluster_.world().tell(node, "libxl", "kills the script: ", script.actor->name());
    cluster_.world().violation("a hang", script.actor->name() + " was killed after 40 s");
    scheduler().kill(*script.actor);
  }
  calls.push_back({.node = node,
                   .verb = verb,
                   .ok = script.outcome->ok,
                   .ended = script.outcome->ended,
                   .message = script.outcome->message});
  return calls.back();
}

void Toolstack::all(int node, const std::vector<std::function<void()>>& bodies) {
  if (bodies.size() == 1)
    return bodies.front()();
  auto left = std::make_shared<std::size_t>(bodies.size());
  Actor* const caller = scheduler().current();
  for (const auto& body : bodies)
    scheduler().start(node, "xl", [this, body, left, caller] {
      body();
      if (--*left == 0)
        scheduler().wake(*caller);
    });
  while (*left > 0)
    scheduler().park(seconds(1000));
}

bool Toolstack::add_disks(int node, unsigned id, bool below_migrate_receive) {
  if (cluster_.domain(node, id) == nullptr)
    return false;
  const auto disks = cluster_.domain(node, id)->disks;
  auto good = std::make_shared<bool>(true);
  std::vector<std::function<void()>> bodies;
  for (const Disk& disk : disks)
    bodies.emplace_back([=, this] {
      const Domain* domain = cluster_.domain(node, id);
      if (domain == nullptr)
        return;
      const auto path = Cluster::path_of(*domain, disk);
      cluster_.write_backend(*domain, disk);
      scheduler().sleep(milliseconds(5 + choices().below(20)));
      if (!run(node, Verb::Add, path, below_migrate_receive).ok)
        *good = false;
    });
  all(node, bodies);
  return *good;
}

/// The block backend closes each device in its own time; the script is called when it says that it
/// has, which may be a moment before.
void Toolstack::remove_disks(int node, unsigned id) {
  const auto disks = cluster_.domain(node, id)->disks;
  std::vector<std::function<void()>> bodies;
  for (const Disk& disk : disks)
    bodies.emplace_back([=, this] {
      const auto path = Cluster::path_of(*cluster_.domain(node, id), disk);
      if (!cluster_.value(node, path / "state"))
        return;
      Time until_closed = milliseconds(choices().below(30));
      if (choices().one_in(6))
        until_closed = milliseconds(Time{20} * choices().below(50));
      if (cluster_.world().faults.late_close && choices().one_in(3))
        until_closed = seconds(1 + choices().below(60));
      if (const auto said = closes_after.find(node); said != closes_after.end())
        until_closed = said->second;
      const int boots = cluster_.drbd().boots(node);
      scheduler().after(until_closed, [=, this] {
        if (cluster_.drbd().is_on(node) && cluster_.drbd().boots(node) == boots)
          cluster_.close_backend(node, id, disk.device);
      });
      scheduler().sleep(milliseconds(5 + choices().below(20)));
      cluster_.set_backend_state(node, path, "6");
      if (cluster_.world().faults.skipped_removes && choices().one_in(3)) {
        cluster_.world().tell(node, "libxl", "does not call remove for ", path.text());
      } else {
        run_remove(node, path);
      }
      wipe(node, path);
    });
  all(node, bodies);
}

/// libxl waits for it, and goes on to wipe. Under xend udev runs it, and what was attached may be
/// attached anew before it has ended.
void Toolstack::run_remove(int node, const xenstore::BackendPath& path) {
  if (cluster_.world().faults.unawaited_removes)
    start_script(cluster_, node, Verb::Remove, path, false, nullptr);
  else
    run(node, Verb::Remove, path, false);
  scheduler().sleep(milliseconds(40 + choices().below(40)));
}

/// The kernel removes the device then, whether it is closed already or not, and udev calls us.
void Toolstack::wipe(int node, const xenstore::BackendPath& path) {
  cluster_.wipe_backend(node, path);
  const int boots = cluster_.drbd().boots(node);
  scheduler().after(milliseconds(1 + choices().below(60)), [=, this] {
    if (cluster_.drbd().is_on(node) && cluster_.drbd().boots(node) == boots)
      start_script(cluster_, node, Verb::Gone, path, false, nullptr);
  });
}

void Toolstack::take_down(int node, unsigned id) {
  Domain* domain = cluster_.domain(node, id);
  if (domain == nullptr || domain->ending)
    return;
  domain->ending = true;
  const Done at_end([=, this] {  // an xl that is killed leaves the rest to another one
    if (Domain* left = cluster_.domain(node, id); left != nullptr)
      left->ending = false, left->half_ended = true;
  });
  if (domain->run != Run::Ended)
    cluster_.set_run(*domain, Run::Ended);
  remove_disks(node, id);
  cluster_.forget_domain(node, id);
}

bool Toolstack::build(int node, const Guest& guest, bool reboots) {
  if (guest.boots_from_disk && !bootloader(node, guest))
    return false;
  Domain& made = cluster_.make_domain(node, guest.name, guest.uuid, guest.disks);
  made.boots_from_disk = guest.boots_from_disk;
  made.is_new = !reboots;
  const unsigned id = made.id;
  scheduler().sleep(milliseconds(20 + choices().below(100)));
  const bool good = add_disks(node, id, false);
  scheduler().sleep(milliseconds(10 + choices().below(50)));
  Domain* domain = cluster_.domain(node, id);
  if (domain == nullptr || domain->ending)
    return false;
  if (!good) {
    take_down(node, id);
    return false;
  }
  cluster_.set_run(*domain, Run::Running);
  return true;
}

/// pygrub reads the first disk through dom0; false when it cannot.
bool Toolstack::bootloader(int node, const Guest& guest) {
  Domain dom0;
  dom0.node = node;
  const Disk& disk = guest.disks.front();
  const auto path = Cluster::path_of(dom0, disk);
  if (cluster_.value(node, path / "state"))
    return true;
  cluster_.write_backend(dom0, disk);
  const bool good = run(node, Verb::Add, path, false).ok;
  scheduler().sleep(milliseconds(100 + choices().below(300)));
  const int boots = cluster_.drbd().boots(node);
  scheduler().after(milliseconds(choices().below(100)), [=, this] {
    if (cluster_.drbd().is_on(node) && cluster_.drbd().boots(node) == boots)
      cluster_.close_backend(node, 0, disk.device);
  });
  cluster_.set_backend_state(node, path, "6");
  run_remove(node, path);
  wipe(node, path);
  return good;
}

void Toolstack::create(int node, const Guest& guest) {
  if (!cluster_.drbd().is_on(node) || cluster_.find(node, guest.name) != nullptr)
    return;
  cluster_.world().tell(node, "xl", "create ", guest.name);
  start(node, "create", [=, this] { build(node, guest); });
}

void Toolstack::shutdown(int node, const std::string& name, bool reboot) {
  Domain* domain = cluster_.find(node, name);
  if (domain == nullptr || domain->ending || domain->run != Run::Running)
    return;
  cluster_.world().tell(node, "xl", reboot ? "reboot " : "shutdown ", name);
  const unsigned id = domain->id;
  const Guest guest{.name = domain->name,
                    .uuid = domain->uuid,
                    .disks = domain->disks,
                    .boots_from_disk = domain->boots_from_disk};
  const bool unattended = domain->unattended;
  start(node, "shutdown", [=, this] {
    scheduler().sleep(milliseconds(50 + choices().below(500)));
    Domain* then = cluster_.domain(node, id);
    if (then == nullptr || then->ending || then->run != Run::Running)
      return;
    if (unattended)  // nobody is there who would clean up: it stays as it is
      return cluster_.set_run(*then, Run::Ended);
    take_down(node, id);
    if (!reboot)
      return;
    scheduler().sleep(seconds(2));
    if (cluster_.find(node, guest.name) == nullptr)
      build(node, guest, true);
  });
}

void Toolstack::destroy(int node, const std::string& name) {
  Domain* domain = cluster_.find(node, name);
  if (domain == nullptr || domain->ending)
    return;
  cluster_.world().tell(node, "xl", "destroy ", name);
  start(node, "destroy", [this, node, id = domain->id] { take_down(node, id); });
}

void Toolstack::unpause(int node, const std::string& name) {
  Domain* domain = cluster_.find(node, name);
  if (domain == nullptr || domain->ending || domain->migrating || domain->run != Run::Paused)
    return;
  // Where its receiver was killed early there is no guest to run yet.
  for (const Disk& disk : domain->disks)
    if (!cluster_.is_open(node, domain->id, disk.device))
      return;
  cluster_.world().tell(node, "xl", "unpause ", name);
  cluster_.set_run(*domain, Run::Running);
}

std::shared_ptr<Migration> Toolstack::migrate(const Guest& guest, int source, int target) {
  Domain* domain = cluster_.find(source, guest.name);
  // Where udev runs the script, nothing tells it that a guest arrives.
  if (domain == nullptr || domain->ending || domain->migrating || domain->run != Run::Running ||
      !cluster_.drbd().is_on(target) || cluster_.world().faults.unawaited_removes)
    return nullptr;
  domain->migrating = true;
  auto migration = std::make_shared<Migration>();
  migration->guest = guest;
  migration->source = source;
  migration->target = target;
  migrations_.push_back(migration);
  cluster_.world().tell(source, "xl", "migrate ", guest.name, " node", target);
  start(source, "migrate", [this, migration, id = domain->id] { send(migration, id); });
  start(target, "migrate-receive", [this, migration] { receive(migration); });
  return migration;
}

void Toolstack::kill_receiver(int node) {
  if (!scheduler().kill_one(node, "xl migrate-receive"))
    return;
  cluster_.world().tell(node, "xl", "migrate-receive is killed");
  for (auto& [id, domain] : cluster_.node(node).domains)
    if (domain.name.ends_with("--incoming"))
      domain.migrating = false;
  break_migration();
}

void Toolstack::break_migration() {
  for (const auto& each : migrations_)
    if (const auto migration = each.lock(); migration && !migration->broken) {
      migration->broken = broke_ = true;
      migration->source_notices = cluster_.world().now() + milliseconds(500) * choices().below(8);
      migration->target_notices = cluster_.world().now() + milliseconds(500) * choices().below(8);
      cluster_.world().tell(-1, "network", "the migration's connection breaks");
    }
}

void Toolstack::reach(Migration& migration, int stage) {
  migration.stage = stage;
  if (on_stage)
    on_stage(migration);
}

/// False: the connection to the other end broke, or that end is gone.
bool Toolstack::wait_until(const Migration& migration, bool sender,
                           const std::function<bool()>& reached) {
  const int other = sender ? migration.target : migration.source;
  const int boots = cluster_.drbd().boots(other);
  for (;;) {
    if (reached())
      return true;
    const Time notices = sender ? migration.source_notices : migration.target_notices;
    if (migration.broken && cluster_.world().now() >= notices)
      return false;
    if (!cluster_.drbd().is_on(other) || cluster_.drbd().boots(other) != boots) {
      scheduler().sleep(milliseconds(500) * choices().below(10));
      return false;
    }
    scheduler().sleep(milliseconds(10));
  }
}

void Toolstack::send(const std::shared_ptr<Migration>& migration, unsigned id) {
  Migration& m = *migration;
  const auto domain = [&] { return cluster_.domain(m.source, id); };
  const auto usable = [&] { return domain() != nullptr && !domain()->ending; };
  const Done at_end([&] {
    if (domain() != nullptr)
      domain()->migrating = false;
  });
  const auto resume = [&] {
    if (!usable()) {
      // Somebody destroyed it here while the target gave it up: its name says that it has left, and
      // the target never saw it arrive. Where the replication link goes as well, the source closes
      // the window and the target keeps it for a source that resumes.
      for (const Disk& disk : m.guest.disks)
        cluster_.may_stand_alone.insert(disk.resource);
      return;
    }
    domain()->unattended = true;
    if (domain()->name != m.guest.name)
      cluster_.rename(*domain(), m.guest.name);
    if (domain()->run == Run::Suspended)
      cluster_.set_run(*domain(), Run::Running);
  };
  const Time stream_ends = cluster_.world().now() + milliseconds(200 + 100 * choices().below(10));
  if (!wait_until(m, true, [&] { return cluster_.world().now() >= stream_ends; }) || !usable() ||
      domain()->run != Run::Running)
    return m.broken ? resume() : break_migration();
  cluster_.set_run(*domain(), Run::Suspended);
  reach(m, 2);
  scheduler().sleep(milliseconds(5 + choices().below(50)));
  m.stream_done = !m.broken;
  if (!wait_until(m, true, [&] { return m.ready || m.failed; }) || m.failed || !usable())
    return resume();
  cluster_.rename(*domain(), m.guest.name + "--migratedaway");
  scheduler().sleep(milliseconds(1 + choices().below(20)));
  m.go = !m.broken;
  reach(m, 4);
  if (!wait_until(m, true, [&] { return m.done || m.failed; })) {
    cluster_.world().tell(m.source, "xl", "Domain state is now undefined");
    // The ends do not know then which of them has the guest. Where the replication link goes as
    // well, each does what is right if it has it, and the two may refuse each other.
    for (const Disk& disk : m.guest.disks)
      cluster_.may_stand_alone.insert(disk.resource);
    return;
  }
  if (m.failed)
    return resume();
  scheduler().sleep(milliseconds(5 + choices().below(50)));
  take_down(m.source, id);
  reach(m, 6);
}

void Toolstack::receive(const std::shared_ptr<Migration>& migration) {
  Migration& m = *migration;
  scheduler().sleep(milliseconds(50));
  const unsigned id =
      cluster_.make_domain(m.target, m.guest.name + "--incoming", m.guest.uuid, m.guest.disks).id;
  const auto domain = [&] { return cluster_.domain(m.target, id); };
  const auto usable = [&] { return domain() != nullptr && !domain()->ending; };
  domain()->boots_from_disk = m.guest.boots_from_disk;
  domain()->migrating = true;
  const Done at_end([&] {
    if (domain() != nullptr)
      domain()->migrating = false;
  });
  reach(m, 1);
  if (!wait_until(m, false, [&] { return m.stream_done; })) {
    if (usable())
      cluster_.forget_domain(m.target, id);
    return;
  }
  if (!usable())
    return break_migration();
  if (!add_disks(m.target, id, true)) {
    m.failed = !m.broken;
    take_down(m.target, id);
    return;
  }
  reach(m, 3);
  scheduler().sleep(milliseconds(5 + choices().below(50)));
  m.ready = !m.broken;
  if (!wait_until(m, false, [&] { return m.go; }) || !usable()) {
    break_migration();
    take_down(m.target, id);
    return;
  }
  if (cluster_.find(m.target, m.guest.name) != nullptr) {  // there is a guest of that name
    m.failed = !m.broken;
    take_down(m.target, id);
    return;
  }
  cluster_.rename(*domain(), m.guest.name);
  scheduler().sleep(milliseconds(1 + choices().below(20)));
  if (!usable())
    return break_migration();
  if (domain()->run == Run::Paused)
    cluster_.set_run(*domain(), Run::Running);
  scheduler().sleep(milliseconds(1 + choices().below(5)));
  m.done = !m.broken;
  reach(m, 5);
}

}  // namespace block_drbd::simulation
