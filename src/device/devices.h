// Block devices of this node: from a number to a node, and who holds one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clock.h"
#include "result.h"

namespace block_drbd::device {

/// DRBD's block major, fixed (linux/major.h has none; drbd.h: DRBD_MAJOR).
inline constexpr unsigned drbd_major = 147;

/// How blkback wants a device named: `93:1`, hexadecimal without padding (xen-blkback, xenbus.c).
std::string physical_device(int minor);

class Devices {
 public:
  virtual ~Devices() = default;

  /// The node of a DRBD minor (`/dev/drbd1`): a block device with that very number. Nothing while
  /// udev has not made it.
  virtual Result<std::optional<std::string>> node_of(int minor) = 0;

  /// What this host itself does with the device in a way that lasts: file systems, swap, LVM and
  /// other device-mapper, md. In words: "mounted on /srv". Cheap. To be asked only while the device
  /// is Primary here: it is opened for reading.
  virtual std::vector<std::string> host_uses(int minor) = 0;

  /// Processes that have the device open, in words: "qemu-system-i38 (pid 812)". Looks through all
  /// of /proc: only on the way to a failure.
  virtual std::vector<std::string> processes_holding(int minor) = 0;

  /// Whether the kernel's block backend serves this disk of this domain: until it has let go of the
  /// disk, whatever becomes of xenstore (xenbus_probe_backend.c: `vbd-5-51712`).
  virtual bool is_served(unsigned domain, unsigned device) = 0;
};

/// `root` is put before /proc, /sys and /dev; empty but in tests.
std::unique_ptr<Devices> real_devices(std::string root);

}  // namespace block_drbd::device
