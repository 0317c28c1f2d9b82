#include "capture.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace block_drbd::test {

namespace {

namespace fs = std::filesystem;

const fs::path data_dir = TEST_DATA_DIR;

/// How a format marks the parts of a capture: each stands between a mark and the next.
struct Format {
  std::string_view command;
  std::string_view out;
  std::string_view err;
  std::string_view after_err;
  std::string_view exit_code;
};

constexpr Format drbd84 = {"$ ", "\n--- stdout\n", "--- stderr\n", "--- ms=", "\nexit="};
constexpr Format drbd9 = {"# command: ", "\n# stdout:\n", "# stderr:\n", "# exit: ", "# exit: "};

/// Takes the text up to `mark` off `text`, and the mark, too.
std::string take_until(std::string_view& text, std::string_view mark) {
  const auto found = text.find(mark);
  if (found == std::string_view::npos)
    throw std::runtime_error("a capture lacks '" + std::string(mark) + "'");
  const std::string taken(text.substr(0, found));
  text.remove_prefix(found + mark.size());
  return taken;
}

std::vector<std::string> files_below(const std::string& directory) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(data_dir / directory))
    if (entry.is_regular_file())
      paths.push_back(fs::relative(entry.path(), data_dir).string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

std::string read_data(const std::string& path) {
  std::ifstream file(data_dir / path, std::ios::binary);
  if (!file)
    throw std::runtime_error("there is no " + (data_dir / path).string());
  return {std::istreambuf_iterator<char>(file), {}};
}

Capture read_capture(const std::string& path) {
  const std::string contents = read_data(path);
  const Format& format = path.starts_with("drbd84/") ? drbd84 : drbd9;
  std::string_view rest = contents;
  Capture capture;
  capture.name = path.substr(path.find('/') + 1);
  capture.name.resize(capture.name.size() - std::string_view(".txt").size());
  take_until(rest, format.command);
  capture.command = take_until(rest, format.out);
  capture.out = take_until(rest, format.err);
  const std::string_view before_exit = rest;
  capture.err = take_until(rest, format.after_err);
  rest = before_exit;
  take_until(rest, format.exit_code);
  capture.exit_code = std::stoi(std::string(rest));
  return capture;
}

std::map<std::string, std::vector<Capture>> all_captures() {
  std::map<std::string, std::vector<Capture>> captures;
  for (const std::string& path : files_below("drbd84"))
    captures[path.substr(0, path.find_last_of('/'))].push_back(read_capture(path));
  for (const std::string& path : files_below("drbd9"))
    captures[path.substr(0, path.find('.'))].push_back(read_capture(path));
  return captures;
}

}  // namespace block_drbd::test
