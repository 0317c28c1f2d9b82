#include "hotplug/remove.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "hotplug/keeper.h"
#include "hotplug/publish.h"
#include "hotplug/release.h"
#include "spec/disk_spec.h"

namespace block_drbd::hotplug {

using record::Claim;

namespace {

constexpr Duration last_attempt = std::chrono::seconds(4);

/// What ends with the disk. The directory may be gone, and the path may have served another
/// resource before: what was claimed counts, and what the directory names if it has a device.
std::vector<Claim> uses_of(const xenstore::BackendPath& path, std::vector<Claim> claims,
                           const std::optional<xenstore::Backend>& backend) {
  if (!backend || backend->physical_device.empty())
    return claims;
  const auto spec = parse_disk_spec(backend->params);
  if (spec && std::none_of(claims.begin(), claims.end(),
                           [&](const Claim& claim) { return claim.resource == spec->resource; }))
    claims.push_back(claim_of_shell_script(path, spec->resource));
  return claims;
}

Result<void> release_all(Host& host, const xenstore::BackendPath& path,
                         const Result<std::vector<Claim>>& claims,
                         const Result<std::optional<xenstore::Backend>>& backend,
                         const Budget& budget) {
  if (!backend)
    return failure(backend.error());
  if (!claims)
    return failure(claims.error());
  std::string messages;
  for (const Claim& use : uses_of(path, *claims, *backend)) {
    const auto released = release(host, use, budget);
    if (!released)
      messages += (messages.empty() ? "" : ". ") + released.error().message;
    call_keeper(host, use.resource, released ? std::optional(path) : std::nullopt);
  }
  if (!messages.empty())
    return failure(messages);
  return {};
}

}  // namespace

Result<void> remove(Host& host, const xenstore::BackendPath& path, Duration limit) {
  const Budget budget(host.clock, limit);
  // Before all else: what is attached under the same path from here on is another one's.
  const auto claims = host.records.claims_of(path);
  const auto disk = xenstore::read_backend(host.store, path);
  auto done = release_all(host, path, claims, disk, budget);
  // ^C at `xl destroy` reaches us, too: the waiting ends, but the role is not left behind untried.
  if (!done && host.clock.acknowledge())
    done = release_all(host, path, claims, xenstore::read_backend(host.store, path),
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
