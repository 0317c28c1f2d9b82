// A claim: what this program did for one disk of one domain. It is what `remove` goes by: libxl
// wipes the backend directory just when it would be needed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "result.h"
#include "xenstore/backend.h"

namespace block_drbd::record {

enum class Phase {
  Promoting,  ///< written before the role is touched; the role may or may not have followed
  Attached,   ///< physical-device was written: blkback may open the device
  Released,   ///< `remove` has begun: no user any more
};

struct Claim {
  xenstore::BackendPath backend;
  std::string resource;
  int volume = 0;
  int minor =
      -1;  ///< -1: all volumes; the disk was attached by the shell script, which promotes all
  Phase phase = Phase::Promoting;
  /// The volume was Primary before by somebody else's hand, who may still use it: the role is not
  /// ours to give back.
  bool leave_role = false;
  /// DRBD did not answer a promotion: it may still take effect.
  bool unanswered = false;
  bool incoming = false;  ///< made for an incoming migration
  std::string domain;     ///< the domain's name then; empty when it could not be read
  std::string vm;         ///< its uuid then; empty when it could not be read
  /// Which `add` made it, a random number: another disk may be attached under the same backend
  /// path, and be somebody else's to release. 0: the shell script, or an earlier version of ours.
  int run = 0;

  bool operator==(const Claim&) const = default;
};

/// One small JSON object, with a version: a package upgrade may happen in between.
std::string to_json(const Claim& claim);
Result<Claim> claim_from_json(std::string_view text);

}  // namespace block_drbd::record
