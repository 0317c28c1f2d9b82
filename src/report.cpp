#include "report.h"

#include <poll.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

namespace block_drbd {

namespace {

class StderrAndSyslog final : public Report {
 public:
  StderrAndSyslog() { ::openlog("block-drbd", LOG_PID, LOG_DAEMON); }

  void tell(Severity severity, const std::string& text) override {
    if (severity != Severity::Info)
      write_now("block-drbd: " + text + '\n');
    ::syslog(severity == Severity::Failure ? LOG_ERR : LOG_INFO, "%s", text.c_str());
  }

 private:
  // A pipe that polls writable takes PIPE_BUF bytes without blocking. O_NONBLOCK is no way: the
  // descriptor's flags are shared with the toolstack.
  static void write_now(const std::string& text) {
    pollfd descriptor{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&descriptor, 1, 0) == 1 && (descriptor.revents & POLLOUT) != 0)
      static_cast<void>(
          !::write(STDERR_FILENO, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF)));
  }
};

}  // namespace

std::unique_ptr<Report> stderr_and_syslog() {
  return std::make_unique<StderrAndSyslog>();
}

}  // namespace block_drbd
