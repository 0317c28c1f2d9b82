// What the two readers of `drbdsetup show` have in common.
#pragma once

#include <string_view>

#include "drbd/settings.h"

namespace block_drbd::drbd {

/// Takes over one option of a connection; one that is of no interest is passed over. False: its
/// value is not one that DRBD has for it.
bool set_net_option(ConnectionSettings& connection, std::string_view name, std::string_view value);

}  // namespace block_drbd::drbd
