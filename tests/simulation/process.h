// One process of ours on one node: the seams of hotplug/host.h, over the model.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster.h"
#include "hotplug/host.h"

namespace block_drbd::simulation {

/// How a run of ours ended.
struct Outcome {
  bool ended = false;  ///< by itself
  bool ok = false;
  std::string message;
};

enum class Verb { Add, Remove, Gone };

struct Script {
  Actor* actor = nullptr;  ///< has ended when the process has
  std::shared_ptr<Outcome> outcome;
};
/// Starts `block-drbd add` or `remove`, as the toolstack on that node does, or `gone`, as udev
/// does; `caller` is woken when it has ended.
Script start_script(Cluster& cluster, int node, Verb verb, const xenstore::BackendPath& path,
                    bool below_migrate_receive, Actor* caller);

/// `block-drbd keep`, detached.
void start_keeper(Cluster& cluster, int node, const std::string& resource);

/// A keeper or a healer: they may last.
bool is_in_background(const Actor& actor);

/// `block-drbd heal`, the node's service.
void start_healer(Cluster& cluster, int node);

}  // namespace block_drbd::simulation
