// A directory of a test's own, gone afterwards.
#pragma once

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace block_drbd::test {

class TempDir {
 public:
  TempDir() {
    std::string path = std::filesystem::temp_directory_path() / "block-drbd-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
      throw std::runtime_error("no temporary directory to be had");
    path_ = path;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string operator/(std::string_view name) const { return (path_ / name).string(); }
  std::string path() const { return path_.string(); }

  /// Writes a file, and the directories above it.
  std::string write(std::string_view name, std::string_view text) const {
    const auto file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }

  /// A tool: a shell script.
  void tool(std::string_view name, std::string_view script) const {
    ::chmod(write(name, "#!/bin/sh\n" + std::string(script) + '\n').c_str(), 0755);
  }

  std::string read(std::string_view name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  bool has(std::string_view name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(path_ / name));
  }

 private:
  std::filesystem::path path_;
};

}  // namespace block_drbd::test
