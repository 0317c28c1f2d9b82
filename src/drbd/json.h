// Looking into JSON of which nothing is certain: absent keys and other types than expected are
// answers, too.
#pragma once

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "drbd/text.h"

namespace block_drbd::drbd {

using Json = nlohmann::json;

/// The value of a key; null when there is none.
inline const Json& member(const Json& object, const char* key) {
  static const Json null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

/// The text of a key; empty when there is none.
inline std::string_view text_of(const Json& object, const char* key) {
  const auto* text = member(object, key).get_ptr<const std::string*>();
  return text ? std::string_view(*text) : std::string_view();
}

/// The whole number of a key.
inline std::optional<int> number_of(const Json& object, const char* key) {
  const auto* number = member(object, key).get_ptr<const Json::number_integer_t*>();
  if (!number || *number < std::numeric_limits<int>::min() ||
      *number > std::numeric_limits<int>::max())
    return std::nullopt;
  return static_cast<int>(*number);
}

/// A list that can be walked: of objects, or absent.
inline bool is_list(const Json& value) {
  return value.is_null() ||
         (value.is_array() && std::all_of(value.begin(), value.end(),
                                          [](const Json& each) { return each.is_object(); }));
}

/// Each object of a list, by its reader; the first that cannot be read is the failure.
template <typename Item>
Result<std::vector<Item>> read_each(const Json& list, Result<Item> (*read)(const Json&)) {
  std::vector<Item> items;
  for (const Json& each : list) {
    auto item = read(each);
    if (!item)
      return failure(std::move(item.error()));
    items.push_back(std::move(*item));
  }
  return items;
}

/// The list that a command printed.
inline Result<Json> read_list(std::string_view command, std::string_view text) {
  Json list;
  try {
    list = Json::parse(text);
  } catch (const Json::parse_error& error) {
    const std::size_t read = error.byte;
    return read < text.size() ? not_understood(command, text.substr(read > 0 ? read - 1 : 0))
                              : broke_off(command);
  } catch (const Json::out_of_range&) {  // a number that is too large
    return not_understood(command, text);
  }
  if (!list.is_array() || !is_list(list))
    return not_understood(command, text);
  return list;
}

}  // namespace block_drbd::drbd
