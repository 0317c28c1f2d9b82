// The examination for programs: README, "test --json", documents it. The version is raised when a
// key changes its meaning or goes; new keys may come at any time.
#pragma once

#include <string>

#include "diagnose/examination.h"

namespace block_drbd::diagnose {

std::string in_json(const Facts& facts, const Examination& examination);

}  // namespace block_drbd::diagnose
