// xenstored's refusals, as the administrator reads them.
#pragma once

#include <cstring>
#include <string>

#include "result.h"

namespace block_drbd::xenstore {

inline tl::unexpected<Error> refused(const std::string& doing, const std::string& path, int code) {
  return failure("xenstore: cannot " + doing + " " + path + ": " + std::strerror(code), code);
}

}  // namespace block_drbd::xenstore
