// on NODE COMMAND... - runs a command line on a node of the lab; its output and exit status are
// ours. Environment: LAB_BUILD, the lab's build directory; LAB_TIMEOUT, seconds (120).

#include <cstdlib>
#include <iostream>
#include <string>

#include "channel.h"

int main(int argc, char** argv) {
  using block_drbd::lab::Channel;
  const char* build = std::getenv("LAB_BUILD");
  if (argc < 3 || build == nullptr) {
    std::cerr << "usage: LAB_BUILD=DIRECTORY on NODE COMMAND...\n";
    return 2;
  }
  const char* limit = std::getenv("LAB_TIMEOUT");
  std::string script = argv[2];
  for (int index = 3; index < argc; ++index)
    script += std::string(" ") + argv[index];

  auto channel = Channel::open(build, std::atoi(argv[1]));
  const auto reply = std::move(channel).and_then([&](Channel open) {
    return open.run(script, std::chrono::seconds(limit != nullptr ? std::atol(limit) : 120));
  });
  if (!reply) {
    std::cerr << "node" << argv[1] << ": " << reply.error().message << "\n";
    return 125;
  }
  std::cout << reply->output << std::flush;
  return reply->status;
}
