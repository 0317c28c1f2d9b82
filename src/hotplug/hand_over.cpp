#include "hotplug/hand_over.h"

#include <algorithm>

#include "policy/refusals.h"
#include "policy/window.h"

namespace block_drbd::hotplug {

using policy::Opening;

const drbd::Peer* source_of(const drbd::Resource& resource) {
  const auto found =
      std::find_if(resource.peers.begin(), resource.peers.end(),
                   [](const drbd::Peer& peer) { return peer.role == drbd::Role::Primary; });
  return found == resource.peers.end() ? nullptr : &*found;
}

Result<Window> open_window(Host& host, const drbd::Resource& resource,
                           const policy::Request& request, const xenstore::BackendPath& backend,
                           bool has_keeper, const Budget& budget) {
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
  // A keeper ends only after the record of its window.
  const bool is_kept = has_keeper && *remembered && (*remembered)->backend == backend;
  if (decision.opening == Opening::Adopt && is_kept)
    return Window{.open = true, .because = {}};

  record::Window window{
      .resource = resource.name,
      .peer = source == nullptr ? std::nullopt : source->node_id,
      .backend = backend,
      // An earlier window may have stayed open without its keeper, on the other node perhaps.
      .found_open = decision.opening == Opening::Allowed ||
                    (decision.opening == Opening::Adopt && (*remembered)->found_open),
      .unanswered = decision.opening == Opening::Open,
      .arrived = false};
  if (decision.opening != Opening::Wait)
    if (auto written = host.records.write(window); !written)
      return failure(written.error());
  // Also for the window that is waited for: its keeper may be lost.
  if (auto started = is_kept ? Result<void>() : host.start_keeper(resource.name); !started)
    return failure("the migration of DRBD resource " + resource.name +
                   " cannot be taken over: nobody could forbid two primaries again (" +
                   started.error().message + "). The guest goes on at its source");
  if (decision.opening == Opening::Wait)
    return Window{.open = false, .because = decision.because};
  if (decision.opening != Opening::Open)
    return Window{.open = true, .because = {}};

  const auto answer =
      host.drbd.set_two_primaries(resource, *connection, true, budget.left(status_limit));
  if (!answer)
    return failure(answer.error());
  window.unanswered = false;
  if (auto written = host.records.write(window); !written)
    return failure(written.error());
  if (answer->ok())
    return Window{.open = true, .because = {}};
  if (policy::opening_may_pass(*answer))
    return Window{.open = false, .because = "DRBD says \"" + answer->text + '"'};
  return failure(policy::explain_opening(resource.name, *answer));
}

}  // namespace block_drbd::hotplug
