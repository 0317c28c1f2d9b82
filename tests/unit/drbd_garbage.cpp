// The readers meet damaged text: none of it may crash them, and none of a text that was cut short
// may pass for the whole.
#include <random>
#include <set>

#include "capture.h"
#include "catch.h"
#include "drbd_render.h"

using namespace block_drbd::test;

namespace {

/// The captures that differ in what is to be read.
std::vector<Capture> different_captures() {
  std::vector<Capture> captures;
  std::set<std::string> seen;
  for (const auto& [situation, members] : all_captures())
    for (const Capture& each : members)
      if (seen.insert(text_to_read(each)).second)
        captures.push_back(each);
  return captures;
}

bool is_error(const std::string& rendered) {
  return rendered.starts_with("error");
}

}  // namespace

TEST_CASE("a text cut short is an error or the beginning of what the whole says",
          "[drbd][garbage]") {
  for (const Capture& capture : different_captures()) {
    INFO(capture.name);
    const std::string& text = text_to_read(capture);
    const std::string whole = read_and_render(capture, text);
    // The others have words that stand for themselves: what is missing of them is not known.
    const bool lists = capture.command.find("status") != std::string::npos ||
                       capture.command.find("show") != std::string::npos;
    // Of long texts not after each byte: they would take longer than all other tests.
    const std::size_t step = 1 + text.size() / 1500;
    for (std::size_t size = 0; size < text.size(); size += step) {
      const std::string part = read_and_render(capture, text.substr(0, size));
      if (!lists || is_error(whole) || is_error(part) || part == "no resource\n")
        continue;
      if (!whole.starts_with(part))
        FAIL("cut after " << size << " bytes:\n" << part);
    }
  }
}

TEST_CASE("a damaged byte does no harm", "[drbd][garbage]") {
  constexpr char damage[] = "\0\n\t :;#\"{}[]/-09x\x7f\x80\xff";
  std::mt19937 random(4711);  // the same on every run
  for (const Capture& capture : different_captures()) {
    std::string text = text_to_read(capture);
    for (int count = 0; count < 200 && !text.empty(); ++count) {
      char& byte = text[random() % text.size()];
      const char sound = byte;
      byte = damage[random() % sizeof(damage)];
      CHECK_FALSE(read_and_render(capture, text).empty());
      byte = sound;
    }
  }
}

TEST_CASE("megabytes of nonsense do no harm", "[drbd][garbage]") {
  using namespace block_drbd::drbd;
  constexpr std::size_t size = 2'000'000;
  std::string text;
  SECTION("nothing but one sign") {
    for (const char sign : {'{', '"', ' ', 'x', '\n'}) {
      text.assign(size, sign);
      CHECK_FALSE(read_status_json(text));
      CHECK_FALSE(the_only(read_show(text)));
      CHECK_FALSE(read_dump(text, "r0"));
      read_status_text(text);
      read_answer(10, text);
      read_generation(text);
      read_minor_roles(text);
    }
  }
  SECTION("deeply nested JSON") {
    constexpr std::size_t depth = 100'000;  // of 8 MiB of stack a recursion has 84 bytes for each
    text.assign(depth, '[');
    CHECK_FALSE(read_status_json(text));
    text.append(depth, ']');
    CHECK_FALSE(read_status_json(text));
    text = "[{\"name\": \"r0\", \"deep\": " + text + "}]";
    CHECK(render(read_status_json(text)) == "r0 Unknown\n");
  }
  SECTION("deeply nested sections") {
    while (text.size() < size)
      text += "a{b;";
    CHECK_FALSE(read_show(text));
    CHECK_FALSE(read_dump("resource r0{" + text, "r0"));
  }
}
