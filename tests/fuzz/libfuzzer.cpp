// The entry of libFuzzer. It leaves options with two dashes alone: --target=NAME says what is fed.
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "targets.h"

namespace {

block_drbd::fuzz::Feed feed = nullptr;

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's own name
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view option = "--target=";
  for (int word = 1; word < *argc; ++word)
    if (const std::string_view text = (*argv)[word]; text.starts_with(option))
      if (const auto& all = block_drbd::fuzz::targets(); all.contains(text.substr(option.size())))
        feed = all.at(text.substr(option.size()));
  if (feed != nullptr)
    return 0;
  for (const auto& [name, target] : block_drbd::fuzz::targets())
    std::cout << name << '\n';
  std::exit(2);
}

// NOLINTNEXTLINE(readability-identifier-naming): the same
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  feed({reinterpret_cast<const char*>(data), size});
  return 0;
}
