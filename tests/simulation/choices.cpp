#include "choices.h"

#include <numeric>

namespace block_drbd::simulation {

std::uint64_t Choices::random() {  // splitmix64
  std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31U);
}

std::uint32_t Choices::weighted(std::initializer_list<std::uint32_t> weights) {
  const auto count = static_cast<std::uint32_t>(weights.size());
  if (replayed_)
    return made(next_of_list(), count);
  const auto sum = std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
  // NOLINTNEXTLINE(clang-analyzer-core.DivideZero): one weight at least is not zero
  auto rest = static_cast<std::uint32_t>(random() % sum);
  std::uint32_t index = 0;
  for (const std::uint32_t weight : weights) {
    if (rest < weight)
      break;
    rest -= weight;
    ++index;
  }
  return made(index, count);
}

}  // namespace block_drbd::simulation
