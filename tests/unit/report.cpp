// What is said on stderr, whatever stderr is. Each in a process of its own.
#include "report.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "catch.h"
#include "child.h"
#include "process/interruption.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::test;

namespace {

/// Reports with `stderr_end` as stderr; nothing when that never ends.
std::optional<int> report(const Fd& stderr_end, Severity severity, const std::string& text) {
  Child child([&] {
    process::catch_signals();
    ::dup2(stderr_end.get(), STDERR_FILENO);
    stderr_and_syslog()->tell(severity, text);
    return 0;
  });
  return child.wait();
}

std::string said(Severity severity, const std::string& text) {
  Pipe pipe;
  CHECK(report(pipe.write_end, severity, text) == 0);
  pipe.write_end = Fd();
  return read_all(pipe.read_end);
}

}  // namespace

TEST_CASE("what somebody should see is on stderr", "[report]") {
  CHECK(said(Severity::Notice, "we wait") == "block-drbd: we wait\n");
  CHECK(said(Severity::Failure, "100 %s of it") == "block-drbd: 100 %s of it\n");
  CHECK(said(Severity::Info, "all is well").empty());
}

TEST_CASE("a stderr that nobody reads does not stop us", "[report]") {
  Pipe pipe;
  SECTION("full") {
    fill(pipe.write_end);
  }
  SECTION("almost full") {
    fill(pipe.write_end, 1);
  }
  CHECK(report(pipe.write_end, Severity::Failure, std::string(10'000, 'x')) == 0);
}

TEST_CASE("a stderr that is dead does not kill us", "[report]") {
  Pipe pipe;
  pipe.read_end = Fd();
  CHECK(report(pipe.write_end, Severity::Failure, "nobody hears this") == 0);
}

TEST_CASE("without a stderr nothing is said", "[report]") {
  Child child([] {
    ::close(STDERR_FILENO);
    stderr_and_syslog()->tell(Severity::Failure, "nobody hears this");
    return 0;
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("stderr's flags are the toolstack's, too, and stay as they are", "[report]") {
  const Pipe pipe;
  const int before = ::fcntl(pipe.write_end.get(), F_GETFL);
  CHECK(report(pipe.write_end, Severity::Failure, "failed") == 0);
  CHECK(::fcntl(pipe.write_end.get(), F_GETFL) == before);
}

TEST_CASE("what others write to the same file comes after, not over it", "[report]") {
  const TempDir directory;
  const std::string path = directory / "log";
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(::write(file.get(), "before\n", 7) == 7);
  CHECK(report(file, Severity::Failure, "failed") == 0);
  REQUIRE(::write(file.get(), "after\n", 6) == 6);
  std::array<char, 128> text{};
  REQUIRE(::pread(file.get(), text.data(), text.size() - 1, 0) > 0);
  CHECK(std::string(text.data()) == "before\nblock-drbd: failed\nafter\n");
}

TEST_CASE("a stalled terminal does not stop us", "[report]") {
  const Fd other_end(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(other_end);
  REQUIRE(::grantpt(other_end.get()) == 0);
  REQUIRE(::unlockpt(other_end.get()) == 0);
  const Fd terminal(::open(::ptsname(other_end.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  // Nobody reads at the other end, and there is room for less than the message.
  const int flags = ::fcntl(terminal.get(), F_GETFL);
  ::fcntl(terminal.get(), F_SETFL, flags | O_NONBLOCK);
  while (::write(terminal.get(), "x", 1) == 1) {
  }
  ::fcntl(terminal.get(), F_SETFL, flags);
  CHECK(report(terminal, Severity::Failure, std::string(3'000, 'x')) == 0);
}

TEST_CASE("a socket as stderr is told, and may be full", "[report]") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  CHECK(report(theirs, Severity::Failure, "failed") == 0);
  std::array<char, 64> text{};
  REQUIRE(::recv(ours.get(), text.data(), text.size(), MSG_DONTWAIT) > 0);
  CHECK(std::string(text.data()) == "block-drbd: failed\n");
  while (::send(theirs.get(), text.data(), text.size(), MSG_DONTWAIT) > 0) {
  }
  CHECK(report(theirs, Severity::Failure, "failed") == 0);
}

TEST_CASE("the system log gets everything, and a log daemon that hangs does not stop us",
          "[report]") {
  const TempDir directory;
  const std::string path = directory / "log";
  const Fd daemon(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(daemon.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const auto tell = [&](int times, Severity severity) {
    Child child([&] {
      for (int i = 0; i < times; ++i)
        stderr_and_syslog(path)->tell(severity, "100 %s of it");
      return 0;
    });
    return child.wait();
  };
  std::array<char, 256> text{};
  CHECK(tell(1, Severity::Info) == 0);
  REQUIRE(::recv(daemon.get(), text.data(), text.size() - 1, MSG_DONTWAIT) > 0);
  CHECK(std::string(text.data()).starts_with("<30>"));  // daemon, info
  CHECK(std::string(text.data()).find(" block-drbd[") != std::string::npos);
  CHECK(std::string(text.data()).ends_with("]: 100 %s of it"));
  // Nobody reads any more: the daemon's queue holds some ten messages.
  CHECK(tell(1000, Severity::Info) == 0);
}
