#include "device/devices.h"

#include <libudev.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

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
        uses.push_back("mounted on " + mount_point);
    }
    std::ifstream swaps(root_ + "/proc/swaps");
    for (std::string line; std::getline(swaps, line);)
      if (const std::string path = line.substr(0, line.find_first_of(" \t"));
          path.starts_with('/') && is_device(root_ + path, number))
        uses.emplace_back("used as swap");
    std::error_code ignored;
    for (const auto& holder :
         fs::directory_iterator(root_ + "/sys/dev/block/" + text + "/holders", ignored))
      uses.push_back("used by " + holder.path().filename().string());
    return uses;
  }

  std::vector<std::string> processes_holding(int minor) override {
    const dev_t number = makedev(drbd_major, static_cast<unsigned>(minor));
    std::vector<std::string> holders;
    std::error_code ignored;
    for (const auto& process : fs::directory_iterator(root_ + "/proc", ignored)) {
      const std::string pid = process.path().filename();
      if (!all_digits(pid))
        continue;
      const auto descriptors = fs::directory_iterator(process.path() / "fd", ignored);
      if (std::any_of(begin(descriptors), end(descriptors),
                      [&](const auto& entry) { return is_device(entry.path(), number); })) {
        std::ifstream file(process.path() / "comm");
        std::string name;
        std::getline(file, name);
        holders.push_back(name + " (pid " + pid + ")");
      }
    }
    return holders;
  }

  // Linux names a backend's device vbd-DOMAIN-DEVICE; blkback adds `physical_device` when it opens
  // the disk and removes it when it has closed it (xen-blkback, xenbus.c).
  bool blkback_has(unsigned frontend, unsigned device) override {
    std::error_code ignored;
    return fs::exists(root_ + "/sys/bus/xen-backend/devices/vbd-" + std::to_string(frontend) + '-' +
                          std::to_string(device) + "/physical_device",
                      ignored);
  }

 private:
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
