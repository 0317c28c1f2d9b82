// What is typed, or what a toolstack calls, or this program itself.
#pragma once

#include <string>
#include <vector>

#include "result.h"

enum class Verb { Add, Remove, Gone, Keep, Heal, Test, Help, Version };

/// How the result of a test is told.
enum class Form { Words, Json, Monitoring };

struct CommandLine {
  Verb verb = Verb::Help;
  std::string resource{};            ///< of Keep
  std::vector<std::string> asked{};  ///< of Test: disks or configurations; none is the whole node
  Form form = Form::Words;           ///< of Test
  bool every_verdict = false;        ///< of Test: --all
  bool tells_commands = false;       ///< of Test: --verbose
};

/// An error is a usage error.
block_drbd::Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

/// What --help prints.
std::string usage();
