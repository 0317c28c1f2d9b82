#include "process/interruption.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdint>

namespace block_drbd::process {

namespace {

// A signal's handler reaches nothing but globals.
volatile int interruption_descriptor = -1;
std::array<char, PIPE_BUF> last_words{};
volatile std::size_t last_words_size = 0;

void interrupt(int /*signal*/) {
  const int saved = errno;
  const std::uint64_t one = 1;
  static_cast<void>(!::write(interruption_descriptor, &one, sizeof one));
  errno = saved;
}

void give_up(int /*signal*/) {
  pollfd descriptor{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&descriptor, 1, 0) == 1)
    static_cast<void>(!::write(STDERR_FILENO, last_words.data(), last_words_size));
  ::_exit(1);
}

void on(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigaction(signal, &action, nullptr);
}

class SteadyClock final : public Clock {
 public:
  explicit SteadyClock(int interruption) : interruption_(interruption) {}

  TimePoint now() override { return std::chrono::steady_clock::now(); }

  bool wait(Duration duration) override {
    const TimePoint end = now() + duration;
    for (;;) {
      const auto left = std::chrono::ceil<Duration>(end - now()).count();
      pollfd descriptor{.fd = interruption_, .events = POLLIN, .revents = 0};
      const int ready =
          ::poll(&descriptor, 1, static_cast<int>(std::clamp<Duration::rep>(left, 0, INT_MAX)));
      if (ready > 0)
        return false;
      if (ready == 0)
        return true;
    }
  }

  bool acknowledge() override {
    std::uint64_t wishes = 0;
    return ::read(interruption_, &wishes, sizeof wishes) > 0;
  }

 private:
  int interruption_;
};

}  // namespace

void restore_signals() {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD})
    on(signal, SIG_DFL, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

int catch_signals() {
  interruption_descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  restore_signals();  // the toolstack's own are inherited
  for (const int signal : {SIGTERM, SIGINT, SIGHUP})
    on(signal, interrupt, SA_RESTART);
  on(SIGPIPE, SIG_IGN, 0);
  return interruption_descriptor;
}

std::unique_ptr<Clock> steady_clock(int interruption) {
  return std::make_unique<SteadyClock>(interruption);
}

void end_after(Duration limit, const std::string& message) {
  last_words_size = std::min(message.size(), last_words.size());
  std::copy_n(message.begin(), last_words_size, last_words.begin());
  on(SIGALRM, give_up, 0);
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limit);
  itimerval timer{};
  timer.it_value.tv_sec = seconds.count();
  timer.it_value.tv_usec = (limit - seconds) / std::chrono::microseconds(1);
  ::setitimer(ITIMER_REAL, &timer, nullptr);
}

}  // namespace block_drbd::process
