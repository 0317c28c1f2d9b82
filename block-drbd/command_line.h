// What is typed, or what a toolstack calls, or this program itself.
#pragma once

#include <string>
#include <vector>

#include "result.h"

enum class Verb { Add, Remove, Keep, Help, Version };

struct CommandLine {
  Verb verb = Verb::Help;
  std::string resource;  ///< of Keep
};

/// An error is a usage error.
block_drbd::Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

/// What --help prints.
std::string usage();
