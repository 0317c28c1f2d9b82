#include "world.h"

#include <cstdio>

namespace block_drbd::simulation {

void World::violation(std::string rule, std::string what) {
  if (violation_)
    return;
  tell(-1, "VIOLATION", rule, ": ", what);
  violation_ = Violation{.rule = std::move(rule), .text = std::move(what)};
  scheduler_.stop();
}

void World::write(int node, const char* who, const std::string& what) {
  // Who tries something again and again is told of once.
  std::string& last = last_said_[std::to_string(node) + who];
  if (last == what)
    return;
  last = what;
  char head[64];
  const auto now = static_cast<double>(scheduler_.now()) / 1e6;
  if (node < 0)
    std::snprintf(head, sizeof head, "%10.4f  %-6s %-18s ", now, "", who);
  else
    std::snprintf(head, sizeof head, "%10.4f  node%-2d %-18s ", now, node, who);
  story_.push_back(head + what);
}

}  // namespace block_drbd::simulation
