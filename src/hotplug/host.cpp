#include "hotplug/host.h"

#include <algorithm>
#include <cerrno>

namespace block_drbd::hotplug {

namespace {

constexpr Duration time_for_a_turn = std::chrono::seconds(3);

}  // namespace

bool Budget::allows_another_turn() const {
  return end_ - clock_->now() >= time_for_a_turn;
}

Duration Budget::left(Duration most) const {
  const auto left = std::chrono::duration_cast<Duration>(end_ - clock_->now());
  return std::clamp(left, Duration(1), std::max(most, Duration(1)));
}

Budget Budget::less(Duration reserve) const {
  Budget shorter = *this;
  shorter.end_ -= reserve;
  return shorter;
}

Result<std::unique_ptr<record::Lock>> lock_resource(Host& host, const std::string& resource,
                                                    const Budget& budget) {
  Duration pause{1};
  constexpr Duration longest_pause{100};
  constexpr Duration quiet_for = std::chrono::seconds(1);
  const TimePoint begin = host.clock.now();
  bool said = false;
  for (;;) {
    auto lock = host.records.try_lock(resource);
    if (!lock || *lock)
      return lock;
    if (!budget.allows_another_turn())
      return failure("DRBD resource " + resource +
                         ": another block-drbd on this node is at work on it and did not finish. "
                         "Look with `ps ax | grep block-drbd` what it is doing, then try again",
                     ETIMEDOUT);
    host.place.reset();
    if (!host.clock.wait(budget.left(pause)))
      return failure(
          "DRBD resource " + resource +
              ": this program was asked to end while another block-drbd was at work on it",
          EINTR);
    if (!said && host.clock.now() - begin >= quiet_for) {
      host.report.tell(Severity::Notice,
                       "DRBD resource " + resource + ": waiting for another block-drbd to finish");
      said = true;
    }
    pause = std::min(pause * 2, longest_pause);
  }
}

}  // namespace block_drbd::hotplug
