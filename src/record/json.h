// What all records have in common as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "clock.h"
#include "result.h"

namespace block_drbd::record {

/// A name is whatever bytes the toolstack was given: what is not UTF-8 must not stop us.
inline std::string text_of(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

/// What `read` makes of the text, unless that is no JSON, something is missing in it, or it is of a
/// newer version than `version`.
template <typename Record, typename Read>
Result<Record> read_record(std::string_view text, int version, Read read) {
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.at("version").template get<int>() > version)
      return failure("it was written by a newer version of block-drbd");
    return read(json);
  } catch (const nlohmann::json::exception& error) {
    return failure(error.what());
  }
}

}  // namespace block_drbd::record
