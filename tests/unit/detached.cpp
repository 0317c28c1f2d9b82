// Processes that are left behind, as real ones.
#include "process/detached.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <set>
#include <sstream>

#include "catch.h"
#include "child.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::process;
using namespace block_drbd::test;

namespace {

/// A program that says how it finds itself, and then stays until it may end; and a systemd-run.
struct Setting : TempDir {
  Setting() {
    ::mkfifo((*this / "end").c_str(), 0600);
    tool("program",
         "d=" + path() +
             "\n"
             // Before it starts a process: for that the shell sets its mask anew.
             "while IFS= read -r line; do case $line in Sig[BI]*) echo \"$line\";; esac; "
             "done < /proc/$$/status > $d/signals\n"
             "for each; do echo \"[$each]\"; done > $d/arguments\n"
             "ls /proc/self/fd > $d/descriptors\n"
             "of() { readlink /proc/$$/fd/$1; }\n"
             "echo \"$(of 0) $(of 1) $(of 2)\" > $d/standard\n"
             "env > $d/environment\n"
             "pwd > $d/directory\n"
             "umask > $d/umask\n"
             "cut -d' ' -f6 /proc/$$/stat > $d/session\n"
             "echo $$ > $d/draft; mv $d/draft $d/pid\n"
             "read word < $d/end");
  }

  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;
  /// A program that is still there ends: what it reads has been opened, and ends.
  ~Setting() { const Fd order(::open((*this / "end").c_str(), O_WRONLY | O_NONBLOCK)); }

  /// systemd does not manage this system, unless a test says so.
  Systemd systemd() const { return {.directory = *this / "systemd", .run = *this / "systemd-run"}; }
  void has_systemd(std::string_view run) const {
    write("systemd/unused", "");
    tool("systemd-run", run);
  }

  Result<void> start(const std::vector<std::string>& words = {}) const {
    std::vector<std::string> argv{*this / "program"};
    argv.insert(argv.end(), words.begin(), words.end());
    return start_detached(argv, "a test", systemd());
  }
  /// What the program found, once it is there.
  std::string found(std::string_view what) const {
    REQUIRE(eventually([&] { return has("pid"); }));
    return read(what);
  }
  pid_t pid() const { return std::stoi(found("pid")); }
  /// Ends the program, which is ours by now.
  std::optional<int> end() const {
    const pid_t program = pid();
    std::ofstream(*this / "end") << "\n";
    return wait_for(program);
  }

  Subreaper subreaper{};
};

}  // namespace

TEST_CASE("what is left behind runs with its arguments", "[detached]") {
  const Setting setting;
  REQUIRE(setting.start({"keep", "a b", "", "$x"}));
  CHECK(setting.found("arguments") == "[keep]\n[a b]\n[]\n[$x]\n");
  CHECK(setting.end() == 0);
  CHECK(all_reaped());
}

TEST_CASE("nothing is handed down", "[detached]") {
  const Setting setting;
  ::setenv("BLOCK_DRBD_TEST_SECRET", "secret", 1);
  // Without O_CLOEXEC, and one without anything on it: its reader waits for its end.
  Pipe stream;
  const Fd leaked(::dup(stream.write_end.get()));
  const Fd far(::fcntl(stream.write_end.get(), F_DUPFD, 900));
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const auto pipe_before = ::signal(SIGPIPE, SIG_IGN);
  const auto hup_before = ::signal(SIGHUP, SIG_IGN);
  const mode_t umask_before = ::umask(0);
  const auto started = setting.start();
  ::umask(umask_before);
  ::signal(SIGPIPE, pipe_before);
  ::signal(SIGHUP, hup_before);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::unsetenv("BLOCK_DRBD_TEST_SECRET");
  REQUIRE(started);

  CHECK(setting.found("descriptors") == "0\n1\n2\n3\n");  // 3 is the directory that ls reads
  CHECK(setting.found("standard") == "/dev/null /dev/null /dev/null\n");
  std::set<std::string> names;
  std::istringstream lines(setting.found("environment"));
  for (std::string line; std::getline(lines, line);)
    names.insert(line.substr(0, line.find('=')));
  for (const char* shells : {"PWD", "OLDPWD", "_", "SHLVL"})
    names.erase(shells);
  CHECK(names == std::set<std::string>{"HOME", "LC_ALL", "PATH", "TERM"});
  CHECK(setting.found("directory") == "/\n");
  CHECK(setting.found("umask") == "0022\n");
  CHECK(setting.found("signals") == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  CHECK(setting.end() == 0);
}

TEST_CASE("it has a session of its own, and does not lead it", "[detached]") {
  const Setting setting;
  REQUIRE(setting.start());
  const pid_t session = std::stoi(setting.found("session"));
  CHECK(session != ::getsid(0));
  CHECK(session != setting.pid());
  CHECK(setting.end() == 0);
}

TEST_CASE("it outlives who started it", "[detached]") {
  const Setting setting;
  Child starter([&] { return setting.start() ? 0 : 1; });
  CHECK(starter.wait() == 0);
  const pid_t program = setting.pid();
  CHECK(::kill(program, 0) == 0);
  CHECK(setting.end() == 0);
}

TEST_CASE("who starts it is left without a child", "[detached]") {
  const Setting setting;
  Child starter([&] { return setting.start() && all_reaped() ? 0 : 1; });
  // In its own process: this one is given the orphans.
  CHECK(starter.wait() == 0);
  CHECK(setting.end() == 0);
}

TEST_CASE("systemd is given it as a unit where it manages the system", "[detached]") {
  const Setting setting;
  setting.has_systemd("d=" + setting.path() +
                      "\n"
                      "for each; do echo \"[$each]\"; done > $d/unit\n"
                      "ls /proc/self/fd > $d/descriptors\n"
                      "env > $d/environment\n"
                      "echo > $d/pid");
  const Pipe stream;
  const Fd leaked(::dup(stream.write_end.get()));
  REQUIRE(setting.start({"keep", "Wheezy"}));
  const std::string unit = setting.found("unit");
  CHECK(unit.find("[--collect]\n") != std::string::npos);
  CHECK(unit.find("[--description=a test]\n") != std::string::npos);
  CHECK(unit.find("[--unit") == std::string::npos);  // systemd finds a name that is free
  CHECK(unit.ends_with("[--]\n[" + setting / "program" + "]\n[keep]\n[Wheezy]\n"));
  CHECK(setting.found("descriptors") == "0\n1\n2\n3\n");
  CHECK(setting.found("environment").find("LC_ALL=C\n") != std::string::npos);
  // What was left behind ends: it is the unit's affair from now on.
  CHECK(eventually([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; }));
  CHECK_FALSE(setting.has("arguments"));
}

TEST_CASE("nobody waits for systemd", "[detached]") {
  const Setting setting;
  setting.has_systemd("echo > " + (setting / "pid") + "; read word < " + (setting / "end"));
  REQUIRE(setting.start());
  setting.found("pid");
  CHECK(::waitpid(-1, nullptr, WNOHANG) == 0);  // it is still there
  std::ofstream(setting / "end") << "\n";
  CHECK(eventually([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; }));
}

TEST_CASE("it runs all the same where systemd does not take it", "[detached]") {
  const Setting setting;
  SECTION("it refuses") {
    setting.has_systemd("exit 1");
  }
  SECTION("it is killed") {
    setting.has_systemd("kill -KILL $$");
  }
  SECTION("its tool is missing") {
    setting.has_systemd("");
    std::filesystem::remove(setting / "systemd-run");
  }
  SECTION("its tool cannot be run") {
    setting.has_systemd("");
    ::chmod((setting / "systemd-run").c_str(), 0600);
  }
  SECTION("it does not manage this system, though its tool is there") {
    setting.tool("systemd-run", "exit 0");
  }
  SECTION("what shows it is no directory") {
    setting.tool("systemd-run", "exit 0");
    setting.write("systemd", "");
  }
  REQUIRE(setting.start({"keep", "Wheezy"}));
  CHECK(setting.found("arguments") == "[keep]\n[Wheezy]\n");
  CHECK(setting.end() == 0);
}

TEST_CASE("a program that cannot be run is no failure of who starts it", "[detached]") {
  const Setting setting;
  CHECK(start_detached({setting / "missing"}, "a test", setting.systemd()));
  CHECK(eventually([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; }));
}

TEST_CASE("without a descriptor to be had it starts", "[detached]") {
  const Setting setting;
  Child starter([&] {
    for (int descriptor = 0; descriptor < 1024; ++descriptor)
      ::close(descriptor);
    return setting.start() ? 0 : 1;
  });
  CHECK(starter.wait() == 0);
  CHECK(setting.found("standard") == "/dev/null /dev/null /dev/null\n");
  CHECK(setting.end() == 0);
}

TEST_CASE("a program knows where it is", "[detached]") {
  CHECK(own_program() == std::filesystem::read_symlink("/proc/self/exe").string());
  const TempDir dir;
  const auto linked_to = [&](const std::string& target) {
    std::filesystem::remove(dir / "link");
    std::filesystem::create_symlink(target, dir / "link");
    return own_program(dir / "link").value();
  };
  // As the kernel shows one that was replaced.
  CHECK(linked_to(dir / "program (deleted)") == dir / "program");
  dir.write("program (deleted)", "");
  CHECK(linked_to(dir / "program (deleted)") == dir / "program (deleted)");
  const auto missing = own_program(dir / "missing");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ENOENT);
}
