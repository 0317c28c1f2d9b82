#include "process/recorded.h"

#include <algorithm>
#include <string_view>

#include "spec/disk_spec.h"

namespace block_drbd::process {

namespace {

class Recorded final : public Processes {
 public:
  Recorded(Processes& processes, std::vector<Run>& runs) : processes_(processes), runs_(runs) {}

  Result<Output> run(const std::vector<std::string>& argv, Duration limit) override {
    const auto begin = std::chrono::steady_clock::now();
    auto result = processes_.run(argv, limit);
    const auto took = std::chrono::steady_clock::now() - begin;
    runs_.push_back({argv, std::chrono::duration_cast<Duration>(took), result});
    return result;
  }

  Result<std::unique_ptr<Stream>> follow(const std::vector<std::string>& argv) override {
    return processes_.follow(argv);
  }

 private:
  Processes& processes_;
  std::vector<Run>& runs_;
};

/// The length of a line of what a tool says.
constexpr std::size_t longest_line = 1000;

/// Each line with blanks before it, and for each tab, as `drbdsetup show` has them.
std::string indented(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string line(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    std::ranges::replace(line, '\t', ' ');
    out.append("    ").append(printable(line, longest_line)).append("\n");
  }
  return out;
}

}  // namespace

std::unique_ptr<Processes> recorded(Processes& processes, std::vector<Run>& runs) {
  return std::make_unique<Recorded>(processes, runs);
}

std::string in_words(const std::vector<Run>& runs) {
  std::string text;
  for (const Run& run : runs) {
    text += "\n$";
    for (const std::string& word : run.argv)
      text += ' ' + printable(word, longest_line);
    text += "    # " + std::to_string(run.took.count()) + " ms, ";
    if (run.result)
      text += "exit code " + std::to_string(run.result->exit_code) + '\n' +
              indented(run.result->out) + indented(run.result->err);
    else
      text += run.result.error().message + '\n';
  }
  return text;
}

}  // namespace block_drbd::process
