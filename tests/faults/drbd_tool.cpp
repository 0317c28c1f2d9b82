// Stands in for drbdsetup and drbdadm, as they are under drbd-utils 9 with DRBD 8.4 in the kernel
// (tests/data/drbd84 has what the real ones say). The kernel is a file, /proc/drbd. Beside the tool
// a file `faults` may say for each command what goes wrong with it, and what was run is written
// down in `calls`, with its environment.
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "drbd_state.h"
#include "fd.h"

using namespace block_drbd::faults;
using block_drbd::Fd;
using namespace std::string_literals;

namespace {

struct Answer {
  int exit_code = 0;
  std::string out;
  std::string err;
};

/// What goes wrong: "status crawl", "primary exit 77".
struct Fault {
  std::string kind;
  std::string detail;
};

const DrbdFile kernel("/proc/drbd");

std::string status() {
  const DrbdState state = kernel.read();
  std::string text = "r0 role:";
  text += state.is_primary ? "Primary" : "Secondary";
  text += " suspended:no\n  volume:0 minor:0 disk:UpToDate blocked:no\n";
  text += state.is_connected ? "  peer connection:Connected role:" : "  peer connection:Connecting";
  if (state.is_connected)
    text += state.peer_is_primary ? "Primary" : "Secondary";
  else
    text += " role:Unknown";
  text += " congested:no\n    volume:0 ";
  text += state.is_connected ? "replication:Established peer-disk:UpToDate"
                             : "replication:Off peer-disk:DUnknown";
  return text + " resync-suspended:no\n\n";
}

std::string settings() {
  return std::string(
             "resource r0 {\n    options {\n        cpu-mask        \t\"\"; # default\n    }\n"
             "    net {\n        protocol        \tC; # default\n        allow-two-primaries\t") +
         (kernel.read().two_primaries ? "yes;" : "no; # default") +
         "\n        ping-timeout    \t10; # 1/10 seconds\n    }\n"
         "    _remote_host {\n        address\t\t\tipv4 10.0.0.2:7790;\n    }\n"
         "    _this_host {\n        address\t\t\tipv4 10.0.0.1:7790;\n        volume 0 {\n"
         "            device\t\t\tminor 0;\n            disk\t\t\t\"/dev/ubda\";\n"
         "            meta-disk\t\t\tinternal;\n            disk {\n"
         "                fencing         \tdont-care; # default\n            }\n        }\n"
         "    }\n}\n";
}

std::string configuration() {
  return "# resource r0 on alpha: not ignored, not stacked\n"
         "# defined at /etc/drbd.d/r.res:1\n"
         "resource r0 {\n    on alpha {\n        volume 0 {\n"
         "            device       /dev/drbd0 minor 0;\n            disk         /dev/ubda;\n"
         "            meta-disk    internal;\n        }\n"
         "        address          ipv4 10.0.0.1:7790;\n    }\n    on bravo {\n        volume 0 {\n"
         "            device       /dev/drbd0 minor 0;\n            disk         /dev/ubda;\n"
         "            meta-disk    internal;\n        }\n"
         "        address          ipv4 10.0.0.2:7790;\n    }\n    net {\n"
         "        allow-two-primaries  no;\n    }\n}\n\n";
}

Answer state_change(const std::function<std::optional<Answer>(DrbdState&)>& change) {
  std::optional<Answer> refused;
  kernel.change([&](DrbdState& state) { refused = change(state); });
  return refused.value_or(Answer{});
}

Answer primary() {
  return state_change([](DrbdState& state) -> std::optional<Answer> {
    if (state.is_connected && state.peer_is_primary && !state.two_primaries && !state.is_primary)
      return Answer{11, "",
                    "0: State change failed: (-1) Multiple primaries not allowed by config\n"};
    state.is_primary = true;
    return std::nullopt;
  });
}

Answer secondary() {
  return state_change([](DrbdState& state) -> std::optional<Answer> {
    if (state.is_open && state.is_primary)
      return Answer{11, "", "0: State change failed: (-12) Device is held open by someone\n"};
    state.is_primary = false;
    return std::nullopt;
  });
}

Answer allow_two_primaries(bool allowed) {
  return state_change([&](DrbdState& state) -> std::optional<Answer> {
    if (!allowed && state.is_connected && state.is_primary && state.peer_is_primary)
      return Answer{10, "",
                    "??: Failure: (164) Can not clear allow_two_primaries as long as\n"
                    "there a primaries on both sides\n"};
    state.two_primaries = allowed;
    return std::nullopt;
  });
}

Answer setup(const std::vector<std::string>& words) {
  const auto has = [&](const char* word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const std::string command = words.empty() ? "" : words[0];
  const std::string object = words.size() < 2 ? "" : words[1];
  const bool is_up = kernel.read().is_up;
  if (command == "status")
    return object == "r0" && is_up ? Answer{0, status(), ""}
                                   : Answer{10, "", object + ": No such resource\n"};
  if (command == "show")
    return object == "r0" && is_up
               ? Answer{0, settings(), ""}
               : Answer{20, "", "received netlink error reply: No such device\n"};
  if (command == "primary" || command == "secondary") {
    if (object != "0" || !is_up)
      return {10, "",
              object +
                  ": Failure: (127) Device minor not allocated\nadditional info from kernel:\n"
                  "unknown minor\n"};
    return command == "primary" ? primary() : secondary();
  }
  if (command == "net-options" && object == "ipv4:10.0.0.1:7790" &&
      (has("--allow-two-primaries=yes") || has("--allow-two-primaries=no")))
    return allow_two_primaries(has("--allow-two-primaries=yes"));
  return {20, "", "drbdsetup: the stand-in does not know this\n"};
}

Answer adm(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words[0];
  const std::string object = words.size() < 2 ? "" : words[1];
  if (object != "r0")
    return {1, "", "'" + object + "' not defined in your config (for this host).\n"};
  if (command == "dump")
    return {0, configuration(), ""};
  if (command == "sh-resource")
    return {0, "r0\n", ""};
  return {20, "", "drbdadm: the stand-in does not know this\n"};
}

/// `drbdsetup events2`: a line for each change, until somebody ends it.
void follow() {
  const auto write = [](const std::string& text) {
    if (::write(STDOUT_FILENO, text.data(), text.size()) < 0)
      ::_exit(1);
  };
  const int changes = ::inotify_init1(IN_CLOEXEC);
  ::inotify_add_watch(changes, "/proc", IN_MOVED_TO);
  for (std::string kind = "exists";; kind = "change") {
    const DrbdState state = kernel.read();
    write(kind + " resource name:r0 role:" + (state.is_primary ? "Primary" : "Secondary") +
          " suspended:no\n" + kind +
          " connection name:r0 peer-node-id:0 conn-name:bravo connection:" +
          (state.is_connected ? "Connected" : "Connecting") + " role:" +
          (!state.is_connected     ? "Unknown"
           : state.peer_is_primary ? "Primary"
                                   : "Secondary") +
          '\n');
    if (kind == "exists")
      write("exists -\n");
    char event[4096];
    if (::read(changes, event, sizeof event) < 0)
      ::_exit(1);
  }
}

void put(int descriptor, const std::string& text, std::size_t at_once = std::string::npos) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::string some = text.substr(begin, at_once);
    const ssize_t size = ::write(descriptor, some.data(), some.size());
    if (size <= 0)
      return;
    begin += static_cast<std::size_t>(size);
    if (at_once != std::string::npos)
      ::usleep(100'000);
  }
}

[[noreturn]] void hang() {
  std::signal(SIGTERM, SIG_IGN);
  for (;;)
    ::pause();
}

/// As somebody else may, just then.
void fill(const std::string& path) {
  std::ofstream file(path);
  while (file.write("x", 1).flush()) {
  }
}

void replace(std::string& text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
    text.replace(at, what.size(), with);
}

/// As a version of DRBD might say it that nobody knows yet.
std::string of_another_time(std::string text) {
  replace(text, " suspended:no", " suspended:no may_promote:maybe colour:blue");
  replace(text, "blocked:no", "blocked:no quantum:entangled quorum:yes");
  replace(text, "congested:no", "congested:no tls:1.4");
  replace(text, "    options {\n", "    options {\n        mood \"good\";\n");
  replace(text, "protocol ", "compression zstd;\n        protocol ");
  return text;
}

/// As `of_another_time`, and its states have other names, too.
std::string of_another_world(std::string text) {
  text = of_another_time(std::move(text));
  replace(text, "role:Secondary", "role:Tertiary");
  replace(text, "replication:Established", "replication:Flowing");
  return text;
}

std::optional<Fault> fault_of(const std::string& directory, const std::string& command) {
  std::ifstream file(directory + "/faults");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    Fault fault;
    words >> name >> fault.kind >> std::ws;
    std::getline(words, fault.detail);
    if (name == command)
      return fault;
  }
  return std::nullopt;
}

void write_down(const std::string& directory, int argc, char** argv) {
  std::string text;
  for (int each = 0; each < argc; ++each)
    text += std::string(each == 0 ? "" : " ") + argv[each];
  text += '\n';
  for (char** variable = environ; *variable != nullptr; ++variable)
    text += std::string("  ") + *variable + '\n';
  std::ofstream(directory + "/calls", std::ios::app) << text;
}

bool is_change(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words[0];
  return command == "primary" || command == "secondary" || command == "net-options";
}

/// The kernel makes one change after the other, also when nobody waits for it any more.
class Turn {
 public:
  explicit Turn(const std::string& directory)
      : lock_(::open((directory + "/turn").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)),
        is_first_(::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) {
    if (!is_first_)
      ::flock(lock_.get(), LOCK_EX);
  }

  /// Whether no other change was going on.
  bool is_first() const { return is_first_; }

 private:
  Fd lock_;
  bool is_first_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string tool = argv[0];
  const std::string directory = tool.substr(0, tool.rfind('/'));
  const std::vector<std::string> words(argv + 1, argv + argc);
  write_down(directory, argc, argv);
  const bool is_setup = tool.ends_with("/drbdsetup");
  const auto fault = fault_of(directory, words.empty() ? "" : words[0]);
  const std::string kind = fault ? fault->kind : "";

  if (kind == "hang")
    hang();
  if (kind == "dies")
    ::raise(std::atoi(fault->detail.c_str()));
  if (kind == "exit")
    return std::atoi(fault->detail.c_str());
  if (kind == "says") {
    // printf's \n and \033, so that a line of the file can have them.
    std::string text = fault->detail;
    replace(text, "\\n", "\n");
    replace(text, "\\033", "\033");
    put(STDERR_FILENO, text);
    return 11;
  }
  if (kind == "garbage") {
    const std::string text = "\x00\xff\xfe{]\"role:Primary\x1b[2J\n\x80\x81 (-12) r0:::\n"s;
    put(STDOUT_FILENO, text);
    put(STDERR_FILENO, text);
    return 0;
  }
  if (kind == "flood") {
    put(STDOUT_FILENO, std::string(10'000'000, 'x'));
    return 0;
  }
  std::optional<Turn> turn;
  if (is_setup && is_change(words) && kind != "silent")
    turn.emplace(directory);
  if (kind == "late" && turn->is_first()) {
    // As a role change that waits in the kernel: whoever asked for it may be dead when it comes.
    if (::fork() != 0)
      hang();
    ::prctl(PR_SET_PDEATHSIG, 0);
    ::setsid();
    ::usleep(static_cast<useconds_t>(std::atoi(fault->detail.c_str())) * 1000);
  }
  if (kind.empty() && is_setup && !words.empty() && words[0] == "events2")
    follow();

  Answer answer = is_setup ? setup(words) : adm(words);
  if (kind == "newer")
    answer.out = of_another_time(answer.out);
  if (kind == "other")
    answer.out = of_another_world(answer.out);
  if (kind == "half")
    answer.out.resize(answer.out.size() / 2);
  if (kind == "fills")
    fill(fault->detail);
  if (kind == "silent")
    hang();
  const std::size_t at_once = kind == "crawl" ? 1 : std::string::npos;
  put(STDOUT_FILENO, answer.out, at_once);
  put(STDERR_FILENO, answer.err, at_once);
  return answer.exit_code;
}
