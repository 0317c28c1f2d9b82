// What is said on stderr, whatever stderr is. Each in a process of its own.
#include "report.h"

#include <signal.h>
#include <unistd.h>

#include "catch.h"
#include "child.h"
#include "process/interruption.h"

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
