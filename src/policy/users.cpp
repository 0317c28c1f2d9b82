#include "policy/users.h"

#include <algorithm>
#include <iterator>

#include "policy/access.h"
#include "spec/disk_spec.h"

namespace block_drbd::policy {

namespace {

bool is_released(const xenstore::BackendPath& backend, const std::vector<record::Claim>& claims) {
  return std::any_of(claims.begin(), claims.end(), [&](const record::Claim& claim) {
    return claim.backend == backend && claim.phase == record::Phase::Released;
  });
}

Relation relation_between(const xenstore::Domain& user, const xenstore::Domain& asking) {
  if (user.id == asking.id)
    return Relation::OwnDomain;
  if (user.target == asking.id || asking.target == user.id)
    return Relation::OwnStubDomain;
  return same_vm(user, asking) ? Relation::SameVm : Relation::OtherVm;
}

}  // namespace

std::vector<Attachment> attachments_in_use(const std::vector<Attachment>& attachments,
                                           const std::vector<record::Claim>& claims,
                                           const std::optional<xenstore::BackendPath>& own) {
  std::vector<Attachment> in_use;
  std::copy_if(attachments.begin(), attachments.end(), std::back_inserter(in_use),
               [&](const Attachment& attachment) {
                 return attachment.backend.path != own &&
                        !is_released(attachment.backend.path, claims) && attachment.domain.exists;
               });
  return in_use;
}

User user_for(const Attachment& attachment, const xenstore::Domain& asking) {
  return {.relation = relation_between(attachment.domain, asking),
          .physical_device = attachment.backend.physical_device,
          .read_only = access_from(attachment.backend.mode) == Access::ReadOnly,
          .guest = attachment.domain.name,
          .description = describe(attachment)};
}

User use_by_host(int minor, const std::string& use) {
  return {.relation = Relation::Host,
          .physical_device = {},
          .read_only = false,
          .guest = {},
          .description = "/dev/drbd" + std::to_string(minor) + " is " + use};
}

std::string describe(const Attachment& attachment) {
  const xenstore::Domain& domain = attachment.domain;
  const std::string number = "domain " + std::to_string(attachment.backend.path.frontend());
  std::string who =
      domain.name.empty() ? number : "guest " + printable(domain.name) + " (" + number + ')';
  if (!attachment.backend.dev.empty())
    who += " as " + printable(attachment.backend.dev);
  return who;
}

}  // namespace block_drbd::policy
