#include "node.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "file.h"
#include "process/pointers.h"

namespace block_drbd::faults {

namespace fs = std::filesystem;

namespace {

/// After which libxl kills the program.
constexpr int limit_of_libxl_ms = 40'000;
/// Beyond every limit of the program's own.
constexpr int too_long_ms = 60'000;

[[noreturn]] void failed(const std::string& doing) {
  throw std::runtime_error("cannot " + doing + ": " + std::strerror(errno));
}

void mount_or_fail(const char* source, const std::string& target, const char* type,
                   unsigned long flags) {
  if (::mount(source, target.c_str(), type, flags, nullptr) != 0)
    failed("mount " + target);
}

void put_over(const std::string& target, const std::string& source) {
  mount_or_fail(source.c_str(), target, nullptr, MS_BIND | MS_REC);
}

/// The rest of what programs want from /dev.
void make_devices(const fs::path& log) {
  mount_or_fail("none", "/dev", "tmpfs", MS_NOSUID);
  const std::pair<const char*, dev_t> devices[] = {
      {"null", makedev(1, 3)}, {"zero", makedev(1, 5)}, {"urandom", makedev(1, 9)}};
  for (const auto& [name, number] : devices)
    if (::mknod((std::string("/dev/") + name).c_str(), S_IFCHR | 0666, number) != 0)
      failed("make a device");
  if (::mknod("/dev/drbd0", S_IFBLK | 0660, makedev(147, 0)) != 0)
    failed("make a device");
  fs::create_symlink(log, "/dev/log");
}

/// What libudev reads about block device 147:0.
void make_sys(const fs::path& sys) {
  const fs::path device = sys / "devices/virtual/block/drbd0";
  fs::create_directories(device);
  fs::create_directories(sys / "class/block");
  fs::create_directories(sys / "dev/block");
  std::ofstream(device / "uevent") << "MAJOR=147\nMINOR=0\nDEVNAME=drbd0\nDEVTYPE=disk\n";
  fs::create_symlink("../../../../class/block", device / "subsystem");
  fs::create_symlink("../../devices/virtual/block/drbd0", sys / "dev/block/147:0");
}

/// /proc is the machine's but for /proc/drbd: links lead there.
void make_proc(const fs::path& proc, const fs::path& real) {
  fs::create_directories(proc);
  for (const char* name : {"self", "thread-self", "swaps", "mounts", "filesystems", "sys",
                           "cpuinfo", "meminfo", "stat"})
    fs::create_symlink(real / name, proc / name);
}

std::string command_line(const fs::path& process) {
  std::string text = read_file(process / "cmdline").value_or("");  // it may just be ending
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

/// proc(5): the fourth field of stat, after a name that may contain anything.
pid_t parent_of(const fs::path& process) {
  const std::string text = read_file(process / "stat").value_or("");
  const std::size_t name_ends = text.rfind(')');
  pid_t parent = 0;
  if (name_ends != std::string::npos)
    std::istringstream(text.substr(name_ends + std::strlen(") S "))) >> parent;
  return parent;
}

}  // namespace

std::optional<int> wait_as_libxl(pid_t pid) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd descriptor{.fd = process.get(), .events = POLLIN, .revents = 0};
  const bool ended = ::poll(&descriptor, 1, limit_of_libxl_ms) == 1;
  if (!ended)
    ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!ended)
    return std::nullopt;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Node::Node() : kernel_(place_ / "proc/drbd") {
  for (const char* name : {"sbin", "run", "real-proc"})
    fs::create_directories(place_ / name);
  fs::create_directories(run("xenstored"));
  for (const char* tool_name : {"drbdsetup", "drbdadm"})
    fs::copy_file(DRBD_TOOL, tool(tool_name));
  make_proc(place_ / "proc", place_ / "real-proc");
  make_sys(place_ / "sys");
  kernel_.change([](DrbdState& state) { state = DrbdState{}; });

  log_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (place_ / "log").copy(address.sun_path, sizeof address.sun_path - 1);
  if (::bind(log_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    failed("listen to the log");

  xenstored_ = std::make_unique<test::RealXenstored>();
  xenstored_at(xenstored_->socket());

  test::Pipe ready;
  test::Pipe enough;
  test::Child child([&] {
    if (::unshare(CLONE_NEWNS) != 0)
      return 1;
    mount_or_fail("none", "/", nullptr, MS_REC | MS_PRIVATE);
    put_over(place_ / "real-proc", "/proc");
    make_devices(place_ / "log");
    put_over("/usr/sbin", place_ / "sbin");
    put_over("/run", place_ / "run");
    put_over("/sys", place_ / "sys");
    put_over("/proc", place_ / "proc");
    enough.write_end = Fd();
    if (::write(ready.write_end.get(), "x", 1) != 1)
      return 1;
    char until_closed = 0;
    return ::read(enough.read_end.get(), &until_closed, 1) == 0 ? 0 : 1;
  });
  ready.write_end = Fd();
  if (test::read_all(ready.read_end, "x") != "x")
    throw std::runtime_error("no mount namespace could be made: these tests need root");
  const std::string link = "/proc/" + std::to_string(child.pid()) + "/ns/mnt";
  namespace_ = Fd(::open(link.c_str(), O_RDONLY | O_CLOEXEC));
  namespace_name_ = fs::read_symlink(link);
  enough.write_end = Fd();
  child.wait();
}

Node::~Node() {
  kill_all();
}

void Node::kill_all() const {
  while (!processes().empty())
    for (const Process& process : processes())
      ::kill(process.pid, SIGKILL);
}

void Node::create(const Guest& guest) {
  const std::string home = "/local/domain/" + std::to_string(guest.domid);
  xenstored_->introduce(guest.domid);
  xenstored_->write(home + "/vm", "/vm/" + guest.vm);
  xenstored_->write(home + "/name", guest.name);
  const std::pair<const char*, std::string> values[] = {
      {"frontend-id", std::to_string(guest.domid)},
      {"params", guest.disk},
      {"mode", "w"},
      {"dev", "xvda"},
      {"type", "phy"},
      {"online", "1"},
      {"state", "2"}};
  for (const auto& [key, value] : values)
    xenstored_->write(guest.directory() + '/' + key, value);
  fs::create_directories(place_ / guest.served());
}

void Node::rename(const Guest& guest, const std::string& name) {
  xenstored_->write("/local/domain/" + std::to_string(guest.domid) + "/name", name);
}

void Node::close(const Guest& guest) {
  xenstored_->write(guest.directory() + "/online", "0");
  xenstored_->write(guest.directory() + "/state", "6");
}

void Node::destroy(const Guest& guest) {
  xenstored_->wipe(guest.directory());
  xenstored_->wipe("/local/domain/" + std::to_string(guest.domid));
  xenstored_->release(guest.domid);
  fs::remove(place_ / guest.served());
}

std::string Node::value(const Guest& guest, const std::string& key) {
  return xenstored_->read(guest.directory() + '/' + key).value_or("");
}

void Node::receives_migration(bool receives) const {
  // The test itself is what runs the program.
  const fs::path parent = place_ / ("proc/" + std::to_string(::getpid()));
  fs::remove_all(parent);
  if (!receives)
    return;
  fs::create_directories(parent);
  using namespace std::string_literals;
  std::ofstream(parent / "cmdline") << "/usr/lib/xen/bin/xl\0migrate-receive\0"s;
  std::ofstream(parent / "stat") << ::getpid() << " (xl) S 1 1 1";
}

void Node::xenstored_at(const std::string& socket) const {
  const std::string link = run("xenstored/socket");
  std::error_code ignored;
  fs::remove(link, ignored);
  fs::create_symlink(socket, link);
}

void Node::enter() const {
  if (::setns(namespace_.get(), CLONE_NEWNS) != 0)
    ::_exit(97);
}

void Node::become(const Start& start) const {
  enter();
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(null.get(), STDIN_FILENO);
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO})
    ::dup2(start.output.value_or(null.get()), descriptor);
  ::setenv("SYSTEMD_DEVICE_VERIFY_SYSFS", "0", 1);  // libudev takes our /sys for one
  ::setenv("XENBUS_PATH", start.xenbus_path.c_str(), 1);
  std::vector<std::string> argv = start.words;
  argv.insert(argv.begin(), BLOCK_DRBD_PROGRAM);
  const auto pointers = process::pointers_to(argv);  // afterwards there may be no memory
  start.prepare();
  ::execv(BLOCK_DRBD_PROGRAM, pointers.data());
  ::_exit(98);
}

Ended Node::run(Start start) const {
  // A file: a pipe would be open as long as anybody has it.
  const std::string path = place_ / "said";
  const Fd output(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
  start.output = output.get();
  const pid_t pid = ::fork();
  if (pid < 0)
    failed("fork");
  if (pid == 0)
    become(start);
  Ended ended;
  ended.code = wait_as_libxl(pid);
  ended.said = place_.read("said");
  return ended;
}

Ended Node::add(const Guest& guest) const {
  return run({.words = {"add"}, .xenbus_path = guest.backend(), .prepare = [] {}, .output = {}});
}

Ended Node::remove(const Guest& guest) const {
  return run({.words = {"remove"}, .xenbus_path = guest.backend(), .prepare = [] {}, .output = {}});
}

Ended Node::keep() const {
  return run({.words = {"keep", "r0"}, .xenbus_path = "", .prepare = [] {}, .output = {}});
}

bool Node::inside(const std::function<bool()>& what) const {
  test::Child child([&] {
    enter();
    return what() ? 0 : 1;
  });
  return child.wait() == 0;
}

std::vector<Node::Process> Node::processes() const {
  std::vector<Process> found;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    if (std::isdigit(static_cast<unsigned char>(name.front())) == 0)
      continue;
    std::error_code gone;
    if (fs::read_symlink(entry->path() / "ns/mnt", gone) == namespace_name_ && !gone)
      found.push_back({.pid = std::stoi(name),
                       .parent = parent_of(entry->path()),
                       .line = command_line(entry->path())});
  }
  return found;
}

std::vector<std::string> Node::records() const {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(run("block-drbd"), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string suffix = entry->path().extension();
    if (suffix == ".claim" || suffix == ".window" || suffix == ".held")
      found.push_back(entry->path().filename());
  }
  return found;
}

std::vector<std::string> Node::held_locks() const {
  std::vector<std::string> held;
  for (const char* directory : {"block-drbd", "xen-hotplug"}) {
    std::error_code error;
    for (fs::directory_iterator entry(run(directory), error), end; !error && entry != end;
         entry.increment(error)) {
      const Fd file(::open(entry->path().c_str(), O_RDWR | O_CLOEXEC));
      if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0)
        held.push_back(std::string(directory) + '/' + entry->path().filename().string());
    }
  }
  return held;
}

std::string Node::log() {
  char message[65536];
  for (ssize_t size = 0; (size = ::recv(log_.get(), message, sizeof message, 0)) > 0;) {
    for (const char c : std::string(message, static_cast<std::size_t>(size)))
      logged_ += std::iscntrl(static_cast<unsigned char>(c)) != 0
                     ? "\\x" + std::to_string(static_cast<int>(c))
                     : std::string(1, c);
    logged_ += '\n';
  }
  return logged_;
}

Complaints not_idle(const Node& node) {
  Complaints complaints;
  const DrbdState drbd = node.drbd();
  if (drbd.is_primary || drbd.two_primaries)
    complaints.push_back(described(drbd));
  for (const std::string& record : node.records())
    complaints.push_back("remembered: " + record);
  for (const Node::Process& process : node.processes())
    complaints.push_back("running: " + process.line);
  // To try a lock is to take it for a moment: not while somebody may want it.
  if (complaints.empty())
    for (const std::string& lock : node.held_locks())
      complaints.push_back("locked: " + lock);
  return complaints;
}

namespace {

bool awaits_answer(const Node& node) {
  const DrbdState drbd = node.drbd();
  return !drbd.is_primary && !drbd.two_primaries && node.records() == Words{"r0.window"} &&
         read_file(node.run("block-drbd/r0.window")).value_or("").find("\"unanswered\": true") !=
             std::string::npos;
}

}  // namespace

Complaints never_idle(const Node& node) {
  for (int attempt = 0; attempt < too_long_ms / 5; ++attempt) {
    if (not_idle(node).empty())
      return {};
    if (awaits_answer(node)) {
      node.kill_all();
      fs::remove(node.run("block-drbd/r0.window"));
    }
    ::usleep(5'000);
  }
  return not_idle(node);
}

std::string described(const DrbdState& state) {
  return std::string(state.is_primary ? "Primary" : "Secondary") + " here, " +
         (state.peer_is_primary ? "Primary" : "Secondary") + " there, " +
         (state.is_connected ? "connected" : "not connected") + ", " +
         (state.two_primaries ? "two Primaries" : "one Primary") + " allowed";
}

}  // namespace block_drbd::faults
