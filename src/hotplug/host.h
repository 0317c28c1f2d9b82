// Everything that add and remove reach of this node. Each member is a seam that tests replace.
#pragma once

#include <functional>
#include <memory>
#include <random>

#include "clock.h"
#include "device/devices.h"
#include "drbd/drbd.h"
#include "policy/choices.h"
#include "record/records.h"
#include "report.h"
#include "xenstore/store.h"

namespace block_drbd::hotplug {

struct Host {
  xenstore::Store& store;
  drbd::Drbd& drbd;
  device::Devices& devices;
  record::Records& records;
  Clock& clock;
  Report& report;
  std::function<bool()> is_below_migrate_receive;
  /// Leaves a process behind that runs `keep` (hotplug/keeper.h) for the resource.
  std::function<Result<void>(const std::string& resource)> start_keeper;
  /// What the administrator chose for the resource; an error when that cannot be read.
  std::function<Result<policy::Choices>(const std::string& resource)> choices_for;
  /// What the kernel has said and not forgotten (drbd/kernel_log.h).
  std::function<Result<std::string>()> kernel_log;
  std::minstd_rand random;
  std::unique_ptr<record::Lock> place{};  ///< see hotplug/admission.h, also when it is given up
};

/// The time that a run may take. libxl kills a block script after 40 s and then tells nobody why,
/// so ours ends before that by itself.
class Budget {
 public:
  Budget(Clock& clock, Duration limit) : clock_(&clock), end_(clock.now() + limit) {}

  /// Whether enough is left to look, act and look again. A turn that is begun with less would end
  /// in the middle, and with a message about a tool that had no time to answer.
  bool allows_another_turn() const;
  /// What is left, but not more than `most`; never less than a millisecond.
  Duration left(Duration most = Duration::max()) const;
  /// The same end, `reserve` earlier.
  Budget less(Duration reserve) const;

 private:
  Clock* clock_;
  TimePoint end_;
};

/// What `add` and `remove` may take altogether, and what `add` keeps of it for its rollback.
inline constexpr Duration time_limit = std::chrono::seconds(34);
inline constexpr Duration rollback_reserve = std::chrono::seconds(6);

/// How long one look at DRBD's state may take. On a busy node, on which many guests start at once,
/// a look that is given up is work that is thrown away, and the next one takes no less.
inline constexpr Duration status_limit = std::chrono::seconds(15);

/// Takes the lock of the resource, waiting for it as long as the budget lasts.
Result<std::unique_ptr<record::Lock>> lock_resource(Host& host, const std::string& resource,
                                                    const Budget& budget);

}  // namespace block_drbd::hotplug
