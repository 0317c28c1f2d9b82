#include "hotplug/gone.h"

#include "hotplug/keeper.h"

namespace block_drbd::hotplug {

Result<void> gone(Host& host, const xenstore::BackendPath& path) {
  const auto claims = host.records.claims_of(path);
  if (!claims)
    return failure(claims.error());
  for (const record::Claim& claim : *claims)
    call_keeper(host, claim.resource, std::nullopt);
  return {};
}

}  // namespace block_drbd::hotplug
