// A claim as JSON: there and back, and what is no claim.
#include "record/claim.h"

#include <nlohmann/json.hpp>

#include "catch.h"
#include "spec/disk_spec.h"

using namespace block_drbd;
using namespace block_drbd::record;
using Json = nlohmann::json;

namespace {

Claim some_claim() {
  return {.backend = {"vbd", 5, 51712},
          .resource = "Wheezy",
          .volume = 1,
          .minor = 11,
          .phase = Phase::Attached,
          .leave_role = true,
          .unanswered = false,
          .incoming = false,
          .domain = "web",
          .vm = "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
          .run = 4711};
}

void check_equal(const Claim& one, const Claim& other) {
  CHECK(one.backend == other.backend);
  CHECK(one.resource == other.resource);
  CHECK(one.volume == other.volume);
  CHECK(one.minor == other.minor);
  CHECK(one.phase == other.phase);
  CHECK(one.leave_role == other.leave_role);
  CHECK(one.unanswered == other.unanswered);
  CHECK(one.incoming == other.incoming);
  CHECK(one.domain == other.domain);
  CHECK(one.vm == other.vm);
  CHECK(one.run == other.run);
}

/// The claim with one key changed, and read again.
Result<Claim> with(const char* key, const Json& value) {
  Json json = Json::parse(to_json(some_claim()));
  json[key] = value;
  return claim_from_json(json.dump());
}

}  // namespace

TEST_CASE("a claim is written and read again", "[record]") {
  Claim claim = some_claim();
  check_equal(*claim_from_json(to_json(claim)), claim);
  claim.leave_role = false;
  claim.unanswered = true;
  claim.incoming = true;
  claim.minor = -1;
  for (const Phase phase : {Phase::Promoting, Phase::Attached, Phase::Released}) {
    claim.phase = phase;
    check_equal(*claim_from_json(to_json(claim)), claim);
  }
}

TEST_CASE("a claim may come from a domain of which nothing is known", "[record]") {
  Claim claim = some_claim();
  claim.domain.clear();
  claim.vm.clear();
  check_equal(*claim_from_json(to_json(claim)), claim);
}

TEST_CASE("a name may be any bytes", "[record]") {
  Claim claim = some_claim();
  for (const char* name : {"gr\xc3\xbc\xc3\x9f\x65", "with \"quotes\" and \\", "a\nb\x01"}) {
    claim.domain = name;
    CHECK(claim_from_json(to_json(claim))->domain == name);
  }
  // What is not UTF-8 is replaced: the rest of the claim is what counts.
  claim.domain = "latin \xfc \xc3";
  const auto read = claim_from_json(to_json(claim));
  REQUIRE(read);
  CHECK(read->domain == "latin \xef\xbf\xbd \xef\xbf\xbd");
  CHECK(read->minor == claim.minor);
}

TEST_CASE("a claim of a newer version is not guessed at", "[record]") {
  CHECK(with("version", 1));
  const auto newer = with("version", 2);
  REQUIRE_FALSE(newer);
  CHECK(newer.error().message.find("newer version") != std::string::npos);
}

TEST_CASE("a claim of an earlier version does not say which run made it", "[record]") {
  Json json = Json::parse(to_json(some_claim()));
  json.erase("run");
  const auto read = claim_from_json(json.dump());
  REQUIRE(read);
  CHECK(read->run == 0);
}

TEST_CASE("keys that a claim does not have are passed over", "[record]") {
  CHECK(with("colour", "green"));
}

TEST_CASE("a claim of which a part is missing or of another kind is none", "[record]") {
  const Json whole = Json::parse(to_json(some_claim()));
  for (const auto& [key, value] : whole.items()) {
    INFO(key);
    Json json = whole;
    json.erase(key);
    if (key != "run")
      CHECK_FALSE(claim_from_json(json.dump()));
    CHECK_FALSE(with(key.c_str(), nullptr));
    CHECK_FALSE(with(key.c_str(), Json::array()));
    if (!value.is_string())
      CHECK_FALSE(with(key.c_str(), "1"));
    // The JSON library would make some int of each.
    if (value.is_number()) {
      CHECK_FALSE(with(key.c_str(), true));
      CHECK_FALSE(with(key.c_str(), 1.5));
      CHECK_FALSE(with(key.c_str(), 1e300));
      CHECK_FALSE(with(key.c_str(), (1LL << 32) + 1));
    }
  }
  CHECK_FALSE(with("backend", "vbd/5/51712"));
  CHECK_FALSE(with("phase", "attaching"));
  CHECK_FALSE(with("phase", ""));
}

TEST_CASE("a claim that was written over a longer one is followed by blanks", "[record]") {
  const auto read = claim_from_json(to_json(some_claim()) + "  ");
  REQUIRE(read);
  CHECK(*read == some_claim());
}

TEST_CASE("what is no JSON is no claim", "[record]") {
  const std::string whole = to_json(some_claim());
  REQUIRE(claim_from_json(whole));
  for (const std::string& text :
       {std::string(), std::string("\n"), std::string("{}"), std::string("[]"), std::string("1"),
        std::string("null"), std::string(100, '\0'), std::string(100'000, '['), whole + whole})
    CHECK_FALSE(claim_from_json(text));
  // A disk that was full, or a power cut: any beginning of it.
  for (std::size_t size = 0; size + 2 < whole.size(); ++size)
    CHECK_FALSE(claim_from_json(whole.substr(0, size)));
}

TEST_CASE("what is wrong with a claim is told in one plain line", "[record]") {
  for (const char* text : {"\x1b[31m", "\x7f", "\x9b", "{\n", "{\"version\": \"\x1b\"}"}) {
    const auto read = claim_from_json(text);
    REQUIRE_FALSE(read);
    INFO(read.error().message);
    CHECK(printable(read.error().message) == read.error().message);
  }
}
