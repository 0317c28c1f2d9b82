// The readers of `drbdsetup show`.
#include <cerrno>

#include "capture.h"
#include "catch.h"
#include "drbd/readers.h"
#include "drbd_render.h"
#include "fakes.h"

using namespace block_drbd;
using namespace block_drbd::drbd;
using block_drbd::test::read_capture;

namespace {

std::string read_file(const std::string& path) {
  return read_capture(path).out;
}

/// `text` with the first `from` replaced.
std::string with(std::string text, const std::string& from, const std::string& to) {
  REQUIRE(text.find(from) != std::string::npos);
  return text.replace(text.find(from), from.size(), to);
}

Result<Settings> show_text(const std::string& text) {
  return test::the_only(read_show_text(text));
}

Result<Settings> show_json(const std::string& text) {
  return test::the_only(read_show_json(text));
}

const std::string defaults84 =
    "drbd84/S01-both-secondary-uptodate/drbdsetup-show-defaults-r1.alpha.txt";

}  // namespace

TEST_CASE("8.4: the addresses are what drbdsetup net-options takes", "[drbd][settings]") {
  const auto settings = show_text(
      read_file("drbd84/S01-both-secondary-uptodate/drbdsetup-show-defaults-r0.alpha.txt"));
  REQUIRE(settings);
  CHECK(settings->resource == "r0");
  REQUIRE(settings->connections.size() == 1);
  CHECK(settings->connections[0].local_address == "ipv4:10.0.0.1:7790");
  CHECK(settings->connections[0].peer_address == "ipv4:10.0.0.2:7790");
  CHECK(settings->connections[0].protocol == 'C');
  CHECK_FALSE(settings->allows_two_primaries());
}

TEST_CASE("IPv6 addresses keep their brackets", "[drbd][settings]") {
  const auto text =
      show_text("resource r0 { net { } _this_host { address ipv6 [fe80::1%eth0]:7790; } }");
  REQUIRE(text);
  CHECK(text->connections[0].local_address == "ipv6:[fe80::1%eth0]:7790");
  const auto json = show_json(
      R"([{"resource": "r0", "connections": [{"paths": [{
           "this_host": {"address": "fe80::1%eth0", "port": 7000, "family": "ipv6"},
           "remote_host": {"address": "10.9.0.2", "port": 7000, "family": "ipv4"}}]}]}])");
  REQUIRE(json);
  CHECK(json->connections[0].local_address == "ipv6:[fe80::1%eth0]:7000");
  CHECK(json->connections[0].peer_address == "ipv4:10.9.0.2:7000");
}

TEST_CASE("8.4: the window is seen open", "[drbd][settings]") {
  const auto settings = show_text(with(read_file(defaults84), "allow-two-primaries\tno; # default",
                                       "allow-two-primaries\tyes;"));
  REQUIRE(settings);
  CHECK(settings->allows_two_primaries());
}

TEST_CASE("8.4: a resource is fenced no better than its weakest disk", "[drbd][settings]") {
  const std::string shown = read_file(defaults84);
  const std::string none = "fencing         \tdont-care; # default";
  const auto one = show_text(with(shown, none, "fencing resource-and-stonith;"));
  REQUIRE(one);
  CHECK(one->fencing == "dont-care");
  CHECK(one->connections[0].fencing == "dont-care");

  const auto both = show_text(
      with(with(shown, none, "fencing resource-and-stonith;"), none, "fencing resource-only;"));
  REQUIRE(both);
  CHECK(both->fencing == "resource-only");
  CHECK(both->connections[0].fencing == "resource-only");

  // Without --show-defaults a disk that says nothing is not fenced.
  CHECK(show_text("resource r0 { _this_host { volume 0 { disk { fencing resource-only; } } "
                  "volume 1 { disk { } } } }")
            ->fencing == "dont-care");
}

TEST_CASE("8.4: StandAlone there is no connection, but the fencing is known", "[drbd][settings]") {
  const auto captured = show_text(read_file("drbd84/S09-diskless/24-drbdsetup_show_r0.bravo.txt"));
  REQUIRE(captured);
  CHECK(captured->resource == "r0");
  CHECK(captured->connections.empty());
  CHECK_FALSE(captured->allows_two_primaries());

  const auto fenced = show_text(
      "resource r0 { options { } _this_host { volume 0 { disk { fencing resource-only; } } } }");
  REQUIRE(fenced);
  CHECK(fenced->connections.empty());
  CHECK(fenced->fencing == "resource-only");
}

TEST_CASE("9: the window is seen open, in both forms", "[drbd][settings]") {
  for (const auto& settings : {show_json(read_file("drbd9/dual-window.02-show-node2.txt")),
                               show_text(read_file("drbd9/dual-window.02b-show-text-node2.txt"))}) {
    REQUIRE(settings);
    REQUIRE(settings->connections.size() == 1);
    CHECK(settings->connections[0].peer == "node1");
    CHECK(settings->connections[0].node_id == 0);
    CHECK(settings->connections[0].two_primaries);
    CHECK(settings->allows_two_primaries());
  }
}

TEST_CASE("9: each of three nodes has its own connection", "[drbd][settings]") {
  const std::string shown = read_file("drbd9/three-nodes-all-connected-primary-here.show-json.txt");
  const auto settings = show_json(
      with(shown, R"("_name": "node3")", R"("_name": "node3", "allow-two-primaries": true)"));
  REQUIRE(settings);
  REQUIRE(settings->connections.size() == 2);
  CHECK(settings->connections[0].node_id == 1);
  CHECK_FALSE(settings->connections[0].two_primaries);
  CHECK(settings->connections[1].node_id == 2);
  CHECK(settings->connections[1].two_primaries);
  CHECK(settings->connections[1].peer_address == "ipv4:10.9.0.3:7003");
  CHECK(settings->allows_two_primaries());
}

TEST_CASE("9: quorum, fencing and protocol, in both forms", "[drbd][settings]") {
  const std::string json = read_file("drbd9/primary-here.show-json-defaults.txt");
  const std::string text = read_file("drbd9/primary-here.show-text-defaults.txt");
  for (const auto& settings :
       {show_json(with(with(with(json, R"("quorum": "off")", R"("quorum": "majority")"),
                            R"("fencing": "dont-care")", R"("fencing": "resource-and-stonith")"),
                       R"("protocol": "C")", R"("protocol": "A")")),
        show_text(
            with(with(with(text, "quorum          \toff; # default", "quorum majority;"),
                      "fencing         \tdont-care; # default", "fencing resource-and-stonith;"),
                 "protocol        \tC; # default", "protocol A;"))}) {
    REQUIRE(settings);
    CHECK(settings->quorum == "majority");
    CHECK(settings->connections[0].fencing == "resource-and-stonith");
    CHECK(settings->connections[0].protocol == 'A');
    CHECK(settings->fencing == "dont-care");
  }
  CHECK(show_json(R"([{"resource": "r0", "options": {"quorum": 2}}])")->quorum == "2");
}

TEST_CASE("a resource that is not up has no settings", "[drbd][settings]") {
  for (const auto& settings :
       {show_json(read_file("drbd9/not-up.show-json.txt")),
        show_text(read_file("drbd84/S10-unknown-and-down/26-drbdsetup_show_r2.alpha.txt"))}) {
    REQUIRE_FALSE(settings);
    CHECK(settings.error().code == ENOENT);
  }
}

TEST_CASE("the settings of all resources", "[drbd][settings]") {
  const std::string other = "resource r1 { net { allow-two-primaries yes; } }";
  const auto text = read_show_text(read_file(defaults84) + other);
  REQUIRE(text);
  REQUIRE(text->size() == 2);
  CHECK_FALSE(text->front().allows_two_primaries());
  CHECK(text->back().resource == "r1");
  CHECK(text->back().allows_two_primaries());
  CHECK(text->back().fencing == "dont-care");
  CHECK(read_show_json(R"([{"resource": "r0"}, {"resource": "r1"}])")->size() == 2);
}

TEST_CASE("comments and quotes", "[drbd][settings]") {
  const auto settings = show_text(
      "# a comment; with { all } \"signs\"\n"
      "resource \"a#b;c\" { # This resource is in drbd-8.4 compatibility mode!\n"
      "options{quorum all;}}\n# the end");
  REQUIRE(settings);
  CHECK(settings->resource == "a#b;c");
  CHECK(settings->quorum == "all");
}

TEST_CASE("the errors of the settings readers", "[drbd][settings]") {
  const auto message = [](const Result<Settings>& result) {
    REQUIRE_FALSE(result);
    CHECK(result.error().code == 0);
    return result.error().message;
  };
  // A setting that is not understood must not be taken for "no".
  CHECK(message(show_text("resource r0 { net { allow-two-primaries maybe; } }")) ==
        "`drbdsetup show` printed what this program does not understand: "
        "'allow-two-primaries maybe; } }'");
  CHECK(message(show_json(
            R"([{"resource": "r0", "connections": [{"net": {"allow-two-primaries": 7}}]}])")) ==
        "`drbdsetup show --json` printed what this program does not understand: "
        "'allow-two-primaries: 7'");
  CHECK(message(show_text("resource r0 { net { protocol D; } }")) ==
        "`drbdsetup show` printed what this program does not understand: 'protocol D; } }'");
  CHECK(message(show_text("resource r0 { net {")) ==
        "what `drbdsetup show` printed breaks off in the middle");
  for (const char* text : {"}", ";", "{", "resource { }", "resource r0 { ; }", "resource r0 { a }",
                           "resource r0 { } }", "resource r0 { } resource r1 { }",
                           "resource r0 { _this_host { volume 0 { disk/x { } fencing y; } } }",
                           "resource r0 { connection { _peer_node_id x; } }"})
    CHECK_FALSE(show_text(text));
  for (const char* text : {"7", "[7]", "{}", "[{}, {}]", R"([{"connections": 7}])",
                           R"([{"connections": [{"net": 7}]}])"})
    CHECK_FALSE(show_json(text));
}
