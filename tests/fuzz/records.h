// What is remembered on a node, and who has locked it: files that only this run can name.
#pragma once

#include <string>
#include <string_view>

#include "temp_dir.h"

namespace block_drbd::fuzz {

/// A directory of records in which the files that are locked stand already: those of the resource
/// r0, and the healer's.
class Records : public test::TempDir {
 public:
  Records();

  /// `locks` with the names of these files ("r0.lock", "r0.keeper", "healer") as the kernel has
  /// them: by device and inode.
  std::string by_inode(std::string_view locks) const;

  /// Nothing is there where nothing is written.
  void put(std::string_view name, std::string_view text) const;
};

}  // namespace block_drbd::fuzz
