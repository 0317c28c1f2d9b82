#include "node.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "device/devices.h"
#include "drbd_stand_in.h"

namespace block_drbd::bench {

namespace fs = std::filesystem;

namespace {

constexpr unsigned first_guest = 100;
constexpr unsigned first_other_guest = 10'000;

void mount_or_give_up(const char* what, const std::string& where, const char* type,
                      unsigned long flags) {
  if (::mount(what, where.c_str(), type, flags, nullptr) != 0)
    give_up("cannot mount " + where + " in a namespace of its own (this needs root)");
}

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

std::string backend_of(unsigned domain) {
  return "backend/vbd/" + std::to_string(domain) + "/51712";
}

std::string absolute(const std::string& backend) {
  return "/local/domain/0/" + backend;
}

unsigned domain_of(int guest) {
  return first_guest + static_cast<unsigned>(guest);
}

/// Where udev and libudev find a device.
void make_device(int minor) {
  const std::string name = "drbd" + std::to_string(minor);
  const std::string number = std::to_string(device::drbd_major) + ':' + std::to_string(minor);
  const fs::path directory = "/sys/devices/virtual/block/" + name;
  fs::create_directory(directory);
  write(directory / "uevent", "MAJOR=" + std::to_string(device::drbd_major) + "\nMINOR=" +
                                  std::to_string(minor) + "\nDEVNAME=" + name + "\nDEVTYPE=disk\n");
  fs::create_symlink("../../../../class/block", directory / "subsystem");
  fs::create_symlink("../../devices/virtual/block/" + name, "/sys/dev/block/" + number);
  ::mknod(("/dev/" + name).c_str(), S_IFBLK | 0660,
          makedev(device::drbd_major, static_cast<unsigned>(minor)));
}

}  // namespace

PrivateView::PrivateView() : place_("/run") {
  if (::unshare(CLONE_NEWNS) != 0)
    give_up("cannot have a mount namespace of its own (this needs root)");
  mount_or_give_up(nullptr, "/", nullptr, MS_REC | MS_PRIVATE);
  // Without systemd's directory no process of ours is given to the machine's systemd either.
  mount_or_give_up("tmpfs", place_, "tmpfs", 0);
  mount_or_give_up("tmpfs", "/var/log", "tmpfs", 0);
  fs::create_directory("/var/log/xen");
}

void PrivateView::open(const std::string& directory) {
  const fs::path machines = place_ + "/machine" + std::to_string(opened_);
  const fs::path ours = place_ + "/ours" + std::to_string(opened_++);
  fs::create_directory(machines);
  fs::create_directory(ours);
  mount_or_give_up(directory.c_str(), machines, nullptr, MS_BIND | MS_REC);
  for (const auto& entry : fs::directory_iterator(machines)) {
    const std::string name = entry.path().filename();
    const bool is_process = name.find_first_not_of("0123456789") == std::string::npos;
    if (!is_process)
      fs::create_symlink(entry.path(), ours / name);
  }
  mount_or_give_up(ours.c_str(), directory, nullptr, MS_BIND);
}

Node::Node(const std::string& drbd) {
  for (const char* directory :
       {"/proc", "/dev", "/usr/sbin", "/sys/dev/block", "/sys/devices/virtual/block"})
    view_.open(directory);
  for (const char* tool : {"drbdsetup", "drbdadm"}) {
    const fs::path path = fs::path("/usr/sbin") / tool;
    fs::remove(path);
    fs::create_symlink(drbd, path);
  }
  // The original looks at whatever /proc/mounts names, also below the working directory.
  fs::current_path("/var/log/xen");
  // Somebody takes what is logged.
  fs::remove("/dev/log");
  log_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = "/dev/log"};
  static_cast<void>(::bind(log_, reinterpret_cast<const sockaddr*>(&address), sizeof address));
  log_reader_ = std::thread([this] {
    std::array<char, 4096> line{};
    while (::recv(log_, line.data(), line.size(), 0) > 0) {
    }
  });
}

Node::~Node() {
  ::shutdown(log_, SHUT_RDWR);
  log_reader_.join();
  ::close(log_);
}

void Node::set_resources(int count) {
  for (; devices_ < count; ++devices_)
    make_device(devices_);
  std::string text(header);
  for (int minor = 0; minor < count; ++minor)
    text += minor_in_proc_drbd(minor);
  fs::remove("/proc/drbd");
  write("/proc/drbd", text);
}

void Node::set_other_guests(int count) {
  for (; others_ < count; ++others_) {
    const unsigned domain = first_other_guest + static_cast<unsigned>(others_);
    const std::string backend = absolute(backend_of(domain));
    const std::string home = "/local/domain/" + std::to_string(domain);
    xenstored_.write(backend + "/params", "/dev/vg/guest" + std::to_string(domain));
    xenstored_.write(backend + "/mode", "w");
    xenstored_.write(backend + "/state", "4");
    xenstored_.write(backend + "/physical-device", "fd:" + std::to_string(others_));
    xenstored_.write(home + "/name", "guest" + std::to_string(domain));
    xenstored_.write(home + "/vm", "/vm/uuid-" + std::to_string(domain));
  }
  for (; others_ > count; --others_) {
    const std::string domain =
        std::to_string(first_other_guest + static_cast<unsigned>(others_) - 1);
    xenstored_.wipe("/local/domain/0/backend/vbd/" + domain);
    xenstored_.wipe("/local/domain/" + domain);
  }
}

void Node::create(int guest) {
  const unsigned domain = domain_of(guest);
  const std::string backend = absolute(backend_of(domain));
  const std::string home = "/local/domain/" + std::to_string(domain);
  xenstored_.introduce(domain);
  xenstored_.write(home + "/name", "bench" + std::to_string(guest));
  xenstored_.write(home + "/vm", "/vm/uuid-bench" + std::to_string(guest));
  const std::pair<const char*, std::string> values[] = {
      {"params", "r" + std::to_string(guest)}, {"type", "phy"}, {"mode", "w"}, {"dev", "xvda"},
      {"frontend-id", std::to_string(domain)}, {"online", "1"}, {"state", "2"}};
  for (const auto& [key, value] : values)
    xenstored_.write(backend + '/' + key, value);
}

void Node::begin_end(int guest) {
  const std::string backend = absolute(backend_of(domain_of(guest)));
  xenstored_.write(backend + "/state", "6");
  xenstored_.write(backend + "/online", "0");
}

void Node::forget(int guest) {
  const std::string domain = std::to_string(domain_of(guest));
  xenstored_.wipe("/local/domain/0/backend/vbd/" + domain);
  xenstored_.wipe("/local/domain/" + domain);
  xenstored_.release(domain_of(guest));
}

Command Node::block_script(const std::string& program, const std::string& verb, int guest) const {
  Command script = command({program, verb});
  script.environment.insert(script.environment.end(),
                            {"XENBUS_PATH=" + backend_of(domain_of(guest)),
                             "XENBUS_BASE_PATH=backend", "XENBUS_TYPE=vbd"});
  return script;
}

Command Node::command(const std::vector<std::string>& argv) const {
  // libudev would see that this /sys is none.
  return {.argv = argv,
          .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_DEVICE_VERIFY_SYSFS=0",
                          "XENSTORED_PATH=" + xenstored_.socket()}};
}

void Node::demand_attached(int guest) {
  const std::string backend = absolute(backend_of(domain_of(guest)));
  if (xenstored_.read(backend + "/physical-device") != device::physical_device(guest) ||
      xenstored_.read(backend + "/hotplug-status") != "connected" || !is_primary(guest))
    give_up("the disk of guest " + std::to_string(guest) + " was not attached");
}

void Node::demand_released(int guest) {
  if (is_primary(guest))
    give_up("the role for guest " + std::to_string(guest) + " was not given back");
}

double Node::used_by_xenstored() const {
  clockid_t clock{};
  timespec used{};
  if (::clock_getcpuclockid(xenstored_.pid(), &clock) != 0 || ::clock_gettime(clock, &used) != 0)
    give_up("xenstored has ended");
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
}

bool Node::is_primary(int minor) {
  std::ifstream proc("/proc/drbd", std::ios::binary);
  proc.seekg(static_cast<std::streamoff>(
      header.size() + static_cast<std::size_t>(minor) * minor_size + before_role));
  return proc.get() == 'P';
}

}  // namespace block_drbd::bench
