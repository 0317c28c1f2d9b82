// Signals and the last resort, each in a process of its own: they are a process' own affair.
#include "process/interruption.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "catch.h"
#include "child.h"

using namespace block_drbd;
using namespace block_drbd::process;
using namespace block_drbd::test;
using namespace std::chrono_literals;

namespace {

constexpr int yes = 0;
constexpr int no = 1;

/// Whether `body` says so in a process of its own.
bool holds(const std::function<bool()>& body) {
  Child child([&] { return body() ? yes : no; });
  return child.wait() == yes;
}

[[noreturn]] void wait_for_ever() {
  for (;;)
    ::pause();
}

}  // namespace

TEST_CASE("a wait lasts as long as nobody asks us to end", "[interruption]") {
  CHECK(holds([] { return steady_clock(catch_signals())->wait(1ms); }));
  CHECK(holds([] { return steady_clock(catch_signals())->wait(0ms); }));
  CHECK(holds([] { return steady_clock(catch_signals())->wait(-1h); }));
  CHECK(holds([] { return steady_clock(-1)->wait(1ms); }));
  CHECK(holds([] {
    const auto clock = steady_clock(-1);
    const TimePoint begin = clock->now();
    clock->wait(3ms);
    return clock->now() - begin >= 3ms;
  }));
}

TEST_CASE("a signal ends a wait, and every one after it", "[interruption]") {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const Pipe ready;
    Child child([&] {
      const auto clock = steady_clock(catch_signals());
      if (::write(ready.write_end.get(), "\n", 1) != 1)
        return 9;
      return !clock->wait(1h) && !clock->wait(1h) && !clock->wait(0ms) ? yes : no;
    });
    REQUIRE(read_all(ready.read_end, "\n") == "\n");
    child.signal(signal);
    CHECK(child.wait() == yes);
  }
}

TEST_CASE("a wish that came before a wait counts", "[interruption]") {
  CHECK(holds([] {
    const auto clock = steady_clock(catch_signals());
    ::raise(SIGTERM);
    return !clock->wait(1h);
  }));
}

TEST_CASE("a signal that is not for us does not end a wait", "[interruption]") {
  CHECK(holds([] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);
    const auto clock = steady_clock(catch_signals());
    const TimePoint begin = clock->now();
    ::ualarm(1000, 0);
    return clock->wait(10ms) && clock->now() - begin >= 10ms;
  }));
}

TEST_CASE("after a wish was acknowledged what is left to do may wait again", "[interruption]") {
  CHECK(holds([] {
    const auto clock = steady_clock(catch_signals());
    ::raise(SIGTERM);
    ::raise(SIGHUP);
    const bool ended = !clock->wait(1h);
    const bool acknowledged = clock->acknowledge();
    const bool waited = clock->wait(1ms);
    ::raise(SIGINT);
    return ended && acknowledged && waited && !clock->wait(1h);
  }));
  // Nothing to acknowledge: does not block.
  CHECK(holds([] {
    const auto clock = steady_clock(catch_signals());
    return !clock->acknowledge() && clock->wait(0ms);
  }));
}

TEST_CASE("signals reach us whatever the toolstack left blocked or ignored", "[interruption]") {
  CHECK(holds([] {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ::signal(SIGHUP, SIG_IGN);
    const auto clock = steady_clock(catch_signals());
    ::raise(SIGHUP);
    return !clock->wait(1h);
  }));
  // With SIGCHLD ignored a tool's exit code would be lost.
  CHECK(holds([] {
    ::signal(SIGCHLD, SIG_IGN);
    catch_signals();
    const pid_t tool = ::fork();
    if (tool == 0)
      ::_exit(7);
    int status = 0;
    return ::waitpid(tool, &status, 0) == tool && WEXITSTATUS(status) == 7;
  }));
}

TEST_CASE("a dead reader is an error and not our death", "[interruption]") {
  CHECK(holds([] {
    catch_signals();
    Pipe pipe;
    pipe.read_end = Fd();
    return ::write(pipe.write_end.get(), "x", 1) == -1 && errno == EPIPE;
  }));
}

TEST_CASE("the descriptor is not handed down", "[interruption]") {
  CHECK(holds([] { return (::fcntl(catch_signals(), F_GETFD) & FD_CLOEXEC) != 0; }));
}

TEST_CASE("without a descriptor to be had waits go on", "[interruption]") {
  CHECK(holds([] {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
    const int interruption = catch_signals();
    ::setrlimit(RLIMIT_NOFILE, &before);
    ::raise(SIGTERM);
    return interruption == -1 && steady_clock(interruption)->wait(1ms);
  }));
}

TEST_CASE("at the end of our time we end and say so", "[interruption]") {
  Pipe words;
  Child child([&] {
    ::dup2(words.write_end.get(), STDERR_FILENO);
    catch_signals();
    end_after(5ms, "gave up\n");
    wait_for_ever();
    return 0;
  });
  words.write_end = Fd();
  CHECK(child.wait() == 1);
  CHECK(read_all(words.read_end) == "gave up\n");
}

TEST_CASE("a limit of more than a second is one", "[interruption]") {
  CHECK(holds([] {
    end_after(3600s, "gave up\n");
    itimerval left{};
    ::getitimer(ITIMER_REAL, &left);
    return left.it_value.tv_sec >= 3599 && left.it_value.tv_sec <= 3600;
  }));
  CHECK(holds([] {
    end_after(3'600'500ms, "gave up\n");
    itimerval left{};
    ::getitimer(ITIMER_REAL, &left);
    return left.it_value.tv_sec == 3600;
  }));
}

TEST_CASE("nobody needs to listen when our time ends", "[interruption]") {
  SECTION("stderr is closed") {
    Child child([] {
      ::close(STDERR_FILENO);
      catch_signals();
      end_after(5ms, "gave up\n");
      wait_for_ever();
      return 0;
    });
    CHECK(child.wait() == 1);
  }
  SECTION("stderr is full, and nobody reads") {
    const Pipe full;
    fill(full.write_end);
    Child child([&] {
      ::dup2(full.write_end.get(), STDERR_FILENO);
      catch_signals();
      end_after(5ms, "gave up\n");
      wait_for_ever();
      return 0;
    });
    CHECK(child.wait() == 1);
  }
  SECTION("stderr's reader is dead") {
    Pipe dead;
    dead.read_end = Fd();
    Child child([&] {
      ::dup2(dead.write_end.get(), STDERR_FILENO);
      catch_signals();
      end_after(5ms, "gave up\n");
      wait_for_ever();
      return 0;
    });
    CHECK(child.wait() == 1);
  }
}

TEST_CASE("last words are never more than a pipe takes at once", "[interruption]") {
  Pipe words;
  fill(words.write_end, 1);
  Child child([&] {
    ::dup2(words.write_end.get(), STDERR_FILENO);
    catch_signals();
    end_after(5ms, std::string(10'000, 'y'));
    wait_for_ever();
    return 0;
  });
  CHECK(child.wait() == 1);
}
