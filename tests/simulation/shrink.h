// Makes a failing schedule short.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace block_drbd::simulation {

/// A list of choices that leads to a violation of the same rule, with as many of them 0 as can be
/// found in reasonable time.
std::vector<std::uint32_t> shrink(std::vector<std::uint32_t> choices, const std::string& rule);

}  // namespace block_drbd::simulation
