// xenstore, as far as a block script needs it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "result.h"

namespace block_drbd::xenstore {

using DomId = std::uint32_t;

/// The toolstack's own, to which it attaches a guest's disk for a bootloader.
inline constexpr DomId toolstack_domain = 0;

/// Paths and what stands there.
using Values = std::vector<std::pair<std::string, std::string>>;

class Store {
 public:
  virtual ~Store() = default;

  /// The value at `path`; nothing when there is no such path. That a path may not be read is a
  /// different answer: an error with code EACCES (a driver domain may not read a guest's name).
  virtual Result<std::optional<std::string>> read(const std::string& path) = 0;

  /// The names below `path`; none when there is no such path.
  virtual Result<std::vector<std::string>> list(const std::string& path) = 0;

  /// As `read` and `list` of each of these paths, in their order; not at one moment, unless inside
  /// a transaction, where no list may be longer than a message.
  virtual std::vector<Result<std::optional<std::string>>> read_each(
      const std::vector<std::string>& paths);
  virtual std::vector<Result<std::vector<std::string>>> list_each(
      const std::vector<std::string>& paths);

  /// Only inside a transaction.
  virtual Result<void> write(const std::string& path, const std::string& value) = 0;
  virtual Result<void> write_each(const Values& values);

  /// Whether the domain is known to xenstored. A domain that is dying still is. So is one that may
  /// not be asked about, as in a driver domain: nobody is gone who cannot be told to be.
  virtual bool domain_exists(DomId domain) = 0;

  /// False: xenstored has ended, and there is no answer any more; a new one must be connected to.
  virtual bool is_connected() const { return true; }

  /// Runs `body` in a transaction and commits it when it succeeds. Repeated when others changed
  /// what was read, a bounded number of times: a busy guest must not keep us here for ever.
  virtual Result<void> transaction(const std::function<Result<void>()>& body) = 0;
};

/// Connects to xenstored: through its socket where there is one, else through the kernel.
Result<std::unique_ptr<Store>> connect();

}  // namespace block_drbd::xenstore
