// libxl and xl, as far as they move guests: in which order they call the block script, and what
// they do when something fails.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cluster.h"
#include "process.h"

namespace block_drbd::simulation {

struct Guest {
  std::string name;
  std::string uuid;
  std::vector<Disk> disks;
  bool boots_from_disk = false;  ///< through pygrub
};

/// What went wrong with one migration, and when.
struct Migration {
  Guest guest;
  int source = 0;
  int target = 0;
  bool stream_done = false;
  bool ready = false;
  bool failed = false;  ///< the target's report that it could not take the guest
  bool go = false;
  bool done = false;  ///< the final report
  bool broken = false;
  int stage = 0;
  Time source_notices = 0;
  Time target_notices = 0;
};

class Toolstack {
 public:
  explicit Toolstack(Cluster& cluster) : cluster_(cluster) {}

  // Each is an xl of its own. Their results are in the cluster.
  void create(int node, const Guest& guest);
  void shutdown(int node, const std::string& name, bool reboot = false);
  void destroy(int node, const std::string& name);
  std::shared_ptr<Migration> migrate(const Guest& guest, int source, int target);
  /// The connection between the two xl ends. Each end notices in its own time.
  void break_migration();
  /// The xl that receives a migration is killed: its guest stays as it is.
  void kill_receiver(int node);
  void unpause(int node, const std::string& name);

  std::size_t migrations_begun() const { return migrations_.size(); }
  bool any_migration_broke() const { return broke_; }

  /// Called when a migration comes to its next stage: 1 the target's domain is there, 2 the source
  /// is suspended, 3 the target has its disks, 4 go, 5 the target runs, 6 the source is gone.
  std::function<void(const Migration&)> on_stage;

  /// How long blkback takes to close a device, on each node; by chance where it is not said.
  std::map<int, Time> closes_after;

  struct Call {
    int node;
    Verb verb;
    bool ok;
    bool ended;
    std::string message;
  };
  /// What became of every call of the script, in order.
  std::vector<Call> calls;

 private:
  Call run(int node, Verb verb, const xenstore::BackendPath& path, bool below_migrate_receive);
  bool add_disks(int node, unsigned id, bool below_migrate_receive);
  void remove_disks(int node, unsigned id);
  void run_remove(int node, const xenstore::BackendPath& path);
  void wipe(int node, const xenstore::BackendPath& path);
  void take_down(int node, unsigned id);
  bool build(int node, const Guest& guest, bool reboots = false);
  bool bootloader(int node, const Guest& guest);
  void send(const std::shared_ptr<Migration>& migration, unsigned id);
  void receive(const std::shared_ptr<Migration>& migration);
  void reach(Migration& migration, int stage);
  bool wait_until(const Migration& migration, bool sender, const std::function<bool()>& reached);
  void start(int node, const std::string& what, std::function<void()> body);
  /// Several things at once; returns when all have ended.
  void all(int node, const std::vector<std::function<void()>>& bodies);
  Scheduler& scheduler() { return cluster_.world().scheduler(); }
  Choices& choices() { return cluster_.world().choices(); }

  Cluster& cluster_;
  std::vector<std::weak_ptr<Migration>> migrations_;
  bool broke_ = false;
};

}  // namespace block_drbd::simulation
