#include "hotplug/hand_over.h"

#include <algorithm>

#include "policy/refusals.h"
#include "policy/window.h"

namespace block_drbd::hotplug {

using policy::Opening;

namespace {

/// The node that hands the guest over: `decide` has seen that it is the one Primary peer.
const drbd::Peer* source_of(const drbd::Resource& resource) {
  const auto found =
      std::find_if(resource.peers.begin(), resource.peers.end(),
                   [](const drbd::Peer& peer) { return peer.role == drbd::Role::Primary; });
  return found == resource.peers.end() ? nullptr : &*found;
}

}  // namespace

Result<Window> open_window(Host& host, const drbd::Resource& resource,
                           const policy::Request& request, const xenstore::BackendPath& backend,
                           const Budget& budget) {
  const drbd::Peer* source = source_of(resource);
  const auto settings = host.drbd.settings(resource.name, budget.left(status_limit));
  if (!settings)
    return failure(settings.error());
  const auto remembered = host.records.window_of(resource.name);
  if (!remembered)
    return failure(remembered.error());
  const auto* connection = source == nullptr ? nullptr : settings->connection_to(source->node_id);
  const auto decision = policy::decide_opening(request.access, connection, *remembered);
  if (decision.opening == Opening::Refuse)
    return failure("the migration of DRBD resource " + resource.name + " cannot be taken over: " +
                   decision.because + ". The guest goes on at its source");
  if (decision.opening == Opening::Wait)
    return Window{.open = false, .because = decision.because};

  const record::Window window{
      .resource = resource.name,
      .peer = source->node_id,
      .backend = backend,
      // An earlier window may have stayed open without its keeper, on the other node perhaps.
      .found_open = decision.opening == Opening::Allowed ||
                    (decision.opening == Opening::Adopt && (*remembered)->found_open)};
  if (auto written = host.records.write(window); !written)
    return failure(written.error());
  if (auto started = host.start_keeper(resource.name); !started)
    return failure("the migration of DRBD resource " + resource.name +
                   " cannot be taken over: nobody could forbid two primaries again (" +
                   started.error().message + "). The guest goes on at its source");
  if (decision.opening != Opening::Open)
    return Window{.open = true, .because = {}};

  const auto answer =
      host.drbd.set_two_primaries(resource, *connection, true, budget.left(status_limit));
  if (!answer)
    return failure(answer.error());
  if (answer->ok())
    return Window{.open = true, .because = {}};
  if (policy::opening_may_pass(*answer))
    return Window{.open = false, .because = "DRBD says \"" + answer->text + '"'};
  return failure(policy::explain_opening(resource.name, *answer));
}

}  // namespace block_drbd::hotplug
