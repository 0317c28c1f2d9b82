// Feeds each target with the kept corpus: CORPUS/TARGET/*; or with files that a fuzzer has found:
// TARGET FILE...
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "targets.h"

namespace {

namespace fs = std::filesystem;

void feed(block_drbd::fuzz::Feed feed, const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  feed(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const auto& targets = block_drbd::fuzz::targets();
  if (words.size() > 1 && targets.contains(words[0])) {
    for (std::size_t word = 1; word < words.size(); ++word)
      feed(targets.at(words[0]), words[word]);
    return 0;
  }
  if (words.size() != 1) {
    std::cerr << "usage: fuzz CORPUS | fuzz TARGET FILE...\n";
    return 2;
  }
  for (const auto& [name, target] : targets) {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(fs::path(words[0]) / name)) {
      std::cout << entry.path().filename().string() << ' '
                << std::flush;  // the last one is at fault
      feed(target, entry.path());
      ++count;
    }
    std::cout << '\n' << name << ": " << count << " texts\n";
    if (count == 0)
      return 1;
  }
}
