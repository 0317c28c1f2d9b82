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

bool refused_dump(const std::string& text, const std::string& why) {
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

TEST_CASE("a configuration as it was written for 8.3", "[drbd][dump]") {
  const std::string text =
      "# /etc/drbd.d/wheezy.res\n"
      "resource Wheezy {\n"
      "    protocol               C;\n"
      "    on node1 {\n"
      "        device           /dev/drbd1 minor 1;\n"
      "        disk             /dev/vg0/wheezy;\n"
      "        address          ipv4 10.9.9.1:7789;\n"
      "        meta-disk        internal;\n"
      "    }\n"
      "    net {\n"
      "        allow-two-primaries;\n"
      "        after-sb-0pri    discard-zero-changes;\n"
      "    }\n"
      "    syncer {\n"
      "        rate             100M;\n"
      "        al-extents       257;\n"
      "    }\n"
      "    startup {\n"
      "        become-primary-on both;\n"
      "    }\n"
      "}\n";
  CHECK(two_primaries(text, "Wheezy") == "yes");
  std::string one = text;
  one.erase(one.find("        allow-two-primaries;\n"), 29);
  CHECK(two_primaries(one, "Wheezy") == "no");
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
  CHECK(refused_dump("", "breaks off"));
  CHECK(refused_dump("# resource r0 on node1: not ignored, not stacked\n", "breaks off"));
  CHECK(refused_dump("resource r0 { net { allow-two-primaries no; }", "breaks off"));
  CHECK(refused_dump("resource r0 { net { allow-two-primaries no", "breaks off"));
  CHECK(refused_dump("resource r1 { }", "does not understand in line 1"));
  CHECK(refused_dump("resource r0 { } resource r0 { }", "does not understand"));
  CHECK(refused_dump("common { }", "does not understand"));
  CHECK(refused_dump("resource r0 { } }", "does not understand"));
  CHECK(refused_dump("resource r0;", "does not understand"));
  CHECK(refused_dump("resource r0 { ; }", "does not understand"));
  CHECK(refused_dump("resource r0 { { } }", "does not understand"));
  CHECK(refused_dump("resource r0 { net { protocol } }", "does not understand"));
  for (const char* value : {"maybe", "\"\"", "yes yes", "no no", "Yes"}) {
    INFO(value);
    CHECK(refused_dump(with_net("allow-two-primaries " + std::string(value) + ";"),
                       "does not understand in line"));
  }
}
