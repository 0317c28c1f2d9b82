// What a guest may do with its disk: the `mode` of the disk line.
#pragma once

#include <string_view>

namespace block_drbd::policy {

enum class Access {
  ReadOnly,   ///< r
  ReadWrite,  ///< w
  Shared,     ///< w!: the administrator vouches for the sharing
};

/// As Xen's own block script reads it: `rw` is `w`, whatever has no w is `r`.
inline Access access_from(std::string_view mode) {
  if (mode.find('w') == std::string_view::npos)
    return Access::ReadOnly;
  return mode.find('!') == std::string_view::npos ? Access::ReadWrite : Access::Shared;
}

}  // namespace block_drbd::policy
