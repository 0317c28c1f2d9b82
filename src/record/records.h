// What we remember, and the locks that guard it: /run/block-drbd. A tmpfs dies together with DRBD's
// roles, so a record cannot outlive what it speaks of.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "record/claim.h"
#include "record/held.h"
#include "record/window.h"
#include "result.h"

namespace block_drbd::record {

/// Held until it is destroyed.
class Lock {
 public:
  virtual ~Lock() = default;
};

class Records {
 public:
  virtual ~Records() = default;

  /// Writes the claim, in place of one of the same backend and resource. Atomic: a reader sees the
  /// old one or the new one. On a full disk a text of no greater length is written over the old
  /// one: only who reads without the resource's lock may see some of each then.
  virtual Result<void> write(const Claim& claim) = 0;
  virtual Result<void> remove(const Claim& claim) = 0;
  /// The claims on one resource, and those that one backend has. One that cannot be read is an
  /// error that names the file; those of other resources and backends do not matter.
  virtual Result<std::vector<Claim>> claims_on(const std::string& resource) = 0;
  virtual Result<std::vector<Claim>> claims_of(const xenstore::BackendPath& backend) = 0;

  /// The window of a resource; one that cannot be read is an error that names the file.
  virtual Result<void> write(const Window& window) = 0;
  virtual Result<void> remove_window(const std::string& resource) = 0;
  virtual Result<std::optional<Window>> window_of(const std::string& resource) = 0;

  /// Writing replaces what was there for the same resource, or peer.
  virtual Result<void> write(const Held& held) = 0;
  virtual Result<void> remove_held(const std::string& resource) = 0;
  virtual Result<std::optional<Held>> held(const std::string& resource) = 0;
  virtual Result<void> write(const Outage& outage) = 0;
  virtual Result<std::optional<Outage>> outage(const std::string& peer) = 0;

  /// The lock that the keeper of a resource has as long as it lives; nothing when there is one.
  virtual Result<std::unique_ptr<Lock>> try_lock_keeper(const std::string& resource) = 0;

  /// The lock that the healer of this node has as long as it lives; nothing when there is one.
  virtual Result<std::unique_ptr<Lock>> try_lock_healer() = 0;

  /// The lock of one of the node's places (hotplug/admission.h); nothing when it is taken.
  virtual Result<std::unique_ptr<Lock>> try_lock_place(unsigned number) = 0;
  /// When it was last taken: to tell one time from another, and no more, since the clock may jump.
  virtual std::int64_t place_taken_at(unsigned number) = 0;

  /// The lock of one resource on this node; nothing when another process has it. It ends with its
  /// holder, however that ends.
  virtual Result<std::unique_ptr<Lock>> try_lock(const std::string& resource) = 0;

  /// The lock that Xen's own block scripts hold while they look for sharers and write
  /// physical-device, by the protocol of Xen's locking.sh; nothing when another process has it.
  /// Taken after the resource's lock, never before it.
  virtual Result<std::unique_ptr<Lock>> try_lock_xen_block() = 0;
};

/// `directory` is /run/block-drbd, made when it is missing. Only its owner, this process' user, may
/// be able to write there: anything else is refused. `xen_locks` is /run/xen-hotplug.
Result<std::unique_ptr<Records>> open_records(const std::string& directory,
                                              const std::string& xen_locks);

}  // namespace block_drbd::record
