// The program as the toolstack runs it, against a real xenstored. How far it gets beyond that
// depends on the machine: DRBD need not be there. As root, else /run is closed to it.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "catch.h"
#include "process/pointers.h"
#include "real_xenstored.h"

using namespace block_drbd;
using namespace block_drbd::test;
namespace fs = std::filesystem;
using Words = std::vector<std::string>;
using namespace std::string_literals;

namespace {

const std::string backend = "backend/vbd/5/51712";
const std::string directory = "/local/domain/0/" + backend;

/// Takes away what the program makes in /run.
class CleanRun {
 public:
  CleanRun() = default;
  CleanRun(const CleanRun&) = delete;
  CleanRun& operator=(const CleanRun&) = delete;
  ~CleanRun() {
    std::error_code ignored;
    for (const auto& [path, was_there] : made_)
      if (!was_there)
        fs::remove_all(path, ignored);
    fs::remove("/run/block-drbd/" + resource + ".lock", ignored);
  }

  /// Nobody's, it is to be hoped.
  static inline const std::string resource = "block-drbd-test";

 private:
  std::map<std::string, bool> made_{{"/run/block-drbd", fs::exists("/run/block-drbd")},
                                    {"/run/xen-hotplug", fs::exists("/run/xen-hotplug")}};
};

struct Ended {
  std::optional<int> code;
  std::string said;
};

/// How the program is run.
struct Program {
  Words words{"add"};
  std::optional<std::string> xenbus_path = backend;
  std::string xenstored;
  std::function<void()> prepare = [] {};  ///< in its process, before it begins

  Child start(const Fd& output) const {
    return Child([&] {
      const Fd program(::open(BLOCK_DRBD_PROGRAM, O_PATH | O_CLOEXEC));
      ::dup2(output.get(), STDERR_FILENO);
      ::dup2(output.get(), STDOUT_FILENO);
      ::setenv("XENSTORED_PATH", xenstored.c_str(), 1);
      ::unsetenv("XENBUS_PATH");
      if (xenbus_path)
        ::setenv("XENBUS_PATH", xenbus_path->c_str(), 1);
      prepare();
      std::vector<std::string> argv = words;
      argv.insert(argv.begin(), "block-drbd");
      ::fexecve(program.get(), process::pointers_to(argv).data(), environ);
      return 98;
    });
  }

  Ended run() const {
    Pipe output;
    Child program = start(output.write_end);
    output.write_end = Fd();
    Ended ended;
    ended.said = read_all(output.read_end);
    ended.code = program.wait();
    return ended;
  }
};

Program against(const RealXenstored& xenstored, const std::string& verb = "add") {
  Program program;
  program.words = {verb};
  program.xenstored = xenstored.socket();
  return program;
}

void guest(RealXenstored& xenstored, const std::string& params) {
  xenstored.introduce(5);
  xenstored.write("/local/domain/5/name", "web");
  xenstored.write("/local/domain/5/vm", "/vm/uuid-web");
  xenstored.write(directory + "/params", params);
  xenstored.write(directory + "/mode", "w");
  xenstored.write(directory + "/state", "2");
}

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  return text.find(words) != std::string::npos;
}

/// What is in xenstore is what was said.
void check_failed(RealXenstored& xenstored, const Ended& ended, const std::string& words) {
  CHECK(ended.code == 1);
  CHECK(says(ended.said, words));
  const std::string error = xenstored.read(directory + "/hotplug-error").value_or("");
  CHECK(says(error, words));
  CHECK(ended.said == "block-drbd: " + error + '\n');
  CHECK(xenstored.read(directory + "/hotplug-status") == "error");
  CHECK(xenstored.read(directory + "/physical-device") == std::nullopt);
}

bool is_root() {
  return ::geteuid() == 0;
}

}  // namespace

TEST_CASE("help, version and wrong usage need no Xen", "[program]") {
  Program program;
  program.xenbus_path.reset();
  program.xenstored = "/of/nowhere";
  program.words = {"--help"};
  CHECK(program.run().code == 0);
  CHECK(says(program.run().said, "Usage: block-drbd add | remove"));
  program.words = {"--version"};
  CHECK(program.run().code == 0);
  CHECK(program.run().said.starts_with("block-drbd "));
  for (const Words& words : {Words{}, Words{"status"}, Words{"add", "Wheezy"}, Words{"--force"}}) {
    program.words = words;
    const Ended ended = program.run();
    CHECK(ended.code == 2);
    CHECK(says(ended.said, "Usage: "));
  }
}

TEST_CASE("without a backend's path nothing is touched", "[program]") {
  RealXenstored xenstored;
  for (const char* verb : {"add", "remove"}) {
    Program program = against(xenstored, verb);
    for (const auto& path : std::vector<std::optional<std::string>>{
             std::nullopt, "", "garbage", "backend/vbd/5",
             "/local/domain/0/backend/vbd/5/51712/state", "../../backend/vbd/5/51712"}) {
      program.xenbus_path = path;
      const Ended ended = program.run();
      CHECK(ended.code == 1);
      CHECK(says(ended.said, "block-drbd: XENBUS_PATH is '" + path.value_or("") + "'"));
    }
    program.xenbus_path = "\x1b[2J";
    CHECK(says(program.run().said, "'?[2J'"));
  }
  CHECK(xenstored.read("/local/domain/0/backend") == std::nullopt);
}

TEST_CASE("a xenstored that cannot be reached is said", "[program]") {
  Program program;
  program.xenstored = "/of/nowhere";
  for (const char* verb : {"add", "remove"}) {
    program.words = {verb};
    const Ended ended = program.run();
    CHECK(ended.code == 1);
    CHECK(says(ended.said, "block-drbd: backend "));
    CHECK(says(ended.said, ": cannot reach xenstored: "));
    CHECK(says(ended.said, "drbdadm secondary"));
  }
}

TEST_CASE("a disk that is no DRBD disk is refused where the toolstack looks", "[program]") {
  const CleanRun clean;
  RealXenstored xenstored;
  for (const char* params : {"", "/dev/vg/web", "--force", "Wheezy/x"}) {
    guest(xenstored, params);
    check_failed(xenstored, against(xenstored).run(),
                 is_root() ? "is not a DRBD disk" : "/run/block-drbd");
    if (is_root()) {
      // libxl calls remove for the disk that failed.
      const Ended removed = against(xenstored, "remove").run();
      CHECK(removed.code == 0);
      CHECK(removed.said.empty());
    }
    xenstored.release(5);
    xenstored.wipe(directory);
  }
}

TEST_CASE("both shapes of a backend's path are the same disk", "[program]") {
  const CleanRun clean;
  RealXenstored xenstored;
  guest(xenstored, "--force");
  Program program = against(xenstored);
  program.xenbus_path = directory;
  check_failed(xenstored, program.run(), is_root() ? "'--force'" : "/run/block-drbd");
}

TEST_CASE("a disk that the toolstack gave up is not brought back", "[program]") {
  const CleanRun clean;
  RealXenstored xenstored;
  const Ended added = against(xenstored).run();
  CHECK(added.code == 1);
  CHECK(says(added.said, is_root() ? "there is no backend " + backend : "/run/block-drbd"s));
  const Ended removed = against(xenstored, "remove").run();
  CHECK(removed.code == (is_root() ? 0 : 1));
  CHECK(xenstored.read("/local/domain/0/backend") == std::nullopt);
}

TEST_CASE("a node without DRBD says what to do", "[program]") {
  if (!is_root() || fs::exists("/proc/drbd")) {
    WARN("not checked: this needs root, and a kernel that has not loaded DRBD");
    return;
  }
  const CleanRun clean;
  RealXenstored xenstored;
  guest(xenstored, "drbd:" + CleanRun::resource);
  check_failed(xenstored, against(xenstored).run(), "modprobe drbd");
  // Nothing is remembered of it.
  for (const auto& entry : fs::directory_iterator("/run/block-drbd"))
    CHECK(entry.path().extension() != ".claim");
}

TEST_CASE("who may not write to /run says so", "[program]") {
  RealXenstored xenstored;
  guest(xenstored, "Wheezy");
  Program program = against(xenstored);
  if (is_root()) {
    ::chmod(xenstored.socket().c_str(), 0777);
    ::chmod(fs::path(xenstored.socket()).parent_path().c_str(), 0755);
    program.prepare = [] {
      if (::setgid(65534) != 0 || ::setuid(65534) != 0)
        ::_exit(97);
    };
  }
  check_failed(xenstored, program.run(), "/run/block-drbd");
}

TEST_CASE("what the toolstack has open is not kept open", "[program]") {
  const CleanRun clean;
  // A xenstored that takes a connection and never answers: the program stands still.
  const TempDir place;
  Program program;
  program.xenstored = place / "socket";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  program.xenstored.copy(address.sun_path, sizeof address.sun_path - 1);
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  constexpr int leaked = 57;
  program.prepare = [] {
    ::dup2(STDERR_FILENO, leaked);  // as the stream of a migration
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
      ::close(descriptor);
  };
  Pipe output;
  const Child running = program.start(output.write_end);
  output.write_end = Fd();
  // Whoever waits for the end of the stream need not wait for the end of the program.
  CHECK(read_all(output.read_end).empty());
  pollfd connection{.fd = listener.get(), .events = POLLIN, .revents = 0};
  REQUIRE(::poll(&connection, 1, 10'000) == 1);
  const Fd connected(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  char request = 0;
  REQUIRE(::read(connected.get(), &request, 1) == 1);

  const fs::path descriptors = "/proc/" + std::to_string(running.pid()) + "/fd";
  CHECK_FALSE(fs::exists(fs::symlink_status(descriptors / std::to_string(leaked))));
  // Else the connection to xenstored could get the number 2, and every message with it.
  for (const char* standard : {"0", "1", "2"})
    CHECK(fs::read_symlink(descriptors / standard) == "/dev/null");
}

TEST_CASE("a stderr that is dead, full or closed changes nothing", "[program]") {
  const CleanRun clean;
  RealXenstored xenstored;
  guest(xenstored, "--force");
  Program program = against(xenstored);
  Pipe other;
  const auto other_is_stderr = [&] {
    ::dup2(other.write_end.get(), STDERR_FILENO);
    ::dup2(other.write_end.get(), STDOUT_FILENO);
  };
  SECTION("dead") {
    other.read_end = Fd();
    program.prepare = [&] {
      ::signal(SIGPIPE, SIG_DFL);  // as libxl leaves it
      other_is_stderr();
    };
  }
  SECTION("full") {
    fill(other.write_end);
    program.prepare = other_is_stderr;
  }
  SECTION("closed, and stdin and stdout with it") {
    program.prepare = [] {
      for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        ::close(descriptor);
    };
  }
  CHECK(program.run().code == 1);
  CHECK(says(xenstored.read(directory + "/hotplug-error").value_or(""),
             is_root() ? "'--force'" : "/run/block-drbd"));
}
