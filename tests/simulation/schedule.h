// One random schedule: a cluster, what people and the world do to it, and its end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "choices.h"
#include "world.h"

namespace block_drbd::simulation {

struct Ending {
  std::optional<Violation> violation;
  std::vector<std::string> story;  ///< if it was asked for
};

Ending run_schedule(Choices& choices, bool tells_story);

}  // namespace block_drbd::simulation
