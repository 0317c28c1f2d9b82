// How many of us are at work on this node at a time.
#pragma once

#include <functional>
#include <memory>

#include "clock.h"
#include "record/records.h"

namespace block_drbd::hotplug {

/// A place among those that work at the same time; nothing when none came free in time, or we were
/// asked to end: one goes on without it then. `in_haste`: as above, at once, when all are taken.
///
/// When a host starts, hundreds of disks are attached at once, and each looks at all the others.
/// With every connection xenstored gets slower for all; a few at a time are soonest done, all of
/// them. It is freed by whoever begins to wait for something else, and ends with its holder.
std::unique_ptr<record::Lock> take_place(record::Records& records, Clock& clock,
                                         const std::function<bool()>& in_haste);

}  // namespace block_drbd::hotplug
