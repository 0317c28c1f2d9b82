// Collects the facts. Nothing on the node is changed.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "device/devices.h"
#include "diagnose/facts.h"
#include "drbd/drbd.h"
#include "xenstore/store.h"

namespace block_drbd::diagnose {

/// What is looked at; elsewhere in tests.
struct Sources {
  process::Processes& processes;
  drbd::Drbd& drbd;
  device::Devices& devices;
  std::function<Result<std::unique_ptr<xenstore::Store>>()> connect;
  std::string proc_drbd = "/proc/drbd";
  std::string proc_locks = "/proc/locks";
  std::string kernel_log = "/dev/kmsg";
  std::string records = "/run/block-drbd";
  std::string script = XEN_SCRIPT;
  std::string config = config::path;
  std::string own_program = "/proc/self/exe";
};

/// `asked`: the resources that somebody named; those that are not up are asked about more closely.
/// No part that cannot be read keeps the others from being so.
Facts gather(const Sources& sources, const std::set<std::string>& asked);

}  // namespace block_drbd::diagnose
