// What all records have in common as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "clock.h"
#include "json_error.h"
#include "result.h"

namespace block_drbd::record {

/// A name is whatever bytes the toolstack was given: what is not UTF-8 must not stop us.
inline std::string text_of(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

/// A whole number as it stands there: get<int>() makes one of true, of 1.5 and of 4294967297, too.
inline int number_of(const nlohmann::json& json, const char* key) {
  const auto number = json.at(key).get_ref<const nlohmann::json::number_integer_t&>();
  if (!std::in_range<int>(number))
    throw std::out_of_range(std::string(key) + " is too large a number");
  return static_cast<int>(number);
}

/// What `read` makes of the text, unless that is no JSON, something is missing in it, or it is of a
/// newer version than `version`.
template <typename Record, typename Read>
Result<Record> read_record(std::string_view text, int version, Read read) {
  try {
    const auto json = nlohmann::json::parse(text);
    if (number_of(json, "version") > version)
      return failure("it was written by a newer version of block-drbd");
    return read(json);
  } catch (const std::exception& error) {
    return failure(in_words(error));
  }
}

}  // namespace block_drbd::record
