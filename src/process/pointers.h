// Words as exec and posix_spawn take them.
#pragma once

#include <string>
#include <vector>

namespace block_drbd::process {

/// With the null pointer at the end; good as long as `words` is.
inline std::vector<char*> pointers_to(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (const std::string& word : words)
    pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace block_drbd::process
