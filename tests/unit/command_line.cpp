// What is typed, or what a toolstack calls.
#include "command_line.h"

#include "catch.h"

using Words = std::vector<std::string>;

namespace {

bool is(const Words& words, Verb verb) {
  const auto parsed = parse_command_line(words);
  INFO((parsed ? "understood" : parsed.error().message));
  return parsed && parsed->verb == verb;
}

bool refused(const Words& words, const std::string& why) {
  const auto parsed = parse_command_line(words);
  INFO((parsed ? "understood" : parsed.error().message));
  return !parsed && parsed.error().message.find(why) != std::string::npos;
}

}  // namespace

TEST_CASE("the toolstack's verbs", "[command line]") {
  CHECK(is({"add"}, Verb::Add));
  CHECK(is({"remove"}, Verb::Remove));
}

TEST_CASE("what this program calls itself", "[command line]") {
  for (const char* name : {"Wheezy", "r0", "web.example.org", "a+b_c-d", "add", "keep"}) {
    const auto parsed = parse_command_line({"keep", name});
    REQUIRE(parsed);
    CHECK(parsed->verb == Verb::Keep);
    CHECK(parsed->resource == name);
  }
  CHECK(refused({"keep"}, "needs the name of a DRBD resource"));
  for (const char* name : {"", "../etc", ".hidden", "a/0", "a b", "drbd:Wheezy"})
    CHECK(refused({"keep", name}, "needs the name of a DRBD resource"));
  CHECK(refused({"keep", "a\x1b[2J"}, "'a?[2J' is none"));
  CHECK(refused({"keep", "--force"}, "--force"));
  CHECK(refused({"keep", "-f"}, "-f"));
  CHECK(refused({"keep", "Wheezy", "Jessie"}, "one resource"));
  CHECK(is({"heal"}, Verb::Heal));
  CHECK(refused({"heal", "Wheezy"}, "'heal' stands alone"));
  CHECK(refused({"heal", "--json"}, "--json is an option of test"));
}

TEST_CASE("what an administrator types", "[command line]") {
  const auto whole = parse_command_line({"test"});
  REQUIRE(whole);
  CHECK(whole->verb == Verb::Test);
  CHECK(whole->asked.empty());
  CHECK(whole->form == Form::Words);
  const auto asked =
      parse_command_line({"test", "-v", "drbd:Wheezy,xvda,w", "/etc/xen/a.cfg", "-a"});
  REQUIRE(asked);
  CHECK(asked->asked == Words{"drbd:Wheezy,xvda,w", "/etc/xen/a.cfg"});
  CHECK(asked->tells_commands);
  CHECK(asked->every_verdict);
  CHECK(parse_command_line({"test", "--json", "Wheezy"})->form == Form::Json);
  CHECK(parse_command_line({"--monitoring", "test"})->form == Form::Monitoring);
  CHECK(refused({"test", "--json", "--monitoring"}, "stand alone"));
  CHECK(refused({"test", "--json", "--verbose"}, "stand alone"));
  CHECK(refused({"add", "--json"}, "--json is an option of test"));
  CHECK(refused({"keep", "Wheezy", "-v"}, "--verbose is an option of test"));
  CHECK(refused({"test", "--force"}, "--force"));
}

TEST_CASE("help and version", "[command line]") {
  for (const char* word : {"--help", "-h"}) {
    CHECK(is({word}, Verb::Help));
    CHECK(is({"add", word}, Verb::Help));  // nothing is done by somebody who asks what it does
    CHECK(is({word, "remove"}, Verb::Help));
    CHECK(is({"keep", word}, Verb::Help));
  }
  CHECK(is({"--version"}, Verb::Version));
  CHECK(is({"-V"}, Verb::Version));
}

TEST_CASE("without a verb nothing is done", "[command line]") {
  CHECK(refused({}, "add, remove, gone, keep, heal or test"));
  CHECK(refused({""}, "add, remove, gone, keep, heal or test"));
  CHECK(refused({"--"}, "add, remove, gone, keep, heal or test"));
}

TEST_CASE("what is unknown is refused and named", "[command line]") {
  for (const char* verb : {"Add", "adds", "ad", "online", "status", " add"})
    CHECK(refused({verb}, '\'' + std::string(verb) + '\''));
  CHECK(refused({"a\x1b[2Jdd"}, "'a?[2Jdd'"));
  CHECK(refused({"--force"}, "--force"));
  CHECK(refused({"-f"}, "-f"));
  CHECK(refused({"add", "--force"}, "--force"));
  CHECK(refused({"--help=yes"}, "--help"));
}

TEST_CASE("more than a verb is refused", "[command line]") {
  CHECK(refused({"add", "remove"}, "'add' stands alone"));
  CHECK(refused({"remove", "Wheezy"}, "'remove' stands alone"));
  CHECK(refused({"add", ""}, "'add' stands alone"));
  CHECK(refused({"add", "remove", "keep"}, "'add' stands alone"));
}

TEST_CASE("the usage names every verb and option", "[command line]") {
  const std::string text = usage();
  for (const char* word : {"add", "remove", "keep", "test", "--help", "--version", "-h", "-V",
                           "--all", "--json", "--monitoring", "--verbose", "XENBUS_PATH"})
    CHECK(text.find(word) != std::string::npos);
  for (const char* inside : {"--words"})  // what they are called inside
    CHECK(text.find(inside) == std::string::npos);
  CHECK(text.back() == '\n');
}
