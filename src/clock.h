// Time, and the wish to stop.
#pragma once

#include <chrono>

namespace block_drbd {

using Duration = std::chrono::milliseconds;
/// Steady: a clock that is set while we run must not lengthen or shorten a wait.
using TimePoint = std::chrono::steady_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() = 0;
  /// Waits, at most until somebody asks this process to end. False: asked to end.
  virtual bool wait(Duration duration) = 0;
  /// Whether this process was asked to end. What is left to tidy up may wait again after that.
  virtual bool acknowledge() = 0;
};

}  // namespace block_drbd
