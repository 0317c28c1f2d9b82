// Real tools, run as drbdsetup is run.
#include "process/processes.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <sstream>

#include "catch.h"
#include "child.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::process;
using namespace block_drbd::test;
using namespace std::chrono_literals;

namespace {

/// No tool here takes long: this is for those that would never end.
constexpr Duration plenty = 10s;

/// A directory of tools, before the system's own.
struct Tools : TempDir {
  Result<Output> run(const std::vector<std::string>& argv, Duration limit = plenty,
                     int interruption = -1) const {
    return real_processes({path(), "/usr/bin", "/bin"}, interruption)->run(argv, limit);
  }
  std::unique_ptr<Stream> follow(const std::vector<std::string>& argv,
                                 int interruption = -1) const {
    auto stream = real_processes({path(), "/usr/bin", "/bin"}, interruption)->follow(argv);
    REQUIRE(stream);
    return std::move(*stream);
  }
  /// Runs a script that says something.
  std::string output_of(std::string_view script) const {
    tool("tool", script);
    const auto output = run({"tool"});
    REQUIRE(output);
    return output->out;
  }
};

/// Sets a variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

/// Whether a wait ends before its limit.
bool ends_early(Stream& stream, Duration limit) {
  const auto last = std::chrono::steady_clock::now() + limit;
  stream.wait(limit);
  return std::chrono::steady_clock::now() < last;
}

/// No child is left, neither at work nor as a zombie.
bool says(const Error& error, const std::string& words) {
  INFO(error.message);
  return error.message.find(words) != std::string::npos;
}

/// We are killed, and the tool that we have started dies, too. Needs a Subreaper.
void check_dies_with(Child& we, pid_t tool) {
  we.signal(SIGKILL);
  REQUIRE(we.wait() == 128 + SIGKILL);
  const auto ended = wait_for(tool);  // ours by now
  CHECK(ended == 128 + SIGKILL);
  if (!ended)
    ::kill(tool, SIGKILL);
}

}  // namespace

TEST_CASE("a tool's exit code and output", "[process]") {
  const Tools tools;
  tools.tool("tool", "echo to stdout; echo to stderr >&2; exit 17");
  const auto output = tools.run({"tool"});
  REQUIRE(output);
  CHECK(output->exit_code == 17);
  CHECK(output->out == "to stdout\n");
  CHECK(output->err == "to stderr\n");
  CHECK(all_reaped());
}

TEST_CASE("a tool that is content and silent", "[process]") {
  const Tools tools;
  const auto output = tools.run({"true"});
  REQUIRE(output);
  CHECK(output->exit_code == 0);
  CHECK(output->out.empty());
  CHECK(output->err.empty());
}

TEST_CASE("a tool that a signal ended", "[process]") {
  const Tools tools;
  tools.tool("tool", "echo $1; kill -$1 $$");
  for (const int signal : {SIGTERM, SIGKILL, SIGSEGV, SIGUSR1}) {
    const auto output = tools.run({"tool", std::to_string(signal)});
    REQUIRE(output);
    CHECK(output->exit_code == 128 + signal);
    CHECK(output->out == std::to_string(signal) + '\n');
  }
}

TEST_CASE("arguments reach a tool as they are", "[process]") {
  const Tools tools;
  tools.tool("tool", "echo $#; for each; do echo \"[$each]\"; done");
  const auto output = tools.run({"tool", "a b", "", "$(touch x)", "`x`", "*", "--force", "'\"\\"});
  REQUIRE(output);
  CHECK(output->out == "7\n[a b]\n[]\n[$(touch x)]\n[`x`]\n[*]\n[--force]\n['\"\\]\n");
}

TEST_CASE("output is taken as it is, and to its end", "[process]") {
  const Tools tools;
  CHECK(tools.output_of("printf 'a\\0b\\377\\n\\nc'") == std::string("a\0b\xff\n\nc", 7));
  // Far more than a pipe holds, on both, and the end together with the last of it.
  tools.tool(
      "tool",
      "head -c 900000 /dev/zero >&2 & head -c 1000000 /dev/zero; wait; echo end; echo end >&2");
  const auto output = tools.run({"tool"});
  REQUIRE(output);
  CHECK(output->out.size() == 1'000'004);
  CHECK(output->err.size() == 900'004);
}

TEST_CASE("a tool that says too much is stopped", "[process]") {
  const Tools tools;
  for (const char* script :
       {"head -c 90000000 /dev/zero", "exec yes", "exec yes >&2", "head -c 8388609 /dev/zero"}) {
    INFO(script);
    tools.tool("tool", script);
    const auto output = tools.run({"tool"});
    REQUIRE_FALSE(output);
    CHECK(output.error().code == EFBIG);
    CHECK(says(output.error(), "`tool`"));
    CHECK(all_reaped());
  }
  tools.tool("tool", "head -c 8388608 /dev/zero");
  const auto output = tools.run({"tool"});
  REQUIRE(output);
  CHECK(output->out.size() == 8'388'608);
}

TEST_CASE("what a tool said last counts, too", "[process]") {
  const Tools tools;
  // It ends while nobody reads: who ran it stands still, in a process of its own.
  tools.tool("tool",
             "head -c 8380000 /dev/zero; sleep 0.2\n"
             "{ sleep 0.3; kill -CONT $PPID; } >/dev/null 2>&1 &\n"
             "kill -STOP $PPID; head -c $1 /dev/zero");
  const auto run_with = [&](int size) {
    Child we([&] {
      const auto output = tools.run({"tool", std::to_string(size)});
      if (!output)
        return output.error().code == EFBIG ? 1 : 2;
      return output->out.size() == 8'380'000 + static_cast<std::size_t>(size) ? 0 : 3;
    });
    return we.wait();
  };
  CHECK(run_with(8'608) == 0);
  CHECK(run_with(50'000) == 1);
}

TEST_CASE("a tool that is missing is named", "[process]") {
  const Tools tools;
  tools.write("no-program", "#!/bin/sh\n");  // may not be executed
  for (const char* tool : {"drbdsetup-of-nowhere", "no-program"}) {
    const auto output = tools.run({tool, "status"});
    REQUIRE_FALSE(output);
    CHECK(output.error().code == ENOENT);
    CHECK(says(output.error(), tool));
    CHECK(says(output.error(), "not installed"));
  }
}

TEST_CASE("a tool that cannot be executed is an error", "[process]") {
  const Tools tools;
  for (const char* contents : {"#!/of/nowhere\n",
                               "\x7f"
                               "ELF but no program",
                               ""}) {
    ::chmod(tools.write("tool", contents).c_str(), 0755);
    const auto output = tools.run({"tool", "status"});
    REQUIRE_FALSE(output);
    CHECK(output.error().code != ENOENT);
    CHECK(says(output.error(), "`tool status`"));
    CHECK(all_reaped());
  }
}

TEST_CASE("tools are found in the given directories only, in their order", "[process]") {
  const Tools tools;
  tools.write("first/unused", "");
  tools.tool("first/tool", "echo first");
  tools.tool("second/tool", "echo second");
  tools.tool("third/other", "echo other");
  const Variable path("PATH", (tools / "third").c_str());
  const auto processes = real_processes({tools / "missing", tools / "first", tools / "second"}, -1);
  CHECK(processes->run({"tool"}, plenty)->out == "first\n");
  CHECK(processes->run({"other"}, plenty).error().code == ENOENT);
  CHECK(processes->run({"true"}, plenty).error().code == ENOENT);
}

TEST_CASE("a tool that takes too long is killed and reaped", "[process]") {
  const Tools tools;
  for (const char* script : {"exec sleep 1000", "trap '' TERM INT HUP; echo said; exec sleep 1000",
                             // Its output is closed, but it lives.
                             "exec >&- 2>&-; exec sleep 1000"}) {
    tools.tool("tool", script);
    const auto output = tools.run({"tool", "status"}, 50ms);
    REQUIRE_FALSE(output);
    CHECK(output.error().code == ETIMEDOUT);
    CHECK(says(output.error(), "`tool status`"));
    CHECK(says(output.error(), "within 50 ms"));
    CHECK(all_reaped());
  }
}

TEST_CASE("a tool's own child that keeps the pipes open is not waited for", "[process]") {
  const Tools tools;
  const Subreaper subreaper;
  tools.tool("tool", "sleep 30 & echo $!; exit 3");
  const auto output = tools.run({"tool"});
  REQUIRE(output);
  CHECK(output->exit_code == 3);
  const pid_t left_behind = std::stoi(output->out);
  CHECK(::waitpid(left_behind, nullptr, WNOHANG) == 0);  // it lives
  ::kill(left_behind, SIGKILL);
  CHECK(wait_for(left_behind) == 128 + SIGKILL);
}

TEST_CASE("a tool's environment is ours alone", "[process]") {
  const Tools tools;
  const Variable secret("BLOCK_DRBD_TEST_SECRET", "secret");
  const Variable language("LC_ALL", "de_DE.UTF-8");
  const Variable preload("LD_BIND_NOW", "1");
  const auto output = tools.run({"env"});
  REQUIRE(output);
  std::map<std::string, std::string> environment;
  std::istringstream lines(output->out);
  for (std::string line; std::getline(lines, line);)
    environment[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  CHECK(environment == std::map<std::string, std::string>{{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"},
                                                          {"LC_ALL", "C"},
                                                          {"HOME", "/"},
                                                          {"TERM", "dumb"}});
}

TEST_CASE("a tool's stdin is /dev/null", "[process]") {
  const Tools tools;
  const auto output = tools.run({"readlink", "/proc/self/fd/0"});
  REQUIRE(output);
  CHECK(output->out == "/dev/null\n");
  CHECK(tools.output_of("cat; echo end") == "end\n");
}

TEST_CASE("no descriptor leaks into a tool", "[process]") {
  const Tools tools;
  const auto open = [&] {
    const auto output = tools.run({"ls", "/proc/self/fd"});
    REQUIRE(output);
    return output->out;
  };
  // Those of a process with none but its own: 3 is the directory that ls reads.
  const std::string own = "0\n1\n2\n3\n";
  CHECK(open() == own);
  // Without O_CLOEXEC, as a toolstack leaves them to us. Low ones lie between those that Boost
  // keeps for itself.
  std::vector<Fd> leaked;
  for (int count = 0; count < 4; ++count) {
    leaked.emplace_back(::open("/dev/null", O_RDWR));
    CHECK(open() == own);
  }
  for (const int lowest : {50, 300, 1000})
    leaked.emplace_back(::fcntl(leaked.front().get(), F_DUPFD, lowest));
  CHECK(open() == own);
  leaked.erase(leaked.begin());  // a gap before them
  CHECK(open() == own);
}

TEST_CASE("no descriptor is left in us", "[process]") {
  const Tools tools;
  const auto open = [] {
    std::vector<std::string> descriptors;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
      descriptors.push_back(entry.path().filename());
    return descriptors.size();
  };
  const Fd interruption(::eventfd(0, EFD_CLOEXEC));
  const auto before = open();
  REQUIRE(tools.run({"true"}, plenty, interruption.get()));
  CHECK_FALSE(tools.run({"sleep", "1000"}, 10ms, interruption.get()));
  CHECK_FALSE(tools.run({"yes"}, plenty, interruption.get()));
  tools.write("broken", "#!/of/nowhere\n");
  ::chmod((tools / "broken").c_str(), 0755);
  CHECK_FALSE(tools.run({"broken"}, plenty, interruption.get()));
  CHECK(open() == before);
  CHECK(all_reaped());
}

TEST_CASE("SIGPIPE ends a tool, though we ignore it", "[process]") {
  const Tools tools;
  tools.tool("tool", "kill -PIPE $$; echo survived");
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  const auto output = tools.run({"tool"});
  ::signal(SIGPIPE, before);
  REQUIRE(output);
  CHECK(output->exit_code == 128 + SIGPIPE);
}

TEST_CASE("a tool dies with us", "[process]") {
  const Tools tools;
  const Subreaper subreaper;
  tools.tool("tool", "echo $$ > " + (tools / "pid") + "; exec sleep 1000");
  Child we([&] { return tools.run({"tool"}, 1000s) ? 0 : 1; });
  REQUIRE(eventually([&] { return tools.read("pid").ends_with('\n'); }));
  const pid_t tool = std::stoi(tools.read("pid"));
  check_dies_with(we, tool);
}

TEST_CASE("a tool is stopped when we are asked to end", "[process]") {
  const Tools tools;
  SECTION("while it runs") {
    const Fd interruption(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    itimerspec soon{};
    soon.it_value.tv_nsec = 20'000'000;
    ::timerfd_settime(interruption.get(), 0, &soon, nullptr);
    const auto output = tools.run({"sleep", "1000"}, plenty, interruption.get());
    REQUIRE_FALSE(output);
    CHECK(output.error().code == ETIMEDOUT);
    CHECK(says(output.error(), "asked to end"));
    CHECK(all_reaped());
  }
  SECTION("before it runs") {
    const Fd interruption(::eventfd(1, EFD_CLOEXEC));
    const auto output = tools.run({"sleep", "1000"}, plenty, interruption.get());
    REQUIRE_FALSE(output);
    CHECK(says(output.error(), "asked to end"));
    // The wish is still there for whoever acknowledges it.
    std::uint64_t wishes = 0;
    CHECK(::read(interruption.get(), &wishes, sizeof wishes) == sizeof wishes);
    CHECK(wishes == 1);
    CHECK(all_reaped());
  }
  SECTION("and not otherwise") {
    const Fd interruption(::eventfd(0, EFD_CLOEXEC));
    CHECK(tools.run({"true"}, plenty, interruption.get()));
  }
}

TEST_CASE("what a tool says ends a wait, and no other one", "[process][stream]") {
  const Tools tools;
  ::mkfifo((tools / "orders").c_str(), 0600);
  tools.tool("tool", "while read order; do echo \"$order\"; done < " + tools / "orders");
  auto stream = tools.follow({"tool"});
  const Fd orders(::open((tools / "orders").c_str(), O_WRONLY));
  const auto say = [&](const std::string& words) {
    return ::write(orders.get(), words.data(), words.size()) == static_cast<ssize_t>(words.size());
  };
  CHECK_FALSE(ends_early(*stream, 20ms));
  for (int count = 0; count < 20; ++count) {
    REQUIRE(say("something\n"));
    CHECK(ends_early(*stream, plenty));
    CHECK_FALSE(ends_early(*stream, 5ms));
  }
  CHECK_FALSE(stream->has_ended());
  CHECK_FALSE(ends_early(*stream, -1h));
}

TEST_CASE("what a tool said while nobody waited ends the next wait", "[process][stream]") {
  const Tools tools;
  tools.tool("tool", "echo first; echo > " + (tools / "said") + "; exec sleep 1000");
  const auto stream = tools.follow({"tool"});
  REQUIRE(eventually([&] { return tools.has("said"); }));
  CHECK(ends_early(*stream, plenty));
  CHECK_FALSE(ends_early(*stream, 10ms));
}

TEST_CASE("once a tool has ended a wait lasts", "[process][stream]") {
  const Tools tools;
  tools.tool("tool", "echo $1; echo word on stderr >&2; exit 3");
  const auto stream = tools.follow({"tool", "last words"});
  CHECK(ends_early(*stream, plenty));
  CHECK_FALSE(stream->has_ended());  // no wait has met its end
  CHECK_FALSE(ends_early(*stream, 100ms));
  CHECK(stream->has_ended());
  CHECK(all_reaped());
  CHECK_FALSE(ends_early(*stream, 5ms));
}

TEST_CASE("a wait ends when we are asked to end", "[process][stream]") {
  const Tools tools;
  const Fd interruption(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  for (const char* tool : {"true", "sleep"}) {
    INFO(tool);
    itimerspec when{};
    ::timerfd_settime(interruption.get(), 0, &when, nullptr);
    const auto stream = tools.follow({tool, "1000"}, interruption.get());
    CHECK_FALSE(ends_early(*stream, 50ms));
    when.it_value.tv_nsec = 20'000'000;
    ::timerfd_settime(interruption.get(), 0, &when, nullptr);
    CHECK(ends_early(*stream, plenty));
    CHECK(ends_early(*stream, plenty));
  }
}

TEST_CASE("a tool that says very much is read on", "[process][stream]") {
  const Tools tools;
  tools.tool("tool", "head -c 3000000 /dev/zero; echo > " + (tools / "end") + "; exec sleep 1000");
  const auto stream = tools.follow({"tool"});
  while (!tools.has("end"))
    stream->wait(1ms);
  CHECK_FALSE(stream->has_ended());
}

TEST_CASE("a tool that is followed ends with its stream, and with us", "[process][stream]") {
  const Tools tools;
  tools.tool("tool", "trap '' TERM HUP INT PIPE; echo $$ > " + (tools / "pid") +
                         "; echo begun; exec sleep 1000");
  const auto pid = [&] {
    REQUIRE(eventually([&] { return tools.read("pid").ends_with('\n'); }));
    return std::stoi(tools.read("pid"));
  };
  SECTION("with its stream") {
    auto stream = tools.follow({"tool"});
    const pid_t tool = pid();
    stream.reset();
    CHECK(::kill(tool, 0) == -1);
    CHECK(all_reaped());
  }
  SECTION("when it closes its stdout") {
    tools.tool("tool", "exec >&-; echo $$ > " + (tools / "pid") + "; exec sleep 1000");
    const auto stream = tools.follow({"tool"});
    const pid_t tool = pid();
    CHECK_FALSE(ends_early(*stream, 50ms));
    CHECK(stream->has_ended());
    CHECK(::kill(tool, 0) == -1);
    CHECK(all_reaped());
  }
  SECTION("with us") {
    const Subreaper subreaper;
    Child we([&] {
      const auto stream = tools.follow({"tool"});
      for (;;)
        stream->wait(plenty);
      return 0;
    });
    const pid_t tool = pid();
    check_dies_with(we, tool);
  }
}

TEST_CASE("a tool that is followed starts as any other", "[process][stream]") {
  const Tools tools;
  const Variable secret("BLOCK_DRBD_TEST_SECRET", "secret");
  const Fd leaked(::open("/dev/null", O_RDWR));
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  tools.tool("tool",
             "cd " + tools.path() +
                 "; ls /proc/self/fd > fd; env > env; readlink /proc/$$/fd/0 "
                 "> stdin; readlink /proc/$$/fd/2 > stderr; grep SigIgn /proc/$$/status > ignored; "
                 "echo \"$#\" \"[$1]\" > arguments; echo; exec sleep 1000");
  const auto stream = tools.follow({"tool", "a b"});
  ::signal(SIGPIPE, before);
  REQUIRE(ends_early(*stream, plenty));
  CHECK(tools.read("fd") == "0\n1\n2\n3\n");
  CHECK(tools.read("stdin") == "/dev/null\n");
  CHECK(tools.read("stderr") == "/dev/null\n");
  CHECK(tools.read("arguments") == "1 [a b]\n");
  CHECK(tools.read("env").find("BLOCK_DRBD") == std::string::npos);
  CHECK(tools.read("env").find("LC_ALL=C\n") != std::string::npos);
  CHECK(tools.read("ignored") == "SigIgn:\t0000000000000000\n");
}

TEST_CASE("a tool that cannot be followed is an error", "[process][stream]") {
  const Tools tools;
  const auto processes = real_processes({tools.path()}, -1);
  const auto missing = processes->follow({"drbdsetup-of-nowhere", "events2"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOENT);
  CHECK(says(missing.error(), "not installed"));
  ::chmod(tools.write("broken", "#!/of/nowhere\n").c_str(), 0755);
  const auto broken = processes->follow({"broken", "events2"});
  REQUIRE_FALSE(broken);
  CHECK(broken.error().code != ENOENT);
  CHECK(says(broken.error(), "`broken events2`"));
  CHECK(all_reaped());
}

TEST_CASE("one after the other through the same object", "[process]") {
  const Tools tools;
  tools.tool("tool", "exit $1");
  const auto processes = real_processes({tools.path()}, -1);
  for (int code = 0; code < 20; ++code)
    CHECK(processes->run({"tool", std::to_string(code)}, plenty)->exit_code == code);
}
