#include "hotplug/admission.h"

#include <algorithm>

namespace block_drbd::hotplug {

namespace {

constexpr unsigned places = 4;
constexpr Duration longest_pause{20};
/// Those who have the places may be stuck in DRBD, and are no reason to fail.
constexpr Duration patience = std::chrono::seconds(10);

}  // namespace

std::unique_ptr<record::Lock> take_place(record::Records& records, Clock& clock,
                                         const std::function<bool()>& in_haste) {
  const TimePoint until = clock.now() + patience;
  for (Duration pause{1};; pause = std::min(pause * 2, longest_pause)) {
    for (unsigned number = 0; number < places; ++number) {
      auto place = records.try_lock_place(number);
      if (!place)
        return nullptr;  // it can be done without
      if (*place)
        return std::move(*place);
    }
    if (in_haste() || clock.now() >= until || !clock.wait(pause))
      return nullptr;
  }
}

}  // namespace block_drbd::hotplug
