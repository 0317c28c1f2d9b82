// Tools that answer with what the fuzzer wants.
#pragma once

#include <map>
#include <set>

#include "process/processes.h"
#include "targets.h"

namespace block_drbd::fuzz {

class Tools final : public process::Processes {
 public:
  void answer_all(process::Output output) { any_ = std::move(output); }
  /// To a command: "drbdsetup status".
  void answer(const std::string& command, process::Output output) {
    answers_[command] = std::move(output);
  }

  Result<process::Output> run(const std::vector<std::string>& argv, Duration /*limit*/) override {
    demand_words(argv);
    const auto found = answers_.find(argv[0] + ' ' + argv[1]);
    return found == answers_.end() ? any_ : found->second;
  }

  Result<std::unique_ptr<process::Stream>> follow(const std::vector<std::string>& argv) override {
    demand_words(argv);
    return std::make_unique<Ended>();
  }

 private:
  struct Ended : process::Stream {
    void wait(Duration /*limit*/) override {}
    bool has_ended() const override { return true; }
  };

  static void demand_words(const std::vector<std::string>& argv) {
    static const std::set<std::string_view> options = {"--allow-two-primaries=no",
                                                       "--allow-two-primaries=yes",
                                                       "--dryrun",
                                                       "--json",
                                                       "--show-defaults",
                                                       "--statistics",
                                                       "--verbose"};
    for (const std::string& word : argv) {
      demand(!word.empty(), "a tool is told each word");
      demand(!word.starts_with('-') || options.contains(word), "no text becomes an option", word);
    }
  }

  process::Output any_;
  std::map<std::string, process::Output> answers_;
};

}  // namespace block_drbd::fuzz
