// What a failure says, for tests of sentences.
#pragma once

#include "catch.h"
#include "result.h"

namespace block_drbd::test {

/// What went wrong, in words that hold these.
inline bool says(const Result<void>& result, const std::string& words) {
  INFO((result ? "succeeded" : result.error().message));
  return !result && result.error().message.find(words) != std::string::npos;
}

}  // namespace block_drbd::test
