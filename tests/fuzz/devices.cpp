// Who uses a device: /proc/self/mountinfo, /proc/swaps, the name of a process, that of a volume of
// LVM, and the file of a loop device.
#include "device/devices.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>

#include "targets.h"
#include "temp_dir.h"

namespace block_drbd::fuzz {

namespace {

namespace fs = std::filesystem;

/// The last one there can be: no node has it, since libudev looks into the real /sys.
constexpr int minor_number = 1048575;
constexpr const char* number = "147:1048575";

/// A process has the device open, and a logical volume is on it.
struct Root : test::TempDir {
  Root() {
    fs::create_directories(*this / "dev");
    has_node = ::mknod((*this / "dev/drbd1").c_str(), S_IFBLK | 0600,
                       makedev(device::drbd_major, minor_number)) == 0;
    fs::create_directories(*this / "proc/7/fd");
    fs::create_symlink(*this / "dev/drbd1", *this / "proc/7/fd/0");
    fs::create_directories((*this / "sys/dev/block/").append(number) + "/holders/dm-3");
  }

  bool has_node;  ///< only root can make one, and not in every container
};

int count(std::string_view text, std::string_view what) {
  int found = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1))
    ++found;
  return found;
}

}  // namespace

void feed_devices(std::string_view text) {
  static const Root root;
  const std::string_view mounts = take_part(text);
  const std::string_view swaps = take_part(text);
  root.write("proc/self/mountinfo", mounts);
  root.write("proc/swaps", swaps);
  root.write("proc/7/comm", take_part(text));
  root.write("sys/class/block/dm-3/dm/name", take_part(text));
  root.write("sys/block/loop0/loop/backing_file", text);
  const auto devices = device::real_devices(root.path());

  const auto uses = devices->host_uses(minor_number);
  for (const std::string& use : uses)
    demand_sentence(use);
  const auto are = [&](std::string_view beginning) {
    return std::ranges::count_if(
        uses, [&](const std::string& use) { return use.starts_with(beginning); });
  };
  demand(are("mounted on ") <= count(mounts, number), "a mount is one of this device", mounts);
  demand(are("used as swap") <= count(swaps, "/drbd1"), "so is a swap", swaps);
  demand(are("used by dm-3") == 1, "nothing hides a logical volume");

  const auto processes = devices->processes_holding(minor_number);
  demand(processes.size() == (root.has_node ? 1 : 0), "nothing hides a process");
  for (const std::string& process : processes) {
    demand_sentence(process);
    demand(process.ends_with(" (pid 7)"), "nor its number", process);
  }
}

}  // namespace block_drbd::fuzz
