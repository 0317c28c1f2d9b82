// The reader of `drbdadm dump`.
#include "capture.h"
#include "catch.h"
#include "drbd/readers.h"

using namespace block_drbd;
using namespace block_drbd::drbd;
using block_drbd::test::read_capture;

namespace {

/// "yes" or "no", the message of an error.
std::string two_primaries(const std::string& text, const std::string& resource = "r0") {
  const auto read = read_dump(text, resource);
  return read ? *read ? "yes" : "no" : read.error().message;
}

std::string with_net(const std::string& option) {
  return "resource r0 { on node1 { address ipv4 10.0.0.1:7790; } net { protocol C; " + option +
         " } }";
}

bool refused(const std::string& text, const std::string& why) {
  const std::string said = two_primaries(text);
  INFO(said);
  return said.find(why) != std::string::npos;
}

}  // namespace

TEST_CASE("a dump of either generation says what is configured", "[drbd][dump]") {
  for (const char* path : {"drbd84/S01-both-secondary-uptodate/drbdadm-dump-r0.alpha.txt",
                           "drbd9/primary-here.dump.txt"}) {
    std::string text = read_capture(path).out;
    CHECK(two_primaries(text) == "no");
    text.replace(text.find("  no;"), 5, "  yes;");
    CHECK(two_primaries(text) == "yes");
  }
}

TEST_CASE("an option may be written in every way DRBD knows", "[drbd][dump]") {
  CHECK(two_primaries(with_net("")) == "no");
  CHECK(two_primaries(with_net("allow-two-primaries yes;")) == "yes");
  CHECK(two_primaries(with_net("allow-two-primaries;")) == "yes");
  CHECK(two_primaries(with_net("allow-two-primaries \"yes\"  ;")) == "yes");
  CHECK(two_primaries(with_net("allow-two-primaries no; # yes\n")) == "no");
  CHECK(two_primaries(with_net("# allow-two-primaries yes;\n")) == "no");
  CHECK(two_primaries("resource \"r0\" { net { allow-two-primaries yes; } }") == "yes");
}

TEST_CASE("any connection counts", "[drbd][dump]") {
  const std::string begin = "resource r0 { net { allow-two-primaries no; } ";
  CHECK(two_primaries(begin + "connection { host a; host b; net { allow-two-primaries yes; } } "
                              "connection { host a; host c; net { allow-two-primaries no; } } }") ==
        "yes");
  CHECK(two_primaries(begin +
                      "connection-mesh { hosts a b c; net { allow-two-primaries yes; } } }") ==
        "yes");
}

TEST_CASE("what only looks like the option is none", "[drbd][dump]") {
  CHECK(two_primaries("resource r0 { handlers { split-brain \"x \\\"; } net { "
                      "allow-two-primaries yes; } }\"; } net { } }") == "no");
  CHECK(two_primaries("resource r0 { options { allow-two-primaries yes; } }") == "no");
  CHECK(two_primaries("resource r0 { net { x allow-two-primaries yes; } }") == "no");
}

TEST_CASE("a dump that is not understood is an error", "[drbd][dump]") {
  CHECK(refused("", "breaks off"));
  CHECK(refused("# resource r0 on node1: not ignored, not stacked\n", "breaks off"));
  CHECK(refused("resource r0 { net { allow-two-primaries no; }", "breaks off"));
  CHECK(refused("resource r0 { net { allow-two-primaries no", "breaks off"));
  CHECK(refused("resource r1 { }", "does not understand: 'resource r1 { }'"));
  CHECK(refused("resource r0 { } resource r0 { }", "does not understand"));
  CHECK(refused("common { }", "does not understand"));
  CHECK(refused("resource r0 { } }", "does not understand"));
  CHECK(refused("resource r0;", "does not understand"));
  CHECK(refused("resource r0 { ; }", "does not understand"));
  CHECK(refused("resource r0 { { } }", "does not understand"));
  CHECK(refused("resource r0 { net { protocol } }", "does not understand"));
  for (const char* value : {"maybe", "\"\"", "yes yes", "no no", "Yes"}) {
    INFO(value);
    CHECK(refused(with_net("allow-two-primaries " + std::string(value) + ";"),
                  "does not understand: 'allow-two-primaries"));
  }
}
