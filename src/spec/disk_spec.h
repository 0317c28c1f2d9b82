// The disk as the guest's configuration names it: `drbd:Wheezy`, `Wheezy/1`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "result.h"

namespace block_drbd {

struct DiskSpec {
  std::string resource;
  std::optional<int> volume;  ///< absent: the resource's only one
};

/// Letters, digits and `_ . + -` are allowed in a resource's name, and it cannot begin with `-` or
/// `.`: it becomes an argument of drbdsetup and the name of a file.
bool is_resource_name(std::string_view text);

/// Reads `[drbd:]RESOURCE[/VOLUME]`; blanks around it are passed over (`target=` in a disk line
/// takes the rest of the line, trailing blanks included).
Result<DiskSpec> parse_disk_spec(std::string_view text);

/// A text that came from elsewhere, safe for a message: what is not printable ASCII as '?', and no
/// more than `longest` bytes of it.
std::string printable(std::string_view text, std::size_t longest = 80);

}  // namespace block_drbd
