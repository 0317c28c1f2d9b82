#include "report.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

#include "fd.h"

namespace block_drbd {

namespace {

/// Neither channel may block: stderr may be a stalled ssh session, and a log daemon that hangs must
/// not keep guests from their disks. syslog(3) waits for the daemon, so its socket is used as it
/// does.
class StderrAndSyslog final : public Report {
 public:
  explicit StderrAndSyslog(std::string log_socket) : log_socket_(std::move(log_socket)) {}

  void tell(Severity severity, const std::string& text) override {
    if (severity != Severity::Info)
      write_now("block-drbd: " + text + '\n');
    log(severity == Severity::Failure ? LOG_ERR : LOG_INFO, text);
  }

 private:
  /// O_NONBLOCK on the descriptor itself would be the toolstack's, too: a socket is asked for each
  /// message, anything else is opened anew.
  static void write_now(const std::string& text) {
    if (::send(STDERR_FILENO, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
        errno != ENOTSOCK)
      return;
    // A file never blocks, and opened anew it would not move on the place where others write next.
    struct stat status {};
    const bool is_file = ::fstat(STDERR_FILENO, &status) == 0 && S_ISREG(status.st_mode);
    const Fd again(is_file ? -1
                           : ::open("/proc/self/fd/2",
                                    O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    // Somebody else's cannot be opened anew, as under sudo; room for one byte must do then.
    pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    const bool has_room = ::poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0;
    // Not more than a pipe takes at once: part of a sentence is none.
    if (again || has_room)
      static_cast<void>(!::write(again ? again.get() : STDERR_FILENO, text.data(),
                                 std::min<std::size_t>(text.size(), PIPE_BUF)));
  }

  void log(int priority, const std::string& text) const {
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    log_socket_.copy(address.sun_path, sizeof address.sun_path - 1);
    std::array<char, 32> when{};
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    const std::size_t size = std::strftime(when.data(), when.size(), "%b %e %T", &local);
    const std::string line = '<' + std::to_string(LOG_DAEMON | priority) + '>' +
                             std::string(when.data(), size) + " block-drbd[" +
                             std::to_string(::getpid()) + "]: " + text;
    static_cast<void>(!::sendto(socket.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&address), sizeof address));
  }

  std::string log_socket_;
};

}  // namespace

std::unique_ptr<Report> stderr_and_syslog(std::string log_socket) {
  return std::make_unique<StderrAndSyslog>(std::move(log_socket));
}

}  // namespace block_drbd
