// What DRBD's tools really printed, kept in tests/data.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace block_drbd::test {

/// One command, and what came of it.
struct Capture {
  std::string name;     ///< "S04-held-open/13-drbdadm_secondary_r0.alpha"
  std::string command;  ///< "drbdadm secondary r0"
  std::string out;
  std::string err;
  int exit_code = 0;
};

/// The contents of a file in tests/data; fails the test when there is none.
std::string read_data(const std::string& path);

/// Reads a capture in either format. `path` is below tests/data, as in
/// "drbd84/S04-held-open/13-….txt".
Capture read_capture(const std::string& path);

/// All captures, by situation: "drbd84/S04-held-open", "drbd9/held-open-primary".
std::map<std::string, std::vector<Capture>> all_captures();

}  // namespace block_drbd::test
