// What the JSON library found wrong with a text, for a message.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "spec/disk_spec.h"

namespace block_drbd {

inline std::string in_words(const std::exception& error) {
  // "[json.exception.parse_error.101] parse error at line 2, ..."
  const std::string_view what = error.what();
  const auto name = what.starts_with("[json") ? what.find("] ") : std::string_view::npos;
  return printable(name == std::string_view::npos ? what : what.substr(name + 2));
}

}  // namespace block_drbd
