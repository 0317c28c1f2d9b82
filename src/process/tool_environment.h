// The environment of whatever we start.
#pragma once

namespace block_drbd::process {

/// All of it: the toolstack's is somebody's login, or a daemon's.
inline constexpr const char* tool_environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
                                                   "HOME=/", "TERM=dumb", nullptr};

}  // namespace block_drbd::process
