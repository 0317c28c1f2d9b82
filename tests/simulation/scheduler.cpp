#include "scheduler.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace block_drbd::simulation {

namespace {

constexpr std::size_t stack_size = 256UL * 1024;

/// Stacks are used again: mapping one costs more than a turn does.
class Stacks {
 public:
  ~Stacks() {
    for (void* stack : free_)
      ::munmap(stack, stack_size);
  }
  void* take() {
    if (!free_.empty()) {
      void* stack = free_.back();
      free_.pop_back();
      return stack;
    }
    void* stack = ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
      std::abort();
    return stack;
  }
  void give_back(void* stack) { free_.push_back(stack); }

 private:
  std::vector<void*> free_;
};

thread_local Stacks stacks;

}  // namespace

class Fiber {
 public:
  explicit Fiber(std::function<void()> body) : body_(std::move(body)), stack_(stacks.take()) {
    ::getcontext(&inside_);
    inside_.uc_stack.ss_sp = stack_;
    inside_.uc_stack.ss_size = stack_size;
    inside_.uc_link = &outside_;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                  static_cast<unsigned>(self >> 32U), static_cast<unsigned>(self));
  }
  ~Fiber() { stacks.give_back(stack_); }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void go_in() {
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, stack_, stack_size);
    ::swapcontext(&outside_, &inside_);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    ::swapcontext(&outside_, &inside_);
#endif
  }
  void go_out() {
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, outer_stack_, outer_size_);
    ::swapcontext(&inside_, &outside_);
    __sanitizer_finish_switch_fiber(fake, &outer_stack_, &outer_size_);
#else
    ::swapcontext(&inside_, &outside_);
#endif
  }

 private:
  static void enter(unsigned high, unsigned low) {
    auto* self = reinterpret_cast<Fiber*>((static_cast<std::uintptr_t>(high) << 32U) | low);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &self->outer_stack_, &self->outer_size_);
#endif
    self->body_();
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(nullptr, self->outer_stack_, self->outer_size_);
#endif
  }

  std::function<void()> body_;
  void* stack_;
  ucontext_t inside_{};
  ucontext_t outside_{};
#if defined(__SANITIZE_ADDRESS__)
  const void* outer_stack_ = nullptr;
  std::size_t outer_size_ = 0;
#endif
};

Actor::Actor(int node, std::string name, std::function<void()> body)
    : node_(node), name_(std::move(name)), body_(std::move(body)) {}

Actor::~Actor() = default;

Scheduler::Scheduler() = default;

void Scheduler::end_all() {
  // NOLINTNEXTLINE(modernize-loop-convert): there may be more of them meanwhile
  for (std::size_t i = 0; i < actors_.size(); ++i)
    if (!actors_[i]->ended_) {
      actors_[i]->killed_ = true;
      resume(*actors_[i]);
    }
}

Actor& Scheduler::start(int node, std::string name, std::function<void()> body) {
  actors_.push_back(std::make_unique<Actor>(node, std::move(name), std::move(body)));
  Actor& actor = *actors_.back();
  push({now_, 0, &actor, actor.turn_, {}});
  return actor;
}

void Scheduler::at(Time time, std::function<void()> event) {
  push({std::max(time, now_), 0, nullptr, 0, std::move(event)});
}

void Scheduler::push(Event event) {
  event.number = ++numbers_;
  events_.push_back(std::move(event));
  std::push_heap(events_.begin(), events_.end());
}

void Scheduler::run_until(Time end) {
  end_ = end;
  while (!stopped_ && !events_.empty() && events_.front().time <= end) {
    std::pop_heap(events_.begin(), events_.end());
    const Event event = std::move(events_.back());
    events_.pop_back();
    if (event.actor != nullptr && (event.actor->ended_ || event.turn != event.actor->turn_))
      continue;
    now_ = event.time;
    if (event.actor != nullptr)
      resume(*event.actor);
    else
      event.event();
  }
  if (!stopped_)
    now_ = std::max(now_, end);
}

void Scheduler::resume(Actor& actor) {
  if (!actor.fiber_ && actor.killed_) {
    actor.ended_ = true;
    return;
  }
  if (!actor.fiber_)
    actor.fiber_ = std::make_unique<Fiber>([&actor] {
      try {
        actor.body_();
      } catch (const Killed&) {
      }
      actor.ended_ = true;
    });
  ++actor.turn_;
  Actor* const before = current_;
  current_ = &actor;
  actor.fiber_->go_in();
  current_ = before;
  if (actor.ended_) {
    actor.fiber_.reset();
    actor.body_ = nullptr;
  }
}

void Scheduler::wait_for_turn() {
  Actor& actor = *current_;
  actor.fiber_->go_out();
  if (actor.killed_ && !actor.dying_) {
    actor.dying_ = true;
    throw Killed();
  }
}

void Scheduler::sleep(Time duration) {
  Actor& actor = *current_;
  if (actor.dying_)
    return;
  // Nobody else is due before: the turn goes on.
  const Time end = now_ + duration;
  if (!stopped_ && end <= end_ && (events_.empty() || events_.front().time > end)) {
    now_ = end;
    return;
  }
  push({end, 0, &actor, actor.turn_, {}});
  wait_for_turn();
}

void Scheduler::park(Time limit) {
  Actor& actor = *current_;
  if (actor.dying_)
    return;
  push({now_ + limit, 0, &actor, actor.turn_, {}});
  wait_for_turn();
}

void Scheduler::wake(Actor& actor) {
  if (!actor.ended_ && &actor != current_)
    push({now_, 0, &actor, actor.turn_, {}});
}

void Scheduler::kill(Actor& actor) {
  if (actor.ended_ || actor.killed_)
    return;
  actor.killed_ = true;
  if (&actor == current_) {
    actor.dying_ = true;
    throw Killed();
  }
  wake(actor);
}

void Scheduler::kill_all_on(int node) {
  // NOLINTNEXTLINE(modernize-loop-convert): there may be more of them meanwhile
  for (std::size_t i = 0; i < actors_.size(); ++i)
    if (actors_[i]->node_ == node && actors_[i].get() != current_)
      kill(*actors_[i]);
}

bool Scheduler::kill_one(int node, const std::string& name) {
  for (const auto& actor : actors_)
    if (actor->node_ == node && actor->name_ == name && !actor->ended_ && !actor->killed_) {
      kill(*actor);
      return true;
    }
  return false;
}

bool Scheduler::any_alive(const std::function<bool(const Actor&)>& which) const {
  return std::any_of(actors_.begin(), actors_.end(), [&](const auto& actor) {
    return !actor->ended_ && !actor->killed_ && which(*actor);
  });
}

}  // namespace block_drbd::simulation
