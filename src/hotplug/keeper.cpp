#include "hotplug/keeper.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "hotplug/hand_over.h"
#include "hotplug/release.h"
#include "hotplug/survey.h"
#include "policy/window.h"
#include "xenstore/backend.h"

namespace block_drbd::hotplug {

using policy::WindowStep;
using record::Claim;
using record::Phase;

namespace {

/// How long one turn may take: others want the lock.
constexpr Duration turn_limit = std::chrono::seconds(6);
/// DRBD tells of its own changes at once. Not of a device that is closed (8.4), nor of the guest's
/// name, which matters while the link is lost.
constexpr Duration first_pause_of_keeper{50};
constexpr Duration longest_pause_for_peer = std::chrono::seconds(2);
constexpr Duration longest_pause_of_keeper = std::chrono::seconds(5);
/// A role that is not given back by then is told of.
constexpr Duration quiet_about_role_for = std::chrono::seconds(30);

/// What DRBD did not answer in time may take effect later, and a `remove` be called; not for ever.
constexpr Duration comes_within = std::chrono::minutes(2);

/// The use has ended without a `remove`, or its `add` was killed: the toolstack has wiped the
/// directory, and of a guest that lives on the kernel has let go, too.
Result<bool> has_ended(Host& host, const Claim& claim) {
  const auto backend = xenstore::read_backend(host.store, claim.backend);
  if (!backend)
    return failure(backend.error());
  return !*backend &&
         (claim.phase == Phase::Promoting ||
          claim.backend.frontend() == xenstore::toolstack_domain ||
          !host.store.domain_exists(claim.backend.frontend()) || !is_served(host.devices, claim));
}

Result<bool> has_work(Host& host, const std::string& resource, const std::optional<Claim>& done) {
  // One that cannot be read must not hide the rest from the keeper.
  const auto window = host.records.window_of(resource);
  if (!window || *window)
    return true;
  if (const auto held = host.records.held(resource); held && *held)
    return true;
  const auto claims = host.records.claims_on(resource);
  if (!claims)
    return failure(claims.error());
  for (const Claim& claim : *claims) {
    if (done && claim.backend == done->backend && claim.run == done->run)
      continue;
    if (claim.phase == Phase::Released)
      return true;
    if (auto ended = has_ended(host, claim); !ended || *ended)
      return ended;
  }
  return false;
}

class Keeper {
 public:
  Keeper(Host& host, std::string resource) : host_(host), resource_(std::move(resource)) {}

  Result<void> run() {
    std::unique_ptr<record::Lock> only_one;
    if (auto lock = host_.records.try_lock_keeper(resource_); !lock)
      return failure(lock.error());
    else if (only_one = std::move(*lock); !only_one)
      return {};
    const auto watch = host_.drbd.watch(resource_);
    for (Duration pause = first_pause_of_keeper;; pause *= 2) {
      ask_configuration();
      {
        const Budget budget(host_.clock, turn_limit);
        const auto lock = lock_resource(host_, resource_, budget);
        if (!lock && lock.error().code != ETIMEDOUT)
          return failure(lock.error());
        if (lock) {
          const auto finished = take_turn(budget);
          if (finished && *finished) {
            only_one.reset();  // under the resource's lock: what comes later finds no keeper
            return {};
          }
          if (!finished && !host_.store.is_connected())
            return failure("DRBD resource " + resource_ + ": " + finished.error().message);
          if (!finished)
            tell_once(finished.error().message);
        }
      }
      if (asks_configuration_)
        continue;
      pause = std::min(pause, waits_for_peer_ ? longest_pause_for_peer : longest_pause_of_keeper);
      if (watch)
        (*watch)->wait(pause);
      else
        host_.clock.wait(pause);
      if (host_.clock.acknowledge())
        return failure("DRBD resource " + resource_ +
                       ": the keeper was asked to end before its work was done; the next add or "
                       "remove of the resource on this node goes on with it");
    }
  }

 private:
  /// What goes wrong may pass, and is tried again.
  void tell_once(const std::string& message) {
    if (message != said_)
      host_.report.tell(Severity::Failure, message);
    said_ = message;
  }

  /// Whether nothing is left to do. Each job has its turn, whatever becomes of the others.
  Result<bool> take_turn(const Budget& budget) {
    const auto over = look_after_held(budget);
    auto claims = host_.records.claims_on(resource_);
    if (!claims)
      return failure(claims.error());
    const auto released = release_what_is_left(*claims, budget);
    const auto closed = look_after_window(*claims, budget);
    waits_for_peer_ = !over || !*over || !closed || !*closed;
    for (const auto* job : {&over, &released, &closed})
      if (!*job)
        return failure(job->error());
    return *over && *released && *closed;
  }

  // -- the role --

  Result<bool> release_what_is_left(std::vector<Claim>& claims, const Budget& budget) {
    bool waits = false;  // for the kernel, or for a `remove`
    for (Claim& claim : claims) {
      if (claim.phase == Phase::Released)
        continue;
      const auto ended = has_ended(host_, claim);
      if (!ended)
        return failure(ended.error());
      if (!*ended)
        continue;
      // A guest may run that a new xenstored knows nothing of.
      if (is_served(host_.devices, claim)) {
        waits = true;
        continue;
      }
      // Who has wiped the directory of a guest that lives on may call `remove` yet.
      if (claim.phase == Phase::Attached &&
          claim.backend.frontend() != xenstore::toolstack_domain &&
          host_.store.domain_exists(claim.backend.frontend()) && is_late(claim.backend.text())) {
        waits = true;
        continue;
      }
      claim.phase = Phase::Released;
      if (auto written = host_.records.write(claim); !written)
        return failure(written.error());
    }
    const auto left = std::find_if(claims.begin(), claims.end(), [](const Claim& claim) {
      return claim.phase == Phase::Released;
    });
    // One stands for all: the resource is given back as a whole, and then no claim is left.
    if (left == claims.end())
      return !waits;
    bool late = false;
    for (const Claim& claim : claims)
      late = (claim.unanswered && is_late(claim.backend.text())) || late;
    const bool quiet = host_.clock.now() - begin_ < quiet_about_role_for;
    bool tells = !quiet && !told_of_role_;
    const auto released = try_to_release(host_, *left, late, tells, budget);
    told_of_role_ = !quiet && !tells;
    // Users may be ending themselves, and then nobody else would look again.
    return late && released ? false : released;
  }

  // -- the window --

  Result<bool> look_after_window(const std::vector<Claim>& claims, const Budget& budget) {
    auto window = host_.records.window_of(resource_);
    if (!window)
      return failure(window.error());
    if (!*window || !(*window)->unanswered)
      late_since_.erase(opening_);
    if (!*window)
      return true;
    if (auto looked = note_arrival(host_, **window); !looked)
      return failure(looked.error());
    const auto resource = host_.drbd.status(resource_, budget.left(status_limit));
    if (!resource && resource.error().code != ENOENT)
      return failure(resource.error());
    const auto adding = add_is_under_way(claims);
    if (!adding)
      return failure(adding.error());
    const auto step = resource ? next_step(**window, *resource, *adding) : WindowStep::Forget;
    switch (step) {
      case WindowStep::Wait:
        return *adding ? false : finish_if_closed(**window, *resource, budget);
      case WindowStep::Forget:
        return finish(**window);
      case WindowStep::Close:
        return close(**window, *resource, budget);
    }
    return false;
  }

  WindowStep next_step(const record::Window& window, const drbd::Resource& resource,
                       bool add_is_under_way) {
    const bool idle = !add_is_under_way && policy::is_idle(window, resource);
    if (!idle)
      idle_since_.reset();
    else if (!idle_since_)
      idle_since_ = host_.clock.now();
    const Duration idle_for =
        idle ? std::chrono::duration_cast<Duration>(host_.clock.now() - *idle_since_) : Duration(0);
    return policy::next_step(window, resource, add_is_under_way, idle_for);
  }

  Result<bool> add_is_under_way(const std::vector<Claim>& claims) {
    for (const Claim& claim : claims) {
      if (claim.phase != Phase::Promoting)
        continue;
      const auto backend = xenstore::read_backend(host_.store, claim.backend);
      if (!backend)
        return failure(backend.error());
      // One that has a device has been added, though that could not be written down.
      if (*backend && (*backend)->physical_device.empty())
        return true;
    }
    return false;
  }

  /// The peer is waited for because it may come back with two primaries allowed. If somebody has
  /// forbidden that here meanwhile (`drbdadm adjust`), there is nothing to wait for.
  Result<bool> finish_if_closed(const record::Window& window, const drbd::Resource& resource,
                                const Budget& budget) {
    const drbd::Peer* peer = resource.peer(window.peer);
    if (peer == nullptr || drbd::is_settled(*peer))
      return false;
    const auto link = connection(window, budget);
    if (!link)
      return failure(link.error());
    return is_open(*link) ? false : finish(window);
  }

  Result<bool> close(const record::Window& window, const drbd::Resource& resource,
                     const Budget& budget) {
    const auto before = connection(window, budget);
    if (!before)
      return failure(before.error());
    if (!is_open(*before))
      return finish(window);
    if (window.found_open) {
      if (!configured_) {
        asks_configuration_ = true;
        return false;
      }
      const auto configured = *std::exchange(configured_, std::nullopt);
      if (!configured)
        return failure("DRBD resource " + resource_ +
                       ": two primaries stay allowed after a guest's migration, because drbdadm "
                       "cannot tell whether the configuration wants it: " +
                       configured.error().message + ". Mend that; it is asked again then");
      if (*configured)
        return forget();
    }
    const auto answer =
        host_.drbd.set_two_primaries(resource, **before, false, budget.left(status_limit));
    if (!answer)
      return failure(answer.error());
    if (!answer->ok() && answer->code != drbd::code::both_primary)
      return failure(
          "DRBD resource " + resource_ +
          ": two primaries are still allowed after a guest's migration, and this is tried "
          "again. If it lasts, run `drbdadm adjust " +
          resource_ + "`. DRBD says " + drbd::quoted(*answer));
    // What counts is what is in force.
    const auto after = connection(window, budget);
    if (!after)
      return failure(after.error());
    if (is_open(*after))
      return false;
    host_.report.tell(Severity::Info, "DRBD resource " + resource_ +
                                          ": the hand-over is over, one Primary is allowed again");
    return finish(window);
  }

  /// Nothing is open, and nothing that DRBD has not answered will open it.
  Result<bool> finish(const record::Window& window) {
    return window.unanswered && is_late(opening_) ? false : forget();
  }

  /// Not under the resource's lock: drbdadm reads every resource's file, and the lock may be what a
  /// migrating guest stands still for.
  void ask_configuration() {
    if (std::exchange(asks_configuration_, false))
      configured_ = host_.drbd.configured_two_primaries(resource_, status_limit);
  }

  /// Whether what DRBD has not answered may still take effect: the promotion for a backend, or the
  /// opening of the window; or a `remove` of the backend may come.
  bool is_late(const std::string& what) {
    const auto since = late_since_.try_emplace(what, host_.clock.now()).first->second;
    return host_.clock.now() - since < comes_within;
  }

  Result<std::optional<drbd::ConnectionSettings>> connection(const record::Window& window,
                                                             const Budget& budget) {
    const auto settings = host_.drbd.settings(resource_, budget.left(status_limit));
    if (!settings)
      return failure(settings.error());
    const auto* found = settings->connection_to(window.peer);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }

  static bool is_open(const std::optional<drbd::ConnectionSettings>& connection) {
    return connection && connection->two_primaries;
  }

  Result<bool> forget() {
    if (auto removed = host_.records.remove_window(resource_); !removed)
      return failure(removed.error());
    return true;
  }

  // -- what was held --

  /// Once a node is seen again it may have the resource next, and what was held here is over.
  Result<bool> look_after_held(const Budget& budget) {
    const auto held = host_.records.held(resource_);
    if (!held)
      return failure(held.error());
    if (!*held)
      return true;
    const auto resource = host_.drbd.status(resource_, budget.left(status_limit));
    if (!resource && resource.error().code != ENOENT)
      return failure(resource.error());
    const bool alone = resource && !drbd::sees_any_peer(*resource);
    if (alone && host_.clock.now() < (*held)->until)
      return false;
    if (auto removed = host_.records.remove_held(resource_); !removed)
      return failure(removed.error());
    return true;
  }

  Host& host_;
  std::string resource_;
  std::optional<TimePoint> idle_since_;  ///< the window has served its purpose, as far as is seen
  std::map<std::string, TimePoint> late_since_;  ///< see is_late
  const std::string opening_ = "window";
  bool asks_configuration_ = false;
  std::optional<Result<bool>> configured_;  ///< two primaries; asked for one turn
  const TimePoint begin_ = host_.clock.now();
  bool told_of_role_ = false;
  bool waits_for_peer_ = false;
  std::string said_;
};

}  // namespace

Result<void> keep(Host& host, const std::string& resource) {
  return Keeper(host, resource).run();
}

void call_keeper(Host& host, const std::string& resource, const std::optional<Claim>& done) {
  const auto work = has_work(host, resource, done);
  const auto started = work && *work ? host.start_keeper(resource) : Result<void>();
  if (!work || !started)
    host.report.tell(Severity::Failure,
                     "DRBD resource " + resource +
                         ": nobody could be left behind to forbid two primaries again, or to give "
                         "a role back that nobody uses: " +
                         (work ? started.error() : work.error()).message +
                         ". Look at `drbdadm status " + resource + "`: `drbdadm secondary " +
                         resource + "` gives the role back, `drbdadm adjust " + resource +
                         "` forbids two primaries unless they are configured");
}

}  // namespace block_drbd::hotplug
