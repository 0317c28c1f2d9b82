// Tools that answer with what the fuzzer wants.
#pragma once

#include <map>

#include "process/processes.h"

namespace block_drbd::fuzz {

class Tools final : public process::Processes {
 public:
  void answer_all(process::Output output) { any_ = std::move(output); }
  /// To a command: "drbdsetup status".
  void answer(const std::string& command, process::Output output) {
    answers_[command] = std::move(output);
  }

  Result<process::Output> run(const std::vector<std::string>& argv, Duration /*limit*/) override {
    const auto found = answers_.find(argv[0] + ' ' + argv[1]);
    return found == answers_.end() ? any_ : found->second;
  }

  Result<std::unique_ptr<process::Stream>> follow(const std::vector<std::string>&) override {
    return failure("nothing is followed here");
  }

 private:
  process::Output any_;
  std::map<std::string, process::Output> answers_;
};

}  // namespace block_drbd::fuzz
