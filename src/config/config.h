// /etc/xen/block-drbd.json: block-drbd.json(5). Without the file all is as by default.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "policy/choices.h"
#include "result.h"

namespace block_drbd::config {

inline constexpr const char* path = "/etc/xen/block-drbd.json";

struct Config {
  bool is_set = false;  ///< there is such a file
  policy::Choices general;
  std::map<std::string, policy::Choices> resources;  ///< `general`, but for what is set for each

  const policy::Choices& of(const std::string& resource) const;
};

/// JSON with comments. An unknown key or a bad value is an error that says where: nobody shall rely
/// on a choice that is not heeded.
Result<Config> config_from_json(std::string_view text);

/// The defaults where there is no such file.
Result<Config> read_config(const std::string& file);

}  // namespace block_drbd::config
