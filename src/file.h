// Reading a file whole.
#pragma once

#include <string>

#include "fd.h"
#include "result.h"

namespace block_drbd {

/// The contents; an error has the errno. Files of /proc may fail in the middle, when the process
/// that they are about ends.
Result<std::string> read_all(const Fd& file, const std::string& name);
Result<std::string> read_file(const std::string& path);
/// The first 4 KiB at most. The kernel makes a file of /proc as far as it is read.
Result<std::string> read_beginning(const std::string& path);

}  // namespace block_drbd
