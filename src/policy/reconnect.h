// Which connections that DRBD has given up may be made again without a person's decision? Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "drbd/state.h"

namespace block_drbd::policy {

/// The peers, by node id (nothing: the only one of DRBD 8.4), towards which the resource is
/// StandAlone for no other reason than that the two differ in allow-two-primaries. The kernel must
/// have said so, as its last word on that connection: it compares the settings before the data, so
/// such a word says nothing of the data, and one about the data comes after it.
std::vector<std::optional<int>> parted_by_two_primaries(const drbd::Resource& resource,
                                                        std::string_view kernel_log);

/// Towards some peer the kernel has said so, and the resource is not StandAlone yet: DRBD says so
/// before it gives the connection up, and 9 runs `drbdadm disconnected` in between
/// (conn_disconnect in drbd_receiver.c).
bool are_parting_by_two_primaries(const drbd::Resource& resource, std::string_view kernel_log);

}  // namespace block_drbd::policy
