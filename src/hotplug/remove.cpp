#include "hotplug/remove.h"

#include <algorithm>
#include <optional>
#include <utility>
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
Result<std::vector<Claim>> uses_of(const xenstore::BackendPath& path,
                                   Result<std::vector<Claim>> claims,
                                   const Result<std::optional<xenstore::Backend>>& backend) {
  if (!backend)
    return failure(backend.error());
  if (!claims || !*backend || (*backend)->physical_device.empty())
    return claims;
  const auto spec = parse_disk_spec((*backend)->params);
  if (spec && std::none_of(claims->begin(), claims->end(),
                           [&](const Claim& claim) { return claim.resource == spec->resource; }))
    claims->push_back(claim_of_shell_script(path, spec->resource));
  return claims;
}

Result<void> release_all(Host& host, const std::vector<Claim>& uses, Budget budget) {
  std::string messages;
  for (const Claim& use : uses) {
    auto released = release(host, use, budget);
    // ^C at `xl destroy` reaches us, too: the waiting ends, but the role is not left behind
    // untried. The keeper, who would have the lock then, is called when that is over.
    if (!released && host.clock.acknowledge()) {
      budget = Budget(host.clock, budget.left(last_attempt));
      released = release(host, use, budget);
    }
    if (!released)
      messages += (messages.empty() ? "" : ". ") + released.error().message;
    call_keeper(host, use.resource, released ? std::optional(use) : std::nullopt);
  }
  if (!messages.empty())
    return failure(messages);
  return {};
}

}  // namespace

Result<void> remove(Host& host, const xenstore::BackendPath& path,
                    const Result<std::vector<Claim>>& claims, Duration limit) {
  const Budget budget(host.clock, limit);
  const auto disk = xenstore::read_backend(host.store, path);
  auto done = uses_of(path, claims, disk).and_then([&](const std::vector<Claim>& uses) {
    return release_all(host, uses, budget);
  });
  if (!done && done.error().message.find("Primary") == std::string::npos)
    done = failure(done.error().message +
                   ". A resource of this guest may still be Primary on this node: look at `drbdadm "
                   "status`, and run `drbdadm secondary RESOURCE` if no guest uses it");
  if (!done && disk && *disk)
    publish_failure(host.store, host.report, **disk, done.error().message);
  return done;
}

}  // namespace block_drbd::hotplug
