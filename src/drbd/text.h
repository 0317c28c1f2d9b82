// Small tools of the readers: cutting text into lines, words and tokens.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdlib>
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

/// Takes blanks and comments off the beginning of a configuration's text.
inline void skip_blanks_and_comments(std::string_view& text) {
  const auto skip_blanks = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  };
  skip_blanks();
  while (text.starts_with('#')) {
    take_line(text);
    skip_blanks();
  }
}

/// Takes a word, a text in quotes (without them), or one of `{` `}` `;` off a configuration's text
/// that is not empty.
inline std::string_view take_token(std::string_view& text) {
  const auto take = [&](std::size_t size) {
    const std::string_view taken = text.substr(0, size);
    text.remove_prefix(taken.size());
    return taken;
  };
  if (text.starts_with('"')) {
    take(1);
    std::size_t end = 0;
    while (end < text.size() && text[end] != '"')
      end += text[end] == '\\' ? 2 : 1;
    const std::string_view quoted = take(end);
    take(1);
    return quoted;
  }
  return take(std::max<std::size_t>(1, std::min(text.find_first_of(" \t\r\n{};\"#"), text.size())));
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

/// The decimal number, such as "28.78", when the whole text is one. Not by std::from_chars, which
/// for this alone would have libm loaded whenever the program starts.
inline std::optional<double> decimal_from(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos)
    return std::nullopt;
  const std::string number(text);
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  if (end != number.c_str() + number.size())
    return std::nullopt;
  return value;
}

/// The failure of a reader that met `text` in what `command` printed.
inline tl::unexpected<Error> not_understood(std::string_view command, std::string_view text) {
  return failure("`" + std::string(command) + "` printed what this program does not understand: '" +
                 printable(take_line(text)) + "'");
}

/// The same where secrets are printed, too: says in which line of `text` it is, at whose end `rest`
/// is.
inline tl::unexpected<Error> line_not_understood(std::string_view command, std::string_view text,
                                                 std::string_view rest) {
  const std::string_view before = text.substr(0, text.size() - rest.size());
  return failure("`" + std::string(command) +
                 "` printed what this program does not understand in line " +
                 std::to_string(1 + std::ranges::count(before, '\n')));
}

/// The failure of a reader that met the end too early. What is missing may be the peer that is
/// Primary: half a text is no better than none.
inline tl::unexpected<Error> broke_off(std::string_view command) {
  return failure("what `" + std::string(command) + "` printed breaks off in the middle");
}

}  // namespace block_drbd::drbd
