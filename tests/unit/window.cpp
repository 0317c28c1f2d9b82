// The other records as JSON: there and back, and what is none.
#include "record/window.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "record/held.h"

using namespace block_drbd;
using namespace block_drbd::record;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

const Window some_window{.resource = "Wheezy",
                         .peer = 1,
                         .backend = {"vbd", 5, 51712},
                         .found_open = true,
                         .unanswered = true,
                         .arrived = true};
const Held held{.resource = "Wheezy", .vm = "1b4e28ba", .until = TimePoint(1234567ms)};
const Outage outage{.peer = "ipv4:10.0.0.2", .until = TimePoint(1234567ms)};

/// What every record refuses: `read` takes the text of one.
template <typename Read>
void check_refusals(const std::string& whole, Read read) {
  REQUIRE(read(whole));
  const Json json = Json::parse(whole);
  const auto with = [&](const std::string& key, const Json& value) {
    Json changed = json;
    changed[key] = value;
    return read(changed.dump());
  };
  CHECK(with("colour", "green"));
  const auto newer = with("version", 2);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().message.find("newer version") != std::string::npos);
  for (const auto& [key, value] : json.items()) {
    INFO(key);
    Json less = json;
    less.erase(key);
    CHECK_FALSE(read(less.dump()));
    CHECK_FALSE(with(key, Json::array()));
    if (!value.is_string())
      CHECK_FALSE(with(key, "1"));
    if (key != "peer")
      CHECK_FALSE(with(key, nullptr));
  }
  for (const std::string& text : {std::string(), std::string("{}"), std::string("[]"),
                                  std::string("null"), std::string(100'000, '['), whole + whole})
    CHECK_FALSE(read(text));
  for (std::size_t size = 0; size + 2 < whole.size(); ++size)
    CHECK_FALSE(read(whole.substr(0, size)));
}

}  // namespace

TEST_CASE("a window is written and read again", "[record]") {
  const bool found_open = GENERATE(true, false);
  for (const std::optional<int> peer : {std::optional(0), std::optional(31), std::optional<int>()})
    for (const bool arrived : {true, false}) {
      Window written = some_window;
      written.peer = peer;
      written.found_open = found_open;
      written.unanswered = !found_open;
      written.arrived = arrived;
      const auto read = window_from_json(to_json(written));
      REQUIRE(read);
      CHECK(read->resource == written.resource);
      CHECK(read->peer == peer);
      CHECK(read->backend == written.backend);
      CHECK(read->found_open == found_open);
      CHECK(read->unanswered == !found_open);
      CHECK(read->arrived == arrived);
    }
}

TEST_CASE("what was held is written and read again", "[record]") {
  const auto read = held_from_json(to_json(held));
  REQUIRE(read);
  CHECK(read->resource == held.resource);
  CHECK(read->vm == held.vm);
  CHECK(read->until == held.until);
}

TEST_CASE("an outage is written and read again", "[record]") {
  const auto read = outage_from_json(to_json(outage));
  REQUIRE(read);
  CHECK(read->peer == outage.peer);
  CHECK(read->until == outage.until);
}

TEST_CASE("a time is kept to the millisecond", "[record]") {
  Outage precise = outage;
  precise.until += 999'999ns;
  CHECK(outage_from_json(to_json(precise))->until == outage.until);
}

TEST_CASE("what is no such record is refused", "[record]") {
  check_refusals(to_json(some_window), window_from_json);
  check_refusals(to_json(held), held_from_json);
  check_refusals(to_json(outage), outage_from_json);
  Json json = Json::parse(to_json(some_window));
  json["backend"] = "vbd/5/51712";
  CHECK_FALSE(window_from_json(json.dump()));
}

TEST_CASE("a time beyond the clock's is refused", "[record]") {
  Json json = Json::parse(to_json(outage));
  const auto reads = [&](const Json& until) {
    json["until"] = until;
    return outage_from_json(json.dump()).has_value();
  };
  CHECK(reads(0));
  CHECK(reads(9'223'372'036'854));
  CHECK_FALSE(reads(9'223'372'036'855));
  CHECK_FALSE(reads(18'446'744'073'709'551'615U));
  CHECK_FALSE(reads(-1));
  CHECK_FALSE(reads(1.5));
  CHECK_FALSE(reads(1e300));
  CHECK_FALSE(reads(true));
}
