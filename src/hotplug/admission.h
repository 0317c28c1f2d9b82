// How many of us are at work on this node at a time.
#pragma once

#include <functional>
#include <memory>

#include "clock.h"
#include "record/records.h"
#include "report.h"

namespace block_drbd::hotplug {

/// A place among those that work at the same time; nothing when those who have them are stuck, when
/// the time that is left is for the work itself, when we were asked to end, or when all are taken
/// and somebody is `in_haste`: one goes on without it then.
///
/// Hundreds of disks may be attached or detached at once: by libvirt, in a driver domain, at the
/// end of a host. Each looks at all the others, and xenstored gets slower for all with every
/// connection; a few at a time are soonest done, all of them. A place is given up by whoever waits
/// for a peer, for data, for a resource's lock or for a device to be closed. It is kept while DRBD
/// changes a role and while the turn for Xen's lock comes, which is where the rest of a crowd would
/// gather, and ends with its holder.
std::unique_ptr<record::Lock> take_place(record::Records& records, Clock& clock, Report& report,
                                         const std::function<bool()>& in_haste);

}  // namespace block_drbd::hotplug
