#include "hotplug/remove.h"

#include <optional>
#include <set>

#include "hotplug/keeper.h"
#include "hotplug/publish.h"
#include "hotplug/release.h"
#include "spec/disk_spec.h"

namespace block_drbd::hotplug {

namespace {

constexpr Duration last_attempt = std::chrono::seconds(4);

Result<void> release_all(Host& host, const xenstore::BackendPath& path,
                         const Result<std::optional<xenstore::Backend>>& backend,
                         const Budget& budget) {
  if (!backend)
    return failure(backend.error());
  const auto claims = host.records.claims_of(path);
  if (!claims)
    return failure(claims.error());

  // The directory may be gone, and the path may have served another resource before: what was
  // claimed counts, and what the directory names if it is there.
  std::set<std::string> resources;
  for (const record::Claim& claim : *claims)
    resources.insert(claim.resource);
  std::string attached;
  if (*backend && !(*backend)->physical_device.empty())
    if (const auto spec = parse_disk_spec((*backend)->params))
      resources.insert(attached = spec->resource);

  std::string messages;
  for (const std::string& resource : resources) {
    const auto released = release(host, path, resource, resource == attached, budget);
    if (!released)
      messages += (messages.empty() ? "" : ". ") + released.error().message;
    call_keeper(host, resource, released ? std::optional(path) : std::nullopt);
  }
  if (!messages.empty())
    return failure(messages);
  return {};
}

}  // namespace

Result<void> remove(Host& host, const xenstore::BackendPath& path, Duration limit) {
  const Budget budget(host.clock, limit);
  const auto disk = xenstore::read_backend(host.store, path);
  auto done = release_all(host, path, disk, budget);
  // ^C at `xl destroy` reaches us, too: the waiting ends, but the role is not left behind untried.
  if (!done && host.clock.acknowledge())
    done = release_all(host, path, xenstore::read_backend(host.store, path),
                       Budget(host.clock, last_attempt));
  if (!done && done.error().message.find("Primary") == std::string::npos)
    done = failure(done.error().message +
                   ". A resource of this guest may still be Primary on this node: look at `drbdadm "
                   "status`, and run `drbdadm secondary RESOURCE` if no guest uses it");
  if (!done && disk && *disk)
    publish_failure(host.store, host.report, **disk, done.error().message);
  return done;
}

}  // namespace block_drbd::hotplug
