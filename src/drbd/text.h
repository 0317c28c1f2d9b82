// Small tools of the readers: cutting text into lines and words.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "result.h"
#include "spec/disk_spec.h"

namespace block_drbd::drbd {

/// Takes the first line off `text`, without its end.
inline std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
  return line;
}

/// Takes the first word off `line`; empty when there is none left.
inline std::string_view take_word(std::string_view& line) {
  constexpr std::string_view blanks = " \t\r";
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

/// The number, when the whole text is one.
inline std::optional<int> number_from(std::string_view text) {
  int number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end)
    return std::nullopt;
  return number;
}

/// The failure of a reader that met `text` in what `command` printed.
inline tl::unexpected<Error> not_understood(std::string_view command, std::string_view text) {
  return failure("`" + std::string(command) + "` printed what this program does not understand: '" +
                 printable(take_line(text)) + "'");
}

/// The failure of a reader that met the end too early. What is missing may be the peer that is
/// Primary: half a text is no better than none.
inline tl::unexpected<Error> broke_off(std::string_view command) {
  return failure("what `" + std::string(command) + "` printed breaks off in the middle");
}

}  // namespace block_drbd::drbd
