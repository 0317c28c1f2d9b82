#include "device/devices.h"

#include <fcntl.h>
#include <libudev.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fd.h"
#include "spec/disk_spec.h"

namespace block_drbd::device {

namespace fs = std::filesystem;

namespace {

struct Unref {
  void operator()(udev* handle) const { udev_unref(handle); }
  void operator()(udev_device* device) const { udev_device_unref(device); }
};

bool is_device(const fs::path& path, dev_t number) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode) && status.st_rdev == number;
}

/// The entries of a directory as far as they can be read: processes and devices come and go.
std::vector<fs::path> entries_of(const fs::path& directory) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error))
    entries.push_back(entry->path());
  return entries;
}

bool all_digits(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

class RealDevices final : public Devices {
 public:
  explicit RealDevices(std::string root) : root_(std::move(root)) {}

  Result<std::optional<std::string>> node_of(int minor) override {
    const std::unique_ptr<udev, Unref> handle(udev_new());
    if (!handle)
      return failure("libudev cannot be used: out of memory", ENOMEM);
    const dev_t number = makedev(drbd_major, static_cast<unsigned>(minor));
    const std::unique_ptr<udev_device, Unref> device(
        udev_device_new_from_devnum(handle.get(), 'b', number));
    const char* node = device ? udev_device_get_devnode(device.get()) : nullptr;
    if (node == nullptr || !is_device(node, number))
      return std::nullopt;
    return std::string(node);
  }

  std::vector<std::string> host_uses(int minor) override {
    const dev_t number = makedev(drbd_major, static_cast<unsigned>(minor));
    const std::string text = std::to_string(drbd_major) + ':' + std::to_string(minor);
    std::vector<std::string> uses;

    // proc(5): id, parent, major:minor, root, mount point, …
    std::ifstream mounts(root_ + "/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
      std::istringstream words(line);
      std::string id, parent, device, directory, mount_point;
      words >> id >> parent >> device >> directory >> mount_point;
      if (device == text)
        uses.push_back("mounted on " + printable(mount_point));
    }
    std::ifstream swaps(root_ + "/proc/swaps");
    for (std::string line; std::getline(swaps, line);)
      if (const std::string path = line.substr(0, line.find_first_of(" \t"));
          path.starts_with('/') && is_device(root_ + path, number))
        uses.emplace_back("used as swap");
    for (const fs::path& device : entries_of(root_ + "/sys/block"))
      if (is_loop_over(device, number))
        uses.push_back("used by /dev/" + device.filename().string() + " (see `losetup -l`)");
    for (const fs::path& holder : entries_of(root_ + "/sys/dev/block/" + text + "/holders"))
      uses.push_back("used by " + name_of_holder(holder.filename().string()));
    // Other mount namespaces, and file systems that hide their device (btrfs, zfs): they all hold
    // it exclusively. blkback does not.
    if (uses.empty() && is_held_exclusively(minor))
      uses.emplace_back("held by a file system or volume manager, perhaps in a container");
    return uses;
  }

  std::vector<std::string> processes_holding(int minor) override {
    const dev_t number = makedev(drbd_major, static_cast<unsigned>(minor));
    std::vector<std::string> holders;
    for (const fs::path& process : entries_of(root_ + "/proc")) {
      const std::string pid = process.filename();
      if (!all_digits(pid))
        continue;
      const auto descriptors = entries_of(process / "fd");
      if (std::none_of(descriptors.begin(), descriptors.end(),
                       [&](const fs::path& each) { return is_device(each, number); }))
        continue;
      std::ifstream file(process / "comm");
      std::string holder;
      std::getline(file, holder);
      holder = printable(holder);
      holder.append(" (pid ").append(pid).append(")");
      holders.push_back(std::move(holder));
    }
    return holders;
  }

  bool is_served(unsigned domain, unsigned device) override {
    std::error_code error;
    return fs::exists(root_ + "/sys/bus/xen-backend/devices/vbd-" + std::to_string(domain) + '-' +
                          std::to_string(device),
                      error);
  }

 private:
  /// The kernel names no holder then, and no process has the device open.
  bool is_loop_over(const fs::path& block_device, dev_t number) const {
    if (!block_device.filename().string().starts_with("loop"))
      return false;
    std::ifstream file(block_device / "loop/backing_file");
    std::string path;
    std::getline(file, path);
    return path.starts_with('/') && is_device(root_ + path, number);
  }

  bool is_held_exclusively(int minor) {
    const auto node = node_of(minor);
    if (!node || !*node)
      return false;
    const Fd device(::open((*node)->c_str(), O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK));
    return !device && errno == EBUSY;
  }

  /// "dm-3 (vg0-root, see `dmsetup ls`)": what LVM calls it says more.
  std::string name_of_holder(const std::string& holder) const {
    if (holder.starts_with("drbd"))
      return holder + " (a DRBD resource stacked on it, see `drbdsetup status --verbose`)";
    std::ifstream file(root_ + "/sys/class/block/" + holder + "/dm/name");
    std::string name;
    std::getline(file, name);
    return name.empty() ? holder : holder + " (" + printable(name) + ", see `dmsetup ls`)";
  }

  std::string root_;
};

}  // namespace

std::string physical_device(int minor) {
  std::ostringstream text;
  text << std::hex << drbd_major << ':' << minor;
  return text.str();
}

std::unique_ptr<Devices> real_devices(std::string root) {
  return std::make_unique<RealDevices>(std::move(root));
}

}  // namespace block_drbd::device
