// Actors that take turns under one virtual clock. Each actor is a fiber: it runs until it waits,
// and whoever is due next goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace block_drbd::simulation {

using Time = std::int64_t;  ///< microseconds since the schedule began

constexpr Time milliseconds(Time n) {
  return n * 1000;
}
constexpr Time seconds(Time n) {
  return n * 1'000'000;
}

/// Thrown out of a wait of an actor that was killed. Nobody catches it on the way: what an actor
/// has on its stack is what the kernel would take back.
struct Killed {};

class Fiber;

class Actor {
 public:
  Actor(int node, std::string name, std::function<void()> body);
  ~Actor();
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  int node() const { return node_; }
  const std::string& name() const { return name_; }
  bool has_ended() const { return ended_; }
  bool was_killed() const { return killed_; }

 private:
  friend class Scheduler;
  int node_;
  std::string name_;
  std::function<void()> body_;
  std::unique_ptr<Fiber> fiber_;
  std::uint64_t turn_ = 0;  ///< an event for an earlier turn is void
  bool ended_ = false;
  bool killed_ = false;
  bool dying_ = false;  ///< the exception is on its way
};

class Scheduler {
 public:
  Scheduler();
  ~Scheduler() { end_all(); }
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Time now() const { return now_; }

  Actor& start(int node, std::string name, std::function<void()> body);
  void at(Time time, std::function<void()> event);
  void after(Time delay, std::function<void()> event) { at(now_ + delay, std::move(event)); }

  /// Runs what is due until `end`, or until `stop` is called.
  void run_until(Time end);
  void stop() { stopped_ = true; }
  bool is_stopped() const { return stopped_; }

  /// The actor whose turn it is; none inside an event.
  Actor* current() { return current_; }
  /// For the current actor. `sleep` lasts its time; `park` ends when somebody wakes the actor, or
  /// at the limit.
  void sleep(Time duration);
  void park(Time limit);
  void wake(Actor& actor);
  /// The actor ends at the point where it waits.
  void kill(Actor& actor);
  void kill_all_on(int node);
  /// False: there is no such actor.
  bool kill_one(int node, const std::string& name);
  /// Every actor ends, now: before what they use does.
  void end_all();
  bool any_alive(const std::function<bool(const Actor&)>& which) const;

 private:
  struct Event {
    Time time;
    std::uint64_t number;
    Actor* actor;
    std::uint64_t turn;
    std::function<void()> event;
    bool operator<(const Event& other) const {
      return time != other.time ? time > other.time : number > other.number;
    }
  };

  void push(Event event);
  void resume(Actor& actor);
  void wait_for_turn();

  Time now_ = 0;
  Time end_ = 0;
  std::uint64_t numbers_ = 0;
  bool stopped_ = false;
  Actor* current_ = nullptr;
  std::vector<Event> events_;  ///< a heap
  std::vector<std::unique_ptr<Actor>> actors_;
};

}  // namespace block_drbd::simulation
