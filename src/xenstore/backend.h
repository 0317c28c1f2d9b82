// A virtual block device's backend directory, and the domains that stand behind it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "xenstore/store.h"

namespace block_drbd::xenstore {

/// The path of a backend directory: `backend/vbd/5/51712`, relative to the own domain as libxl
/// gives it, or `/local/domain/0/backend/vbd/5/51712`.
class BackendPath {
 public:
  /// Accepts just those two shapes. The part before `backend/` is dropped: our own domain's
  /// directories are the only ones a block script is asked about, so both shapes name the same.
  static Result<BackendPath> parse(std::string_view text);

  BackendPath(std::string type, DomId frontend, unsigned device)
      : type_(std::move(type)), frontend_(frontend), device_(device) {}

  DomId frontend() const { return frontend_; }
  unsigned device() const { return device_; }
  /// `backend/vbd/5/51712`
  std::string text() const;
  std::string operator/(std::string_view key) const { return text() + '/' + std::string(key); }
  bool operator==(const BackendPath&) const = default;

 private:
  std::string type_;
  DomId frontend_;
  unsigned device_;
};

/// xenbus_state (xen/io/xenbus.h), as far as it is told apart here.
enum class State { Unknown = 0, Initialising = 1, InitWait = 2, Other };

/// What the toolstack wrote, and what block scripts answered.
struct Backend {
  BackendPath path;
  std::string params;  ///< the disk spec; empty when absent
  std::string mode;    ///< r, w, w!
  std::string dev;     ///< what the guest calls it: xvda
  State state = State::Unknown;
  std::string physical_device;  ///< "93:1", hexadecimal; empty until a script attached it
};

/// Nothing when the directory is gone: libxl wipes it, xend even before `remove`.
Result<std::optional<Backend>> read_backend(Store& store, const BackendPath& path);

/// The same disk of the guest, asked for in the same way. Another one may have come into a
/// directory of the same name, when the first was detached.
inline bool is_same_disk(const Backend& one, const Backend& other) {
  return one.path == other.path && one.params == other.params && one.mode == other.mode;
}

/// The backends of this domain that are attached to one of these devices (`93:1`, as in
/// `physical-device`), by whichever script.
Result<std::vector<Backend>> backends_attached_to(Store& store,
                                                  const std::set<std::string>& physical_devices);

/// The backends of this domain that are attached to any device of this major number.
Result<std::vector<Backend>> backends_on_major(Store& store, unsigned major);

/// A domain, as the toolstack describes it in places that the domain itself cannot write.
struct Domain {
  DomId id = 0;
  bool exists = false;
  std::string name;  ///< empty when it cannot be read
  std::string vm;    ///< uuid of the virtual machine, without `/vm/`; empty when it cannot be read
  std::optional<DomId> target;  ///< a stub domain's guest
};

/// xl's names for the two halves of a guest that migrates (xl_migrate.c): what arrives is called
/// `NAME--incoming` until its source has let it go, and what stays behind `NAME--migratedaway`.
/// Anybody can give a domain such a name.
inline constexpr std::string_view arriving = "--incoming";
inline bool is_arriving(const Domain& domain) {
  return domain.name.ends_with(arriving);
}
inline bool has_left(const Domain& domain) {
  return domain.name.ends_with("--migratedaway");
}

/// xl's name for what it keeps of a guest when it starts another one in its place
/// (`rename-restart`): `NAME-20261124T1718Z`, with an uuid of its own.
bool is_kept_of(std::string_view guest, std::string_view name);

/// A stub domain is described by its guest's name and vm.
Result<Domain> read_domain(Store& store, DomId id);

/// The same virtual machine: equal `vm`, a trailing `-1` aside (xend's second instance). Two
/// domains whose vm cannot be read are not known to be the same.
bool same_vm(const Domain& one, const Domain& other);

}  // namespace block_drbd::xenstore
