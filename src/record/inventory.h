// All that is remembered on this node, for somebody who looks: nothing is made, locked or changed.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "record/claim.h"
#include "record/window.h"
#include "result.h"

namespace block_drbd::record {

struct Inventory {
  std::vector<Claim> claims;
  std::vector<Window> windows;
  /// Which process has the lock of a resource, and which is its keeper.
  std::map<std::string, pid_t> locks;
  std::map<std::string, pid_t> keepers;
  std::optional<pid_t> healer;
  /// The files that cannot be read, and why not.
  std::map<std::string, std::string> unreadable;

  const Window* window_of(const std::string& resource) const;
  /// `add` goes by none of them when one cannot be read.
  bool can_be_read_of(const std::string& resource) const;

  bool operator==(const Inventory&) const = default;
};

/// `directory` is /run/block-drbd, `locks` is /proc/locks. Without the directory nothing is
/// remembered; one that may not be read is an error.
Result<Inventory> take_inventory(const std::string& directory, const std::string& locks);

}  // namespace block_drbd::record
