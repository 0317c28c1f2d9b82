// Who uses a resource on this node, and in which relation to the one that asks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "record/claim.h"
#include "xenstore/backend.h"

namespace block_drbd::policy {

/// A backend that is attached to one of the resource's minors, with what is known about it.
struct Attachment {
  xenstore::Backend backend;
  xenstore::Domain domain;
};

enum class Relation {
  OwnDomain,      ///< another disk of the same domain
  OwnStubDomain,  ///< the guest's stub domain, or the guest of this stub domain
  SameVm,         ///< another living domain of the same virtual machine
  OtherVm,        ///< anybody else's guest
  Host,           ///< this host itself: a mount, swap, device-mapper, md
};

struct User {
  Relation relation = Relation::OtherVm;
  std::string physical_device;  ///< `93:1`; empty for the host's uses
  bool read_only = false;
  std::string guest;        ///< its name; empty for the host's uses, and where it cannot be read
  std::string description;  ///< "guest web01 (domain 7) as xvda"
};

/// The attachments that count: not the one at `own`, of whoever asks for itself, not those whose
/// claim says released (the disks of one guest are removed in parallel and must not keep the role
/// for each other), not those whose domain is gone. That the kernel still has such a device open
/// shows when the role is to change.
std::vector<Attachment> attachments_in_use(const std::vector<Attachment>& attachments,
                                           const std::vector<record::Claim>& claims,
                                           const std::optional<xenstore::BackendPath>& own);

/// How an attachment stands to the domain that asks.
User user_for(const Attachment& attachment, const xenstore::Domain& asking);

/// A use by this host itself, in words such as "mounted on /srv".
User use_by_host(int minor, const std::string& use);

/// "guest web01 (domain 7) as xvda", for messages.
std::string describe(const Attachment& attachment);

}  // namespace block_drbd::policy
