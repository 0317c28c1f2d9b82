#include "config/config.h"

#include "catch.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::config;

namespace {

/// The text has a mistake, which is told in words that hold these.
bool is_mistaken(std::string_view text, std::string_view words) {
  const auto config = config_from_json(text);
  REQUIRE_FALSE(config);
  return config.error().message.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("without a configuration all is as by default", "[config]") {
  const test::TempDir directory;
  const auto config = read_config(directory / "none.json");
  REQUIRE(config);
  CHECK(config->of("Wheezy") == policy::Choices{});
  CHECK(config_from_json("{}")->of("Wheezy") == policy::Choices{});
}

TEST_CASE("whether there is a configuration", "[config]") {
  const test::TempDir directory;
  CHECK_FALSE(read_config(directory / "none.json")->is_set);
  CHECK(read_config(directory.write("block-drbd.json", "{}"))->is_set);
}

TEST_CASE("what is set for all, and for one resource", "[config]") {
  const auto config = config_from_json(R"(
    // of two nodes, one at a time
    { "resources": { "Wheezy": { "when-peer-unreachable": "refuse" },
                     "Buster": { "window": "never" } }, /* the order does not matter */
      "when-peer-unreachable": "start", "window": "auto" })");
  REQUIRE(config);
  CHECK(config->of("Jessie").starts_unseen);
  CHECK(config->of("Jessie").opens_windows);
  CHECK_FALSE(config->of("Wheezy").starts_unseen);
  CHECK(config->of("Buster").starts_unseen);
  CHECK_FALSE(config->of("Buster").opens_windows);
}

TEST_CASE("a mistake is told with its place", "[config]") {
  CHECK(is_mistaken("{\n  \"window\": }", "line 2, column 13"));
  CHECK(is_mistaken("[]", "one JSON object"));
  CHECK(is_mistaken(R"({"windows": "auto"})", R"("windows" is unknown)"));
  CHECK(is_mistaken(R"({"windows": "auto"})", R"("resources")"));
  CHECK(is_mistaken(R"({"window": true})", R"("window" must be "auto" or "never")"));
  CHECK(is_mistaken(R"({"window": "start"})", "must be"));
  CHECK(is_mistaken(R"({"resources": []})", "an object for each"));
  CHECK(is_mistaken(R"({"resources": {"Wheezy": "never"}})",
                    R"("resources", "Wheezy": it must be an object)"));
  CHECK(is_mistaken(R"({"resources": {"Wheezy": {"resources": {}}}})",
                    R"("resources", "Wheezy": "resources" is unknown)"));
  CHECK(is_mistaken(R"({"resources": {"../Wheezy": {}}})", "no name"));
  CHECK(is_mistaken(std::string(100'000, '['), "parse error"));
  CHECK(is_mistaken(R"({"window": 1e999})", "number overflow"));
}

TEST_CASE("a configuration that cannot be read is no default", "[config]") {
  const test::TempDir directory;
  const std::string file = directory.write("block-drbd.json", "{");
  const auto broken = read_config(file);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().message.find(file + " cannot be read: parse error") != std::string::npos);
  CHECK_FALSE(read_config(directory.path()));
}
