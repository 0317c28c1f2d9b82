// Block devices of this node, in a /proc, /sys and /dev of the tests' own.
#include "device/devices.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "catch.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::device;
using block_drbd::test::TempDir;
using Words = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

struct Root : TempDir {
  std::unique_ptr<Devices> devices() const { return real_devices(path()); }
  Words host_uses(int minor) const { return devices()->host_uses(minor); }
  Words processes_holding(int minor) const {
    Words words = devices()->processes_holding(minor);
    std::sort(words.begin(), words.end());
    return words;
  }

  /// A device node; only root can make one, and not in every container.
  bool node(const std::string& name, unsigned major, unsigned minor) const {
    fs::create_directories(fs::path(*this / name).parent_path());
    return ::mknod((*this / name).c_str(), S_IFBLK | 0600, makedev(major, minor)) == 0;
  }
  void holder(int minor, const std::string& name) const {
    fs::create_directories(*this /
                           ("sys/dev/block/147:" + std::to_string(minor) + "/holders/" + name));
  }
  /// A process that has these open.
  void process(int pid, const std::string& name, const Words& files) const {
    const std::string directory = "proc/" + std::to_string(pid);
    write(directory + "/comm", name + '\n');
    fs::create_directories(*this / (directory + "/fd"));
    int number = 0;
    for (const std::string& file : files)
      fs::create_symlink(file, *this / (directory + "/fd/" + std::to_string(number++)));
  }
};

}  // namespace

TEST_CASE("blkback takes a device's numbers in hexadecimal", "[device]") {
  CHECK(physical_device(0) == "93:0");
  CHECK(physical_device(1) == "93:1");
  CHECK(physical_device(10) == "93:a");
  CHECK(physical_device(16) == "93:10");
  CHECK(physical_device(255) == "93:ff");
  CHECK(physical_device(1048575) == "93:fffff");
}

TEST_CASE("a node without any of it has no uses", "[device]") {
  const Root root;
  CHECK(root.host_uses(1).empty());
  CHECK(root.processes_holding(1).empty());
}

TEST_CASE("mounts of the device are named", "[device]") {
  const Root root;
  root.write("proc/self/mountinfo",
             "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
             "23 22 0:21 / /proc rw shared:14 - proc proc rw\n"
             "40 22 147:1 / /srv rw,relatime shared:20 - ext4 /dev/drbd1 rw\n"
             "41 22 147:1 /sub /mnt/with\\040blank rw,relatime - ext4 /dev/drbd1 rw\n"
             "42 22 147:10 / /ten rw,relatime - ext4 /dev/drbd10 rw\n"
             "43 22 8:1 /147:1 /147:1 rw - ext4 147:1 rw\n"
             "147:1\n"
             "\n");
  CHECK(root.host_uses(1) == Words{"mounted on /srv", "mounted on /mnt/with\\040blank"});
  CHECK(root.host_uses(10) == Words{"mounted on /ten"});
  CHECK(root.host_uses(0).empty());
  CHECK(root.host_uses(2).empty());
}

TEST_CASE("whatever a mount point and a logical volume are called is made safe for a message",
          "[device]") {
  const Root root;
  root.write("proc/self/mountinfo", "40 22 147:1 / /media/a\x1b[2J rw - ext4 /dev/drbd1 rw\n");
  root.holder(1, "dm-3");
  root.write("sys/class/block/dm-3/dm/name", "vg0-\x1b[2J\n");
  CHECK(root.host_uses(1) ==
        Words{"mounted on /media/a?[2J", "used by dm-3 (vg0-?[2J, see `dmsetup ls`)"});
}

TEST_CASE("device-mapper and md on top of the device are named", "[device]") {
  const Root root;
  root.holder(1, "dm-3");
  root.holder(10, "md0");
  fs::create_directories(root / "sys/dev/block/147:2/holders");
  CHECK(root.host_uses(1) == Words{"used by dm-3"});
  CHECK(root.host_uses(10) == Words{"used by md0"});
  CHECK(root.host_uses(2).empty());
}

TEST_CASE("a DRBD resource that is stacked on the device is named", "[device]") {
  const Root root;
  root.holder(1, "drbd10");
  CHECK(root.host_uses(1) ==
        Words{"used by drbd10 (a DRBD resource stacked on it, see `drbdsetup status --verbose`)"});
}

TEST_CASE("swap on the device is named", "[device]") {
  const Root root;
  if (!root.node("dev/drbd1", 147, 1)) {
    WARN("not checked: device nodes cannot be made here");
    return;
  }
  root.node("dev/drbd10", 147, 10);
  root.node("dev/other", 8, 1);
  root.write("proc/swaps",
             "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
             "/dev/other                              partition\t1\t\t0\t\t-2\n"
             "/dev/drbd1                              partition\t1\t\t0\t\t-3\n"
             "/swapfile                               file\t\t1\t\t0\t\t-4\n"
             "/dev/missing\\040(deleted)               partition\t1\t\t0\t\t-5\n");
  CHECK(root.host_uses(1) == Words{"used as swap"});
  CHECK(root.host_uses(10).empty());
}

TEST_CASE("a loop device over the device is named", "[device]") {
  const Root root;
  if (!root.node("dev/drbd1", 147, 1)) {
    WARN("not checked: device nodes cannot be made here");
    return;
  }
  root.node("dev/drbd10", 147, 10);
  root.write("sys/block/loop0/loop/backing_file", "/dev/drbd1\n");
  root.write("sys/block/loop1/loop/backing_file", "/srv/disk.img\n");
  root.write("sys/block/loop2/size", "0\n");
  CHECK(root.host_uses(1) == Words{"used by /dev/loop0 (see `losetup -l`)"});
  CHECK(root.host_uses(10).empty());
}

TEST_CASE("all uses are named", "[device]") {
  const Root root;
  root.write("proc/self/mountinfo", "40 22 147:1 / /srv rw - ext4 /dev/drbd1 rw\n");
  root.holder(1, "dm-3");
  CHECK(root.host_uses(1) == Words{"mounted on /srv", "used by dm-3"});
}

TEST_CASE("processes that have the device open are named", "[device]") {
  const Root root;
  if (!root.node("dev/drbd1", 147, 1)) {
    WARN("not checked: device nodes cannot be made here");
    return;
  }
  root.node("dev/drbd10", 147, 10);
  // The same number as a character device is another one.
  ::mknod((root / "dev/char").c_str(), S_IFCHR | 0600, makedev(147, 1));
  root.process(812, "qemu-system-i38", {root / "dev/drbd1", root / "dev/drbd1"});
  root.process(813, "with blank", {"/dev/null", "pipe:[123]", root / "dev/drbd1"});
  root.process(814, "other", {root / "dev/drbd10", root / "dev/char", "/gone (deleted)"});
  root.process(815, "none", {});
  root.write("proc/816/comm", "closed to us\n");  // no fd directory
  root.write("proc/self/comm", "no pid\n");
  fs::create_directory_symlink(root / "proc/812/fd", root / "proc/self/fd");
  CHECK(root.processes_holding(1) == Words{"qemu-system-i38 (pid 812)", "with blank (pid 813)"});
  CHECK(root.processes_holding(10) == Words{"other (pid 814)"});
  CHECK(root.processes_holding(2).empty());
}

TEST_CASE("a disk is served as long as the kernel has a backend for it", "[device]") {
  const Root root;
  CHECK_FALSE(root.devices()->is_served(5, 51712));
  fs::create_directories(root / "sys/bus/xen-backend/devices/vbd-5-51712");
  CHECK(root.devices()->is_served(5, 51712));
  CHECK_FALSE(root.devices()->is_served(5, 51728));
  CHECK_FALSE(root.devices()->is_served(55, 51712));
}

TEST_CASE("a minor that this node does not have has no device node", "[device]") {
  const auto node = real_devices("")->node_of(1048575);
  REQUIRE(node);
  CHECK_FALSE(*node);
}
