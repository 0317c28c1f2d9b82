#include "hotplug/gone.h"

#include "hotplug/keeper.h"

namespace block_drbd::hotplug {

namespace {

/// udev lets nobody work for longer than three minutes.
constexpr Duration limit = std::chrono::seconds(30);

/// The guest itself may live a moment longer: libxl ends its disks first.
Result<void> release_claim(Host& host, const xenstore::BackendPath& path,
                           const std::string& resource) {
  const auto lock = lock_resource(host, resource, Budget(host.clock, limit));
  if (!lock)
    return failure(lock.error());
  const auto backend = xenstore::read_backend(host.store, path);
  if (!backend)
    return failure(backend.error());
  if (*backend)
    return {};  // attached again
  auto claims = host.records.claims_on(resource);
  if (!claims)
    return failure(claims.error());
  for (record::Claim& claim : *claims)
    if (claim.backend == path && claim.phase != record::Phase::Released) {
      claim.phase = record::Phase::Released;
      return host.records.write(claim);
    }
  return {};  // a `remove` was faster
}

}  // namespace

Result<void> gone(Host& host, const xenstore::BackendPath& path) {
  const auto claims = host.records.claims_of(path);
  if (!claims)
    return failure(claims.error());
  Result<void> done;
  for (const record::Claim& claim : *claims) {
    if (auto released = release_claim(host, path, claim.resource); !released)
      done = std::move(released);
    call_keeper(host, claim.resource, std::nullopt);
  }
  return done;
}

}  // namespace block_drbd::hotplug
