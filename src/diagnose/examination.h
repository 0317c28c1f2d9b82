// The answer of `block-drbd test`, before it is put into words or JSON. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diagnose/findings.h"
#include "diagnose/verdict.h"

namespace block_drbd::diagnose {

/// One disk that was asked for, or one volume of the node.
struct ExaminedDisk {
  Target target;
  const drbd::Resource* resource = nullptr;  ///< null: not up
  const drbd::Volume* volume = nullptr;      ///< null: not up, or there is no such volume
  std::optional<policy::Attachment> user;    ///< of this very volume
  Verdicts verdicts;
};

struct Examination {
  std::vector<ExaminedDisk> disks;
  std::vector<std::string> not_up;  ///< configured; only where the whole node was asked for
  std::vector<Finding> findings;

  bool has_problem() const;
  /// Every disk would work, and nothing is wrong.
  bool is_fine() const;
};

/// Of the disks that were asked for; without any, of the whole node. Points into `facts`.
Examination examine(const Facts& facts, const std::vector<Target>& asked);

}  // namespace block_drbd::diagnose
