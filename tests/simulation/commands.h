// The commands that DRBD's kernel module carries out. Those on one resource of one node come one
// after another: the module holds the resource's adm_mutex meanwhile (drbd_nl.c, 8.4 and 9).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "drbd_model.h"
#include "world.h"

namespace block_drbd::simulation {

/// A command in the kernel. One that cannot be interrupted outlives whoever waits for it.
struct Command {
  std::function<bool()> act;  ///< at the moment of its effect; false: it is not decided yet
  Time takes = 0;
  bool uninterruptible = false;
  bool begun = false;
  bool done = false;
  bool abandoned = false;  ///< its tool was killed, and the kernel gave up with it
};

class Commands {
 public:
  Commands(World& world, DrbdModel& drbd) : world_(world), drbd_(drbd) {}

  void submit(int resource, int node, std::shared_ptr<Command> command);
  /// Its tool was killed. DRBD 8.4 cannot be interrupted while it waits for the mutex.
  void abandon(Command& command) const;
  void forget(int node);  ///< it has lost power

 private:
  using Queue = std::deque<std::shared_ptr<Command>>;

  void begin_next(int resource, int node);
  void carry_out(int resource, int node, const std::shared_ptr<Command>& command);

  World& world_;
  DrbdModel& drbd_;
  std::map<std::pair<int, int>, Queue> queues_;
};

}  // namespace block_drbd::simulation
