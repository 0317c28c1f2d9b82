// The command channel to one node of the lab: a unix socket that ends in the node's agent.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "fd.h"
#include "result.h"

namespace block_drbd::lab {

struct Reply {
  int status = 0;      ///< exit status; 124: did not end in time and was killed
  std::string output;  ///< stdout and stderr as they came
};

/// One connection. Every node has several; each serves one asker at a time, and a lock on the host
/// keeps the others off it.
class Channel {
 public:
  /// Takes the first free connection to node 1 or 2 of the lab whose files are in build.
  static Result<Channel> open(const std::filesystem::path& build, int node);

  /// Runs a bash script on the node. The limit holds on the node; here a little is added to it, so
  /// that a node that no longer answers is a failure and not a hang.
  Result<Reply> run(const std::string& script, std::chrono::seconds limit);

 private:
  Channel(Fd lock, Fd socket) : lock_(std::move(lock)), socket_(std::move(socket)) {}

  Result<std::string> read_line(std::chrono::steady_clock::time_point deadline);
  Result<std::string> read_bytes(std::size_t size, std::chrono::steady_clock::time_point deadline);
  Result<bool> fill(std::chrono::steady_clock::time_point deadline);

  Fd lock_;
  Fd socket_;
  std::string pending_;  // received, not yet read
  int asked_ = 0;
};

}  // namespace block_drbd::lab
