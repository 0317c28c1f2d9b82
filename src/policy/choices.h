// What an administrator may choose about a resource. The defaults are the safe ones.
#pragma once

namespace block_drbd::policy {

struct Choices {
  /// A start goes on where a peer cannot be seen and nothing proves that no guest runs there.
  bool starts_unseen = false;
  /// An incoming migration may allow two primaries for the time of its hand-over.
  bool opens_windows = true;

  bool operator==(const Choices&) const = default;
};

}  // namespace block_drbd::policy
