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

Result<Settings> show(const std::string& text) {
  return test::the_only(read_show(text));
}

const std::string defaults84 =
    "drbd84/S01-both-secondary-uptodate/drbdsetup-show-defaults-r1.alpha.txt";

}  // namespace

TEST_CASE("8.4: the addresses are what drbdsetup net-options takes", "[drbd][settings]") {
  const auto settings =
      show(read_file("drbd84/S01-both-secondary-uptodate/drbdsetup-show-defaults-r0.alpha.txt"));
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
      show("resource r0 { net { } _this_host { address ipv6 [fe80::1%eth0]:7790; } }");
  REQUIRE(text);
  CHECK(text->connections[0].local_address == "ipv6:[fe80::1%eth0]:7790");
}

TEST_CASE("9: of several paths the first is taken", "[drbd][settings]") {
  const auto settings = show(
      "resource r0 { connection { "
      "path { _this_host ipv4 10.9.0.1:7000; _remote_host ipv4 10.9.0.2:7000; } "
      "path { _this_host ipv4 10.8.0.1:7000; _remote_host ipv4 10.8.0.2:7000; } } }");
  REQUIRE(settings);
  CHECK(settings->connections[0].local_address == "ipv4:10.9.0.1:7000");
  CHECK(settings->connections[0].peer_address == "ipv4:10.9.0.2:7000");
}

TEST_CASE("8.4: the window is seen open", "[drbd][settings]") {
  const auto settings = show(with(read_file(defaults84), "allow-two-primaries\tno; # default",
                                  "allow-two-primaries\tyes;"));
  REQUIRE(settings);
  CHECK(settings->allows_two_primaries());
}

TEST_CASE("8.4: a resource is fenced no better than its weakest disk", "[drbd][settings]") {
  const std::string shown = read_file(defaults84);
  const std::string none = "fencing         \tdont-care; # default";
  const auto one = show(with(shown, none, "fencing resource-and-stonith;"));
  REQUIRE(one);
  CHECK(one->fencing == "dont-care");
  CHECK(one->connections[0].fencing == "dont-care");

  const auto both = show(
      with(with(shown, none, "fencing resource-and-stonith;"), none, "fencing resource-only;"));
  REQUIRE(both);
  CHECK(both->fencing == "resource-only");
  CHECK(both->connections[0].fencing == "resource-only");

  // Without --show-defaults a disk that says nothing is not fenced.
  CHECK(show("resource r0 { _this_host { volume 0 { disk { fencing resource-only; } } "
             "volume 1 { disk { } } } }")
            ->fencing == "dont-care");
}

TEST_CASE("8.4: StandAlone there is no connection, but the fencing is known", "[drbd][settings]") {
  const auto captured = show(read_file("drbd84/S09-diskless/24-drbdsetup_show_r0.bravo.txt"));
  REQUIRE(captured);
  CHECK(captured->resource == "r0");
  CHECK(captured->connections.empty());
  CHECK_FALSE(captured->allows_two_primaries());

  const auto fenced = show(
      "resource r0 { options { } _this_host { volume 0 { disk { fencing resource-only; } } } }");
  REQUIRE(fenced);
  CHECK(fenced->connections.empty());
  CHECK(fenced->fencing == "resource-only");
}

TEST_CASE("9: the window is seen open", "[drbd][settings]") {
  const auto settings = show(read_file("drbd9/dual-window.02b-show-text-node2.txt"));
  REQUIRE(settings);
  REQUIRE(settings->connections.size() == 1);
  CHECK(settings->connections[0].peer == "node1");
  CHECK(settings->connections[0].node_id == 0);
  CHECK(settings->connections[0].two_primaries);
  CHECK(settings->allows_two_primaries());
}

TEST_CASE("a secret is passed over, whatever is in it, and never told", "[drbd][settings]") {
  const std::string shown = read_file("drbd9/primary-here.show-text-defaults.txt");
  const std::string none = "shared-secret   \t\"\"; # default";
  for (const char* secret : {R"("a\\b")", R"("a\"b}")", "\"a\xe4{;#\""}) {
    const auto settings = show(
        with(shown, none, "shared-secret " + std::string(secret) + "; allow-two-primaries yes;"));
    REQUIRE(settings);
    CHECK(settings->allows_two_primaries());
    CHECK(settings->connections[0].peer == "node2");
  }
  const auto broken = show(with(shown, none, "shared-secret TopSecret }"));
  REQUIRE_FALSE(broken);
  CHECK(broken.error().message.find("TopSecret") == std::string::npos);
}

TEST_CASE("9: each of three nodes has its own connection", "[drbd][settings]") {
  const auto settings = show(
      "resource r0 { "
      "connection { _peer_node_id 1; path { _this_host ipv4 10.9.0.1:7003; _remote_host ipv4 "
      "10.9.0.2:7003; } net { _name \"node2\"; } } "
      "connection { _peer_node_id 2; path { _this_host ipv4 10.9.0.1:7003; _remote_host ipv4 "
      "10.9.0.3:7003; } net { allow-two-primaries yes; _name \"node3\"; } } }");
  REQUIRE(settings);
  REQUIRE(settings->connections.size() == 2);
  CHECK(settings->connections[0].node_id == 1);
  CHECK_FALSE(settings->connections[0].two_primaries);
  CHECK(settings->connections[1].node_id == 2);
  CHECK(settings->connections[1].two_primaries);
  CHECK(settings->connections[1].peer_address == "ipv4:10.9.0.3:7003");
  CHECK(settings->allows_two_primaries());
}

TEST_CASE("9: quorum, fencing and protocol", "[drbd][settings]") {
  const std::string text = read_file("drbd9/primary-here.show-text-defaults.txt");
  const std::string off = "quorum          \toff; # default";
  const auto settings =
      show(with(with(with(text, off, "quorum majority;"), "fencing         \tdont-care; # default",
                     "fencing resource-and-stonith;"),
                "protocol        \tC; # default", "protocol A;"));
  REQUIRE(settings);
  CHECK(settings->quorum == "majority");
  CHECK(settings->connections[0].fencing == "resource-and-stonith");
  CHECK(settings->connections[0].protocol == 'A');
  CHECK(settings->fencing == "dont-care");
  CHECK(show(with(text, off, "quorum 2;"))->quorum == "2");
}

TEST_CASE("a resource that is not up has no settings", "[drbd][settings]") {
  for (const auto& settings :
       {show(""), show(read_file("drbd84/S10-unknown-and-down/26-drbdsetup_show_r2.alpha.txt"))}) {
    REQUIRE_FALSE(settings);
    CHECK(settings.error().code == ENOENT);
  }
}

TEST_CASE("the settings of all resources", "[drbd][settings]") {
  const std::string other = "resource r1 { net { allow-two-primaries yes; } }";
  const auto text = read_show(read_file(defaults84) + other);
  REQUIRE(text);
  REQUIRE(text->size() == 2);
  CHECK_FALSE(text->front().allows_two_primaries());
  CHECK(text->back().resource == "r1");
  CHECK(text->back().allows_two_primaries());
  CHECK(text->back().fencing == "dont-care");
}

TEST_CASE("comments and quotes", "[drbd][settings]") {
  const auto settings = show(
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
  CHECK(message(show("resource r0 { net { allow-two-primaries maybe; } }")) ==
        "`drbdsetup show` printed what this program does not understand in line 1");
  CHECK(message(show("resource r0 {\n net {\n protocol D; } }")) ==
        "`drbdsetup show` printed what this program does not understand in line 3");
  CHECK(message(show("resource r0 { net {")) ==
        "what `drbdsetup show` printed breaks off in the middle");
  for (const char* text : {"}", ";", "{", "resource { }", "resource r0 { ; }", "resource r0 { a }",
                           "resource r0 { } }", "resource r0 { } resource r1 { }",
                           "resource r0 { _this_host { volume 0 { disk/x { } fencing y; } } }",
                           "resource r0 { connection { _peer_node_id x; } }"})
    CHECK_FALSE(show(text));
}
