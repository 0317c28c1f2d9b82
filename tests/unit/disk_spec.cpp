// The disk as the guest's configuration names it.
#include "spec/disk_spec.h"

#include "catch.h"

using block_drbd::is_resource_name;
using block_drbd::parse_disk_spec;
using block_drbd::printable;
using namespace std::string_literals;

namespace {

/// "Wheezy" or "Wheezy/0" for what was understood, the message for what was not.
std::string read(std::string_view text) {
  const auto spec = parse_disk_spec(text);
  if (!spec)
    return spec.error().message;
  return spec->resource + (spec->volume ? '/' + std::to_string(*spec->volume) : "");
}

bool refused(std::string_view text, const std::string& why) {
  const auto spec = parse_disk_spec(text);
  INFO(printable(text));
  INFO((spec ? "understood as " + spec->resource : spec.error().message));
  return !spec && spec.error().message.find(why) != std::string::npos;
}

}  // namespace

TEST_CASE("a disk is a resource, with or without drbd: and a volume", "[spec]") {
  CHECK(read("Wheezy") == "Wheezy");
  CHECK(read("drbd:Wheezy") == "Wheezy");
  CHECK(read("Wheezy/1") == "Wheezy/1");
  CHECK(read("drbd:Wheezy/1") == "Wheezy/1");
  CHECK(read("Wheezy/0") == "Wheezy/0");
  CHECK(read("drbd:Wheezy/0") == "Wheezy/0");
  CHECK(read("Wheezy/65534") == "Wheezy/65534");
}

TEST_CASE("a resource's name may have all that DRBD's names have", "[spec]") {
  for (const char* name : {"r0", "0", "a", "Web_01", "web-01", "web.example.org", "a+b", "_r", "+r",
                           "a--force", "a..b", "drbd", "add"})
    CHECK(read(name) == name);
}

TEST_CASE("blanks around a disk are passed over", "[spec]") {
  // `target=` in a disk line takes the rest of the line.
  CHECK(read("Wheezy  ") == "Wheezy");
  CHECK(read(" \tdrbd:Wheezy/1\r\n") == "Wheezy/1");
  CHECK(read("drbd: Wheezy") == "Wheezy");
}

TEST_CASE("a disk that names no resource is refused", "[spec]") {
  for (const char* text : {"", " ", "\n\t", "drbd:", " drbd: ", "/0", "drbd:/0", "/dev/vg/lv"})
    CHECK(refused(text, "it names no resource"));
}

TEST_CASE("what is no name is refused", "[spec]") {
  for (const char* text : {"Whee zy", "Wheezy /1", "Wheezy,xvda", "drbd:drbd:Wheezy", "phy:Wheezy",
                           "DRBD:Wheezy", "Wheezy;reboot", "$(reboot)", "`reboot`", "Wheezy|x",
                           "a@b", "a*", "Wh\xc3\xa4\x7a", "Whee\x7fzy", "Whee\nzy", "Whee\x01zy"})
    CHECK(refused(text, "only letters, digits"));
  CHECK(refused("Whee\0zy"s, "only letters, digits"));
}

TEST_CASE("a name cannot become an option of a tool or a path", "[spec]") {
  for (const char* text :
       {"--force", "-f", "-", "drbd:--force", " --force", ".", "..", "../etc", ".hidden"})
    CHECK(refused(text, "only letters, digits"));
}

TEST_CASE("what is no volume is refused", "[spec]") {
  for (const char* text : {"Wheezy/", "Wheezy/-1", "Wheezy/+1", "Wheezy/x", "Wheezy/1x",
                           "Wheezy/1/2", "Wheezy/ 1", "Wheezy/0x1", "Wheezy//1", "Wheezy/65535",
                           "Wheezy/4294967296", "Wheezy/99999999999999999999"})
    CHECK(refused(text, "is not the number of a volume"));
}

TEST_CASE("a name is at most as long as the kernel takes it", "[spec]") {
  CHECK(read(std::string(127, 'a')) == std::string(127, 'a'));
  CHECK(refused(std::string(128, 'a'), "too long"));
  CHECK(refused(std::string(1 << 20, 'a'), "too long"));
}

TEST_CASE("a name alone is judged as in a disk", "[spec]") {
  for (const char* name : {"Wheezy", "r0", "a+b", "_r", "web.example.org", "a--force"})
    CHECK(is_resource_name(name));
  for (const char* text : {"", "-f", "--force", ".", "..", "../etc", ".hidden", "Wheezy/0", "a b",
                           " a", "a\n", "drbd:Wheezy", "a@b", "a*", "$(reboot)"})
    CHECK_FALSE(is_resource_name(text));
  CHECK(is_resource_name(std::string(127, 'a')));
  CHECK_FALSE(is_resource_name(std::string(128, 'a')));
}

TEST_CASE("a refusal shows the disk, safely, and says how it is written", "[spec]") {
  const std::string message = read("Whee\x1b[31mzy");
  CHECK(message.find("'Whee?[31mzy'") != std::string::npos);
  CHECK(message.find("drbd:RESOURCE/VOLUME") != std::string::npos);
  CHECK(read(std::string(5000, 'a')).size() < 400);
}

TEST_CASE("a text from elsewhere is made safe for a message", "[spec]") {
  CHECK(printable("") == "");
  CHECK(printable("plain ~ text") == "plain ~ text");
  CHECK(printable("\x1b]0;x\a\n\t\x7f\x80\xff"s) == "?]0;x??????");
  CHECK(printable("a\0b"s) == "a?b");
  CHECK(printable(std::string(80, 'a')) == std::string(80, 'a'));
  CHECK(printable(std::string(81, 'a')) == std::string(80, 'a') + "...");
}
