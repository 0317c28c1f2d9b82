// What a node's DRBD 8.4 knows of the one resource of these tests: r0, with one volume and one
// other node. It stands in a file that is this node's /proc/drbd, so that both are never apart.
#pragma once

#include <functional>
#include <string>

namespace block_drbd::faults {

struct DrbdState {
  bool is_up = true;
  bool is_primary = false;
  bool peer_is_primary = false;  ///< not to be seen while the link is cut
  bool is_connected = true;
  bool two_primaries = false;  ///< allowed, at run time
  bool is_open = false;        ///< somebody has the device open

  bool operator==(const DrbdState&) const = default;
};

/// As /proc/drbd shows it, and in a line of its own what that leaves out.
std::string proc_drbd(const DrbdState& state);
DrbdState state_from(const std::string& proc_drbd);

/// A file with the state. Changes come one after the other, and each as a whole.
class DrbdFile {
 public:
  explicit DrbdFile(std::string path) : path_(std::move(path)) {}

  DrbdState read() const;
  void change(const std::function<void(DrbdState&)>& how) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace block_drbd::faults
