#include "hotplug/survey.h"

#include <algorithm>
#include <set>

namespace block_drbd::hotplug {

namespace {

/// Whether no guest writes to it, here or elsewhere: DRBD opens a Secondary to no writer, and
/// claims tell of all that we attached. Among many guests, to ask about each one's disks takes
/// longer than all else.
bool is_idle(const drbd::Resource& resource, const std::vector<record::Claim>& claims) {
  return drbd::is_secondary(resource) && claims.empty() && drbd::sees_every_peer(resource) &&
         drbd::primary_peers(resource).empty();
}

/// As xenstore would tell of it.
policy::Attachment attachment_of(const record::Claim& claim) {
  return {.backend = {.path = claim.backend,
                      .params = claim.resource,
                      .mode = {},
                      .dev = {},
                      .state = xenstore::State::Unknown,
                      .physical_device = device::physical_device(claim.minor)},
          .domain = {.id = claim.backend.frontend(),
                     .exists = true,
                     .name = claim.domain,
                     .vm = claim.vm,
                     .target = {}}};
}

}  // namespace

bool is_served(device::Devices& devices, const record::Claim& claim) {
  return claim.phase == record::Phase::Attached &&
         devices.is_served(claim.backend.frontend(), claim.backend.device());
}

Result<std::vector<policy::Attachment>> forgotten_by_xenstore(
    xenstore::Store& store, device::Devices& devices, const std::vector<record::Claim>& claims) {
  std::vector<policy::Attachment> forgotten;
  for (const record::Claim& claim : claims) {
    if (!is_served(devices, claim))
      continue;
    const auto backend = xenstore::read_backend(store, claim.backend);
    if (!backend)
      return failure(backend.error());
    if (!*backend)
      forgotten.push_back(attachment_of(claim));
  }
  return forgotten;
}

Result<Survey> survey(Host& host, const std::string& resource, const xenstore::BackendPath& own,
                      Duration limit) {
  auto state = host.drbd.status(resource, limit);
  if (!state)
    return failure(state.error());
  auto claims = host.records.claims_on(resource);
  if (!claims)
    return failure(claims.error());
  auto in_use = is_idle(*state, *claims) ? std::vector<policy::Attachment>()
                                         : attachments_in_use(host, *state, *claims, own);
  if (!in_use)
    return failure(in_use.error());
  return Survey{
      .resource = std::move(*state), .claims = std::move(*claims), .in_use = std::move(*in_use)};
}

Result<std::vector<policy::Attachment>> attachments_in_use(Host& host,
                                                           const drbd::Resource& resource,
                                                           const std::vector<record::Claim>& claims,
                                                           const xenstore::BackendPath& own) {
  std::set<std::string> devices;
  for (const drbd::Volume& volume : resource.volumes)
    devices.insert(device::physical_device(volume.minor));
  auto backends = xenstore::backends_attached_to(host.store, devices);
  if (!backends)
    return failure(backends.error());

  auto attachments = with_their_domains(host.store, std::move(*backends));
  if (!attachments)
    return failure(attachments.error());
  const auto forgotten = forgotten_by_xenstore(host.store, host.devices, claims);
  if (!forgotten)
    return failure(forgotten.error());
  attachments->insert(attachments->end(), forgotten->begin(), forgotten->end());
  return policy::attachments_in_use(*attachments, claims, own);
}

Result<std::vector<policy::Attachment>> with_their_domains(
    xenstore::Store& store, std::vector<xenstore::Backend> backends) {
  std::vector<policy::Attachment> attachments;
  for (xenstore::Backend& backend : backends) {
    auto domain = xenstore::read_domain(store, backend.path.frontend());
    if (!domain)
      return failure(domain.error());
    attachments.push_back({.backend = std::move(backend), .domain = std::move(*domain)});
  }
  return attachments;
}

}  // namespace block_drbd::hotplug
