// What the kernel's log says about two nodes that do not speak to each other.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "clock.h"
#include "drbd/state.h"
#include "result.h"

namespace block_drbd::drbd {

/// Why DRBD gave up a connection (StandAlone).
enum class Parted {
  Unknown,
  SplitBrain,      ///< both nodes have changed the data without each other
  SettingsDiffer,  ///< another setting of the connection differs between the nodes: the protocol
  TwoPrimaries,    ///< allow-two-primaries differs between the nodes
  UnrelatedData,   ///< the disks never were copies of each other
  SecretsDiffer,   ///< the nodes do not accept each other (cram-hmac-alg, shared-secret)
};

/// The last reason that the log gives for this resource and peer. The words are DRBD's
/// (drbd_receiver.c), behind "drbd NAME" or the device ("block drbd1" on 8.4, "drbd NAME/0 drbd1"
/// on 9). What names another peer of the resource, as DRBD 9 does, is about that one.
Parted why_parted(std::string_view kernel_log, const Resource& resource, std::string_view peer);

/// The names of the peers that cannot be seen, beside others, and were Primary when the connection
/// to them was lost: they may be so still. Who became Primary afterwards is not among them. DRBD 9
/// says so: "peer( Primary -> Unknown )" (print_state_change in drbd_state.c).
std::set<std::string> lost_as_primary(std::string_view kernel_log, const Resource& resource);

/// The resources that the log ever calls parted because allow-two-primaries differs.
std::set<std::string> ever_parted_by_two_primaries(std::string_view kernel_log);

/// The kernel's ring buffer (/dev/kmsg), without what programs have written there; only root may
/// read it.
Result<std::string> read_kernel_log(const std::string& device = "/dev/kmsg");

class KernelLog {
 public:
  virtual ~KernelLog() = default;

  /// All that the kernel has said and not forgotten.
  virtual Result<std::string> read() = 0;

  /// Waits until the kernel says that allow-two-primaries differs, since this was made or since the
  /// last wait, at most `limit`.
  virtual void wait(Duration limit) = 0;
};

/// `interruption` is a descriptor that becomes readable when we are asked to end: a wait ends then.
Result<std::unique_ptr<KernelLog>> follow_kernel_log(int interruption,
                                                     const std::string& device = "/dev/kmsg");

}  // namespace block_drbd::drbd
