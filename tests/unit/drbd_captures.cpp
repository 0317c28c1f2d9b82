// Every capture is read as tests/data/expected says. After a change that is meant,
// UPDATE_EXPECTED=1 writes those files anew; the run fails all the same, so that nobody takes it
// for a proof: read the difference, then run again without it.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "capture.h"
#include "catch.h"
#include "drbd_render.h"

using namespace block_drbd::test;
namespace fs = std::filesystem;

namespace {

const fs::path expected_dir = fs::path(TEST_DATA_DIR) / "expected";

std::string expected_file(const std::string& situation) {
  return situation + ".txt";
}

std::string render_situation(const std::vector<Capture>& captures) {
  std::string text;
  for (const Capture& each : captures)
    text += "== " + each.name + "\n$ " + each.command + '\n' +
            read_and_render(each, text_to_read(each));
  return text;
}

}  // namespace

TEST_CASE("every capture is read as expected", "[drbd][captures]") {
  const auto captures = all_captures();
  const bool update = std::getenv("UPDATE_EXPECTED") != nullptr;
  for (const auto& [situation, members] : captures) {
    INFO(situation);
    const std::string read = render_situation(members);
    if (update) {
      const fs::path file = expected_dir / expected_file(situation);
      fs::create_directories(file.parent_path());
      std::ofstream(file) << read;
      continue;
    }
    CHECK(read == read_data("expected/" + expected_file(situation)));
  }
  if (update)
    FAIL(
        "tests/data/expected was written anew: read the difference, then run without "
        "UPDATE_EXPECTED");
}

TEST_CASE("every expectation has captures", "[drbd][captures]") {
  std::set<std::string> known;
  for (const auto& [situation, members] : all_captures())
    known.insert(expected_file(situation));
  CHECK(known.size() > 50);
  for (const auto& entry : fs::recursive_directory_iterator(expected_dir))
    if (entry.is_regular_file())
      CHECK(known.count(fs::relative(entry.path(), expected_dir).string()) == 1);
}
