// What is typed, or what a toolstack calls.
#pragma once

#include <string>
#include <vector>

#include "result.h"

enum class Verb { Add, Remove, Help, Version };

/// The verb of a command line; an error is a usage error.
block_drbd::Result<Verb> parse_command_line(const std::vector<std::string>& arguments);

/// What --help prints.
std::string usage();
