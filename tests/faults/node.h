// One node for one test, on any machine: the program as it is installed, a real xenstored, and a
// stand-in for DRBD's tools and kernel. All that the program sees of the machine (/run, /dev, /sys,
// /proc/drbd, /usr/sbin) is a directory of the test's own, in a mount namespace of its own. Needs
// root.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "child.h"
#include "drbd_state.h"
#include "fd.h"
#include "real_xenstored.h"
#include "temp_dir.h"

namespace block_drbd::faults {

using Words = std::vector<std::string>;

/// What came of a run of the program.
struct Ended {
  std::optional<int> code;  ///< 128 + n for signal n; nothing when it did not end
  std::string said;
};

/// A guest with one disk, as libxl makes it.
struct Guest {
  unsigned domid = 5;
  std::string name = "web";
  std::string disk = "r0";
  std::string vm = "5f6c2c4e-7b9d-4a1e-9b57-aa1b7f1d3c01";

  std::string backend() const { return "backend/vbd/" + std::to_string(domid) + "/51712"; }
  std::string directory() const { return "/local/domain/0/" + backend(); }
  /// There as long as the kernel serves the disk.
  std::string served() const {
    return "sys/bus/xen-backend/devices/vbd-" + std::to_string(domid) + "-51712";
  }
};

/// The exit code of a child of ours, as in Ended. What does not end in time is killed, as by libxl.
std::optional<int> wait_as_libxl(pid_t pid);

class Node {
 public:
  Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  /// Ends all that still runs in it.
  ~Node();

  // -- DRBD --
  DrbdState drbd() const { return kernel_.read(); }
  void change_drbd(const std::function<void(DrbdState&)>& how) const { kernel_.change(how); }
  /// What goes wrong with DRBD's tools from now on: lines such as "status hang" (drbd_tool.cpp).
  void faults(const std::string& lines) const { place_.write("sbin/faults", lines); }
  /// What was run since, with its environment.
  std::string calls() const { return place_.read("sbin/calls"); }
  void forget_calls() const { place_.write("sbin/calls", ""); }
  std::string tool(const std::string& name) const { return place_ / ("sbin/" + name); }

  // -- the toolstack --
  test::RealXenstored& xenstored() { return *xenstored_; }
  void create(const Guest& guest);
  void rename(const Guest& guest, const std::string& name);
  /// The directory of its backend as it is when libxl calls `remove`.
  void close(const Guest& guest);
  /// After `remove`, or without it: libxl wipes the backend, and the domain goes.
  void destroy(const Guest& guest);
  std::string value(const Guest& guest, const std::string& key);
  /// Whether blkback would take the device.
  bool is_connected(const Guest& guest) { return !value(guest, "physical-device").empty(); }
  /// Whether `xl migrate-receive` is what runs the program from now on.
  void receives_migration(bool receives) const;
  /// Where programs look for xenstored, from now on.
  void xenstored_at(const std::string& socket) const;

  // -- the program --
  struct Start {
    Words words;
    std::string xenbus_path;
    std::function<void()> prepare = [] {};  ///< in its process, before it begins
    std::optional<int> output;              ///< its stdout and stderr; else /dev/null
  };
  /// In a child of ours: becomes the program, or exits with 98.
  [[noreturn]] void become(const Start& start) const;
  Ended run(Start start) const;
  Ended add(const Guest& guest) const;
  Ended remove(const Guest& guest) const;
  Ended keep() const;
  /// Does something as a process of this node. False: it failed.
  bool inside(const std::function<bool()>& what) const;

  // -- what is left --
  /// Ends all that runs here: only keepers do, between the calls of the toolstack.
  void kill_all() const;
  struct Process {
    pid_t pid = 0;
    pid_t parent = 0;
    std::string line;  ///< its command line; empty when it has ended and nobody has asked for it
  };
  /// Processes of this node.
  std::vector<Process> processes() const;
  /// Files in /run/block-drbd that remember something.
  std::vector<std::string> records() const;
  /// Locks that somebody holds.
  std::vector<std::string> held_locks() const;
  std::string run(const std::string& name) const { return place_ / ("run/" + name); }
  /// What came to the system log; a message a line, with control characters escaped.
  std::string log();
  const test::TempDir& place() const { return place_; }

 private:
  void enter() const;

  test::TempDir place_;
  std::unique_ptr<test::RealXenstored> xenstored_;
  DrbdFile kernel_;
  Fd log_;
  std::string logged_;
  Fd namespace_;
  std::string namespace_name_;
};

/// Sentences about what is not as it must be, for whoever reads a failed test.
using Complaints = std::vector<std::string>;

/// Secondary, one Primary allowed, nothing remembered, locked, or running.
Complaints not_idle(const Node& node);
/// As above, as soon as it is so: a keeper may be about to end. One that only waits two minutes for
/// DRBD, which might open a window late that nobody wants any more, is not waited for.
Complaints never_idle(const Node& node);

std::string described(const DrbdState& state);

}  // namespace block_drbd::faults
