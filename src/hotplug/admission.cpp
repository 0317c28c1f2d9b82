#include "hotplug/admission.h"

#include <algorithm>
#include <utility>

namespace block_drbd::hotplug {

namespace {

constexpr unsigned places = 4;
constexpr Duration longest_pause{20};
/// Those who have the places may be stuck in DRBD. What is left of the toolstack's time must do for
/// the patience with a Primary peer (policy/decide.h), and for the rollback.
constexpr Duration patience = std::chrono::seconds(5);
constexpr Duration quiet_for = std::chrono::seconds(1);

}  // namespace

std::unique_ptr<record::Lock> take_place(record::Records& records, Clock& clock, Report& report,
                                         const std::function<bool()>& in_haste) {
  const TimePoint begin = clock.now();
  bool is_first = true;
  bool said = false;
  for (Duration pause{1};; pause = std::min(pause * 2, longest_pause)) {
    for (unsigned number = 0; number < places; ++number) {
      auto place = records.try_lock_place(number);
      if (!place)
        return nullptr;  // it can be done without
      if (*place)
        return std::move(*place);
    }
    if ((std::exchange(is_first, false) && in_haste()) || clock.now() - begin >= patience ||
        !clock.wait(pause))
      return nullptr;
    if (!said && clock.now() - begin >= quiet_for) {
      report.tell(Severity::Notice,
                  "waiting, because this node attaches or detaches many disks at the moment");
      said = true;
    }
  }
}

}  // namespace block_drbd::hotplug
