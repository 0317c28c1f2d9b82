#include "shrink.h"

#include <algorithm>

#include "schedule.h"

namespace block_drbd::simulation {

namespace {

constexpr int most_attempts = 6000;

class Shrinking {
 public:
  Shrinking(std::vector<std::uint32_t> choices, std::string rule)
      : best_(std::move(choices)), rule_(std::move(rule)) {}

  std::vector<std::uint32_t> run() {
    for (bool better = true; better && attempts_ < most_attempts;) {
      better = false;
      for (std::size_t size = std::max<std::size_t>(best_.size() / 2, 1); size > 0; size /= 2) {
        better = zero_blocks(size) || better;
        if (size <= 16)
          better = delete_blocks(size) || better;
      }
      better = lower_values() || better;
    }
    return best_;
  }

 private:
  bool zero_blocks(std::size_t size) {
    bool better = false;
    for (std::size_t at = 0; at < best_.size() && attempts_ < most_attempts; at += size) {
      const auto first = best_.begin() + static_cast<std::ptrdiff_t>(at);
      const auto last =
          best_.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, best_.size()));
      if (std::all_of(first, last, [](std::uint32_t choice) { return choice == 0; }))
        continue;
      auto candidate = best_;
      std::fill(candidate.begin() + static_cast<std::ptrdiff_t>(at),
                candidate.begin() + (last - best_.begin()), 0U);
      better = try_this(std::move(candidate)) || better;
    }
    return better;
  }

  /// Only where something stands: zeros cost nothing.
  bool delete_blocks(std::size_t size) {
    bool better = false;
    for (std::size_t at = 0; at + size <= best_.size() && attempts_ < most_attempts; ++at) {
      if (best_[at] == 0)
        continue;
      auto candidate = best_;
      candidate.erase(candidate.begin() + static_cast<std::ptrdiff_t>(at),
                      candidate.begin() + static_cast<std::ptrdiff_t>(at + size));
      better = try_this(std::move(candidate)) || better;
    }
    return better;
  }

  bool lower_values() {
    bool better = false;
    for (std::size_t at = 0; at < best_.size() && attempts_ < most_attempts; ++at)
      while (best_[at] > 1 && attempts_ < most_attempts) {
        auto candidate = best_;
        candidate[at] /= 2;
        if (!try_this(std::move(candidate)))
          break;
        better = true;
      }
    return better;
  }

  static std::size_t weight(const std::vector<std::uint32_t>& choices) {
    std::size_t sum = 0;
    for (const std::uint32_t choice : choices)
      sum += choice == 0 ? 0 : 1000 + std::min<std::size_t>(choice, 999);
    return sum;
  }

  bool try_this(std::vector<std::uint32_t> candidate) {
    ++attempts_;
    Choices choices(std::move(candidate));
    const Ending ending = run_schedule(choices, false);
    if (!ending.violation || ending.violation->rule != rule_)
      return false;
    auto made = choices.all();
    while (!made.empty() && made.back() == 0)
      made.pop_back();
    if (weight(made) >= weight(best_))
      return false;
    best_ = std::move(made);
    return true;
  }

  std::vector<std::uint32_t> best_;
  std::string rule_;
  int attempts_ = 0;
};

}  // namespace

std::vector<std::uint32_t> shrink(std::vector<std::uint32_t> choices, const std::string& rule) {
  return Shrinking(std::move(choices), rule).run();
}

}  // namespace block_drbd::simulation
