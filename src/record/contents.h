// The text of a record.
#pragma once

#include <string>

#include "fd.h"
#include "result.h"

namespace block_drbd::record {

/// Of a regular file in `directory`, and of nothing else: a link could lead elsewhere, a pipe would
/// be waited for, a device might never end. An error has the errno, ENOENT where there is none.
Result<std::string> contents_of(const Fd& directory, const std::string& name);

}  // namespace block_drbd::record
