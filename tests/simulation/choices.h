// Where a schedule's chance comes from: everything that is not fixed is asked for here, so that a
// run is reproduced from its seed, or from the list of what was chosen.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace block_drbd::simulation {

using Seed = std::uint64_t;

class Choices {
 public:
  explicit Choices(Seed seed) : state_(seed) {}
  /// What is asked for beyond the end of the list is 0.
  explicit Choices(std::vector<std::uint32_t> list) : replayed_(true), list_(std::move(list)) {}

  /// 0 up to and without `n`. By convention 0 is always the dullest choice: shrinking a schedule
  /// makes as many choices 0 as it can.
  std::uint32_t below(std::uint32_t n) {
    return made(replayed_ ? next_of_list() : static_cast<std::uint32_t>(random() % n), n);
  }
  /// True once in `n` times.
  bool one_in(std::uint32_t n) {
    return made(replayed_ ? next_of_list() : (random() % n == 0 ? 1 : 0), 2) != 0;
  }
  /// An index, with these weights.
  std::uint32_t weighted(std::initializer_list<std::uint32_t> weights);

  const std::vector<std::uint32_t>& all() const { return made_; }

 private:
  std::uint64_t random();
  std::uint32_t next_of_list() { return made_.size() < list_.size() ? list_[made_.size()] : 0; }
  std::uint32_t made(std::uint32_t choice, std::uint32_t n) {
    choice = choice < n ? choice : n - 1;
    made_.push_back(choice);
    return choice;
  }

  bool replayed_ = false;
  std::uint64_t state_ = 0;
  std::vector<std::uint32_t> list_;
  std::vector<std::uint32_t> made_;
};

}  // namespace block_drbd::simulation
