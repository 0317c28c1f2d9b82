// Preloaded: the time of day jumps by a year with each look at it, now forward, now back.
#include <dlfcn.h>

#include <ctime>

namespace {

constexpr time_t year = 365L * 24 * 3600;

time_t jump() {
  static bool forward = false;
  return (forward = !forward) ? year : -year;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) {
  using ClockGettime = int (*)(clockid_t, timespec*);
  static const auto real = reinterpret_cast<ClockGettime>(::dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = real(clock, now);
  if (clock == CLOCK_REALTIME)
    now->tv_sec += jump();
  return result;
}

time_t time(time_t* where) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (where != nullptr)
    *where = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
