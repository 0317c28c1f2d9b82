// `block-drbd keep`: finishes what add and remove may not wait for, on one resource.
#pragma once

#include <optional>
#include <string>

#include "hotplug/host.h"
#include "record/claim.h"

namespace block_drbd::hotplug {

/// Closes the window of a hand-over, gives back a role that `remove` could not, and forgets what a
/// guest held once another node is seen again, following DRBD's events. Returns when nothing is
/// left to do, and at once when the resource has a keeper. An error when the connection to
/// xenstored has ended: whoever called then goes on with a new one.
///
/// Whoever writes a window, or leaves a role behind, does so under the resource's lock and starts a
/// keeper after it. A keeper ends under that lock, so none ends with such work unseen.
Result<void> keep(Host& host, const std::string& resource);

/// Starts a keeper if there is work for one, also such as an earlier keeper, a `remove` that was
/// killed, or one that the toolstack never called has left. `done`: a claim that is as it should
/// be.
void call_keeper(Host& host, const std::string& resource, const std::optional<record::Claim>& done);

}  // namespace block_drbd::hotplug
