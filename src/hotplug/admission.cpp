#include "hotplug/admission.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "hotplug/host.h"
#include "policy/decide.h"

namespace block_drbd::hotplug {

namespace {

constexpr unsigned places = 4;
/// Each try costs all of us a little, and hundreds may be waiting.
constexpr Duration longest_pause_for_place{100};
/// Those who have the places may be stuck in DRBD: none has come free for so long then.
constexpr Duration patience = std::chrono::seconds(5);
/// What is left of the toolstack's time must do for the patience with a Primary peer
/// (policy/decide.h), and for the rollback; and that peer may be waiting here to let go.
constexpr Duration longest_wait = std::chrono::seconds(10);
static_assert(time_limit - rollback_reserve - longest_wait >= policy::patience_for_peer &&
              longest_wait < policy::patience_for_peer);
constexpr Duration quiet_about_place_for = std::chrono::seconds(1);

/// Changes whenever one of us gets a place.
std::array<std::int64_t, places> turns(record::Records& records) {
  std::array<std::int64_t, places> taken_at{};
  for (unsigned number = 0; number < places; ++number)
    taken_at[number] = records.place_taken_at(number);
  return taken_at;
}

/// Nothing when all are taken.
Result<std::unique_ptr<record::Lock>> try_places(record::Records& records) {
  for (unsigned number = 0; number < places; ++number)
    if (auto place = records.try_lock_place(number); !place || *place)
      return place;
  return nullptr;
}

}  // namespace

std::unique_ptr<record::Lock> take_place(record::Records& records, Clock& clock, Report& report,
                                         const std::function<bool()>& in_haste) {
  auto place = try_places(records);
  if (place && !*place && in_haste())
    return nullptr;
  const TimePoint begin = clock.now();
  std::optional<std::array<std::int64_t, places>> seen;
  TimePoint looked = begin;
  bool said = false;
  for (Duration pause{1}; place && !*place; pause = std::min(pause * 2, longest_pause_for_place)) {
    if (clock.now() - begin >= longest_wait)
      return nullptr;
    if (!seen || clock.now() - looked >= patience) {
      const auto now = turns(records);
      if (now == seen)
        return nullptr;
      seen = now;
      looked = clock.now();
    }
    if (!clock.wait(pause))
      return nullptr;
    if (!said && clock.now() - begin >= quiet_about_place_for) {
      report.tell(Severity::Notice,
                  "waiting, because this node attaches or detaches many disks at the moment");
      said = true;
    }
    place = try_places(records);
  }
  return place ? std::move(*place) : nullptr;  // it can be done without
}

}  // namespace block_drbd::hotplug
