// The nodes: their xenstore, domains, block backends, and what our program remembers there. And the
// rules that no schedule may break.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "commands.h"
#include "drbd_model.h"
#include "policy/choices.h"
#include "record/records.h"
#include "world.h"
#include "xenstore/backend.h"

namespace block_drbd::simulation {

struct Disk {
  int resource = 0;
  int volume = 0;
  bool names_volume = false;  ///< the disk line says `r0/0`
  std::string mode = "w";
  unsigned device = 51712;
};

enum class Run { Paused, Running, Suspended, Ended };

struct Domain {
  unsigned id = 0;
  int node = 0;
  std::string name;
  std::string uuid;
  Run run = Run::Paused;
  std::vector<Disk> disks;
  bool boots_from_disk = false;
  bool is_new = false;      ///< a start has made it, and it has not run yet
  bool ending = false;      ///< its toolstack has begun to take it down
  bool half_ended = false;  ///< that xl was killed in the middle
  bool migrating = false;   ///< an xl is at work on its migration, at this end
  bool unattended = false;  ///< the xl that would clean up after it has ended
};

/// blkback's hold on one device.
struct Opened {
  unsigned domain;
  unsigned device;
  int resource;
  int volume;
  bool operator==(const Opened&) const = default;
};

/// Somebody's hold on a device who is no guest: `mount`, `dd`, udev.
struct ByHand {
  int number;
  int resource;
  int node;
  int volume;
  bool writes;
  bool operator==(const ByHand&) const = default;
};

struct Node {
  std::map<std::string, std::string> xenstore;
  std::uint64_t xenstore_version = 0;
  std::map<unsigned, Domain> domains;
  unsigned next_domain = 1;
  std::vector<Opened> opened;
  // /run
  std::vector<record::Claim> claims;
  std::map<std::string, record::Window> windows;
  std::map<std::string, record::Held> held;
  std::map<std::string, record::Outage> outages;
  std::map<std::string, Actor*> locks;
  Actor* healer = nullptr;     ///< while it waits
  bool lost_a_helper = false;  ///< a process of ours was killed here: the next call takes over
};

class Cluster {
 public:
  /// `has_healers`: block-drbd-heal.service runs on each node.
  Cluster(World& world, DrbdShape shape, bool has_healers = true);

  World& world() { return world_; }
  DrbdModel& drbd() { return drbd_; }
  Commands& commands() { return commands_; }
  Node& node(int number) { return nodes_[static_cast<std::size_t>(number)]; }
  int nodes() const { return static_cast<int>(nodes_.size()); }

  // Domains.
  Domain& make_domain(int node, const std::string& name, const std::string& uuid,
                      std::vector<Disk> disks);
  Domain* domain(int node, unsigned id);
  Domain* find(int node, const std::string& name);
  void rename(Domain& domain, const std::string& name);
  void set_run(Domain& domain, Run run);
  void forget_domain(int node, unsigned id);

  // Backends, as libxl and blkback treat them.
  static xenstore::BackendPath path_of(const Domain& domain, const Disk& disk);
  void write_backend(const Domain& domain, const Disk& disk);
  void set_backend_state(int node, const xenstore::BackendPath& path, const char* state);
  void wipe_backend(int node, const xenstore::BackendPath& path);
  std::optional<std::string> value(int node, const std::string& path) const;
  /// After somebody wrote a physical-device.
  void attached(int node, const std::string& backend, const std::string& physical_device);
  /// blkback has let go of the device, or will in a moment.
  void close_backend(int node, unsigned domain, unsigned device);
  bool is_open(int node, unsigned domain, unsigned device) const;

  /// Opens a device by hand, if DRBD allows it, and closes it after `duration`.
  void open_by_hand(int resource, int node, int volume, bool writes, Time duration);
  void close_all_by_hand();
  /// Who writes to the resource by hand where an `add` on this node must see it: here, and for a
  /// start on every node that this one sees. Nobody while a guest uses the resource here.
  std::vector<ByHand> writers_by_hand(int resource, int node, bool is_start) const;
  bool is_held_by_hand(const ByHand& opened) const;
  /// By a process that can be seen: not by one that ends, and writes its last pages.
  bool is_open_by_hand(int node, int minor) const;
  Time last_pages_take = 0;

  // Changes of a resource, for those who watch.
  std::uint64_t changes(int resource, int node) const;
  void watch(int resource, int node, Actor* actor);
  void unwatch(int resource, int node, Actor* actor);

  void crash(int node);
  void boot(int node);

  /// A domain that may write to the resource runs on the node.
  const Domain* writer(int resource, int node) const;
  /// A domain has the resource there, running or not, and nobody has begun to take it down.
  bool is_used(int resource, int node) const;

  /// /etc/xen/block-drbd.json, the same on each node.
  policy::Choices configured;
  /// As the administrator chose, a guest with the resource started without what the node wrote that
  /// it did not see.
  std::set<std::pair<int, int>> started_without;
  /// A person decided, in a partition, that this resource may run in two places.
  std::set<int> decided_by_person;
  /// A guest's node had lost quorum, and two primaries are configured.
  std::set<int> may_go_on;
  /// An interrupted hand-over, or a person, left the two ends with different settings, or both
  /// nodes Primary.
  std::set<int> may_stand_alone;
  /// Settings that differ have parted nodes at some time, for however long.
  std::set<int> parted;
  /// A guest migrated within its node: both its instances have the device for a moment.
  bool shared_by_local_migration = false;

  /// The node is connected to every other one.
  bool sees_all(int resource, int node) const;

  void check_writers();
  void check_at_rest();
  /// The node's healer was killed: systemd starts it again.
  void lost_healer(int node) { start_healer_soon(node); }

 private:
  int index(int resource, int node) const { return resource * nodes() + node; }

  void close_by_hand(int number);

  /// A moment after the boot, or the end, of the last one.
  void start_healer_soon(int node);

  World& world_;
  DrbdModel drbd_;
  Commands commands_;
  bool has_healers_;
  std::vector<Node> nodes_;
  std::vector<ByHand> by_hand_;
  int opened_by_hand_ = 0;
  std::set<int> ending_by_hand_;
  std::vector<std::uint64_t> changes_;
  std::vector<std::vector<Actor*>> watchers_;
};

}  // namespace block_drbd::simulation
