// `block-drbd heal`: connects nodes again that a hand-over has parted.
//
// A node that loses power in a window comes back with the configured `no`, and the survivor may
// still have `yes`: DRBD gives the connection up, on one node or on both, under a running guest. To
// restore `no` and to connect is right on either node, in any order that both keep to for long
// enough, and each can do it for itself alone. It is no work for a keeper: where a guest leaves,
// nothing of ours runs before its `remove`, and where a node has just booted neither. So each node
// has one process for it, from its boot on. It waits for the only sign that either node is given,
// the kernel's own word, and does nothing until then.
//
// What it does is safe, whatever the data is like. DRBD compares the settings first, and what it
// finds about the data it finds when the settings agree: as it would have without a window, and by
// the policies that are configured (after-sb). What it calls a split brain then is its last word,
// and stays a person's decision.
#pragma once

#include "clock.h"
#include "drbd/drbd.h"
#include "drbd/kernel_log.h"
#include "record/records.h"
#include "report.h"
#include "result.h"

namespace block_drbd::hotplug {

/// What the healer reaches of this node. Without xenstore: no guest matters to it.
struct Ward {
  drbd::Drbd& drbd;
  drbd::KernelLog& kernel_log;
  record::Records& records;
  Clock& clock;
  Report& report;
};

/// Returns when it is asked to end, and at once when the node has a healer.
Result<void> heal(Ward& ward);

}  // namespace block_drbd::hotplug
