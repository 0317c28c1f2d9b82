// The program under a tracer that ends it at one of its system calls.
#pragma once

#include "node.h"

namespace block_drbd::faults {

/// Before which system call, counted from the program's first, and how.
struct Point {
  unsigned number = 0;      ///< 0: none
  bool with_tools = false;  ///< also those of the processes that it has started
  int signal = 0;
};

struct Traced {
  bool reached = false;     ///< the point, before the program had ended
  std::optional<int> code;  ///< as of Ended
  unsigned calls = 0;       ///< system calls until then
};

/// What the program has started goes on untraced, unless it dies with the program.
Traced run_traced(const Node& node, const Node::Start& start, const Point& point);

}  // namespace block_drbd::faults
