#include "hotplug/hand_over.h"

#include "policy/refusals.h"
#include "policy/window.h"

namespace block_drbd::hotplug {

using policy::Opening;

Result<Attempt> open_window(Host& host, const drbd::Resource& resource,
                            const policy::Request& request, const xenstore::BackendPath& backend,
                            bool has_keeper, const Budget& budget) {
  const auto not_possible = [&](const std::string& because) {
    return failure(policy::cannot_be_taken_over(
        resource.name, because,
        "See `drbdadm status " + resource.name + "` and the system log, then migrate again"));
  };
  const auto settings = host.drbd.settings(resource.name, budget.left(status_limit));
  if (!settings)
    return not_possible(settings.error().message);
  const auto remembered = host.records.window_of(resource.name);
  if (!remembered)
    return not_possible(remembered.error().message);
  const auto primary = drbd::primary_peers(resource);
  const auto* source =
      primary.empty() ? nullptr : settings->connection_to(primary.front()->node_id);
  const auto [opening, because] =
      policy::decide_opening(request.access, request.choices, source, *remembered);
  if (source == nullptr || opening == Opening::Refuse)
    return not_possible(because);

  const auto call = [&]() -> Result<void> {
    if (auto started = host.start_keeper(resource.name); !started)
      return not_possible("nobody could forbid two primaries again (" + started.error().message +
                          ')');
    return {};
  };
  if (opening == Opening::Wait) {  // for another one's keeper, which may be lost
    if (auto called = has_keeper ? Result<void>() : call(); !called)
      return failure(called.error());
    return Attempt{.open = false, .because = because};
  }
  // A keeper ends only after the record of its window.
  const bool is_kept = has_keeper && *remembered && (*remembered)->backend == backend;
  if (opening == Opening::Adopt && is_kept)
    return Attempt{.open = true, .because = {}};

  // Another disk of the guest may have asked in vain.
  const bool was_unanswered = *remembered && (*remembered)->unanswered;
  record::Window window{
      .resource = resource.name,
      .peer = source->node_id,
      .backend = backend,
      // An earlier window may have stayed open without its keeper, on the other node perhaps.
      .found_open =
          opening == Opening::Allowed || (opening == Opening::Adopt && (*remembered)->found_open),
      .unanswered = opening == Opening::Open || was_unanswered,
      .arrived = false};
  if (auto written = host.records.write(window); !written)
    return not_possible(written.error().message);
  if (auto called = is_kept ? Result<void>() : call(); !called)
    return failure(called.error());
  if (opening != Opening::Open)
    return Attempt{.open = true, .because = {}};

  const auto answer =
      host.drbd.set_two_primaries(resource, *source, true, budget.left(status_limit));
  if (!answer)
    return not_possible(answer.error().message);
  window.unanswered = was_unanswered;
  if (auto written = host.records.write(window); !written)
    return not_possible(written.error().message);
  if (answer->ok())
    return Attempt{.open = true, .because = {}};
  if (policy::opening_may_pass(*answer))
    return Attempt{.open = false, .because = "DRBD says " + drbd::quoted(*answer)};
  return failure(policy::explain_opening(resource.name, *answer));
}

Result<void> note_arrival(Host& host, record::Window& window) {
  if (window.arrived)
    return {};
  const auto domain = xenstore::read_domain(host.store, window.backend.frontend());
  if (!domain)
    return failure(domain.error());
  if (domain->name.empty() || xenstore::is_arriving(*domain))
    return {};
  window.arrived = true;
  return host.records.write(window);
}

}  // namespace block_drbd::hotplug
