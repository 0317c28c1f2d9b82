// A guest that crashes, hangs, is paused, or is kept in a file.
#include <thread>

#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

void create(Node& node, const std::string& setting = "") {
  node.types("xl create /etc/xen/wheezy.cfg " + setting);
  node.guest_writes("wheezy");
}

void crash(Node& node) {
  node.types("xl sysrq wheezy c");
}

void is_over(Node& node) {
  node.becomes("Wheezy", "Secondary");
  node.left_nothing("Wheezy");
}

}  // namespace

TEST_CASE_METHOD(Lab, "a guest crashes - restart, destroy, preserve and rename-restart") {
  create(node1, "'on_crash=\"restart\"'");
  crash(node1);
  node1.reports("wheezy", "record chain 1\\.\\.[0-9]+ ok");
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("xl destroy wheezy");
  is_over(node1);

  create(node1, "'on_crash=\"destroy\"'");
  crash(node1);
  REQUIRE(eventually([&] { return !node1.has_guest("wheezy"); }));
  is_over(node1);

  create(node1, "'on_crash=\"preserve\"'");
  crash(node1);
  REQUIRE(eventually(
      [&] { return node1.tries("xl list wheezy | grep -q ' ---sc- \\| ----c- '").status == 0; }));
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("xl destroy wheezy");
  is_over(node1);

  // xl keeps it under another name, with its disk, and starts another one: that is refused.
  create(node1, "'on_crash=\"rename-restart\"'");
  crash(node1);
  REQUIRE(eventually(
      [&] { return node1.log().find("and start this guest again") != std::string::npos; }));
  const std::string kept = node1.types("xl list | grep -o '^wheezy-[0-9T]*Z'");
  REQUIRE_THAT(node1.log(), ContainsSubstring("`xl destroy " + kept.substr(0, kept.size() - 1)));
  REQUIRE_FALSE(node1.has_guest("wheezy"));
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("xl destroy " + kept);
  is_over(node1);
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a guest is saved, and restored here and on the other node") {
  create(node1);
  // A checkpoint: it goes on.
  node1.types("xl save -c wheezy /tmp/saved");
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.guest_writes("wheezy");

  node1.types("xl save wheezy /tmp/saved");
  is_over(node1);
  node1.types("xl restore /tmp/saved");
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.guest_writes("wheezy");

  node1.types("xl save wheezy /tmp/saved");
  is_over(node1);
  node1.types("mv /tmp/saved /mnt/saved");
  node2.types("mv /mnt/saved /tmp/saved && xl restore /tmp/saved");
  REQUIRE(node2.role("Wheezy") == "Primary");
  node2.guest_writes("wheezy");
  node2.types("xl destroy wheezy");
  is_over(node2);
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a guest is created paused, is paused, hangs, and is destroyed") {
  node1.types("xl create -p /etc/xen/wheezy.cfg");
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("xl unpause wheezy");
  node1.guest_writes("wheezy");
  node1.types("xl pause wheezy");
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("xl unpause wheezy");
  node1.guest_writes("wheezy");
  // Hanging, it answers no request to close its disk.
  node1.types("xl pause wheezy");
  node1.types("xl destroy wheezy");
  is_over(node1);
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(
    Lab, "a guest is destroyed while its I/O is frozen - the role outlasts its last write") {
  create(node1);
  node1.types("drbdadm suspend-io Wheezy");
  std::this_thread::sleep_for(2s);  // for a write to be on its way
  // libxl gives up on the disk after ten seconds, and never calls the block script for it.
  REQUIRE_THAT(node1.tries("xl destroy wheezy").output,
               ContainsSubstring("unable to remove device"));
  REQUIRE(node1.role("Wheezy") == "Primary");
  CHECK_THAT(node1.tries("block-drbd test Wheezy").output,
             ContainsSubstring("drbdadm resume-io Wheezy"));
  node1.types("drbdadm resume-io Wheezy");
  is_over(node1);

  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.guest_writes("wheezy");
  node2.types("xl destroy wheezy");
  is_over(node2);
  records_are_whole("wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
