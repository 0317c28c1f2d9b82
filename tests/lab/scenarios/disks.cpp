// Guests with many disks, disks of other kinds beside ours, and a node with many resources.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// "drbd:M1,xvdb,w", ... for the resources that /lab/many makes.
std::string many_disks(int count) {
  std::string disks;
  for (int number = 1; number <= count; ++number)
    disks +=
        ", \"drbd:M" + std::to_string(number) + ",xvd" + static_cast<char>('a' + number) + ",w\"";
  return disks;
}

int primaries(Node& node) {
  return count_lines(node.types("drbdsetup status"), " role:Primary");
}

}  // namespace

TEST_CASE_METHOD(Lab, "a guest has drbd:, phy: and file: disks - each is attached by its own way") {
  node1.types("truncate -s 4M /tmp/disk.img");
  // A guest has buffers for each of its disks.
  node1.types(
      "xl create /etc/xen/wheezy.cfg memory=128 'disk=[\"drbd:Wheezy,xvda,w\", "
      "\"phy:/dev/vdb6,xvdb,w\", "
      "\"file:/tmp/disk.img,xvdc,w\", \"drbd:Buster/1,xvdd,w\"]'");
  node1.guest_writes("wheezy");
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node1.backend("wheezy", xvdb).physical_device_path == "/dev/vdb6");
  node1.types("xl destroy wheezy && rm /tmp/disk.img");
  for (const char* resource : {"Wheezy", "Buster"}) {
    node1.becomes(resource, "Secondary");
    node1.left_nothing(resource);
  }
}

TEST_CASE_METHOD(Lab, "a guest has sixteen disks - all come and go at once") {
  Task other = node2.starts("/lab/many up 15");
  node1.types("/lab/many up 15");
  REQUIRE(other.ends().status == 0);
  node1.types("xl create /etc/xen/wheezy.cfg memory=160 'disk=[\"drbd:Wheezy,xvda,w\"" +
              many_disks(15) + "]'");
  node1.guest_writes("wheezy");
  REQUIRE(primaries(node1) == 16);
  node1.types("xl shutdown -w wheezy");
  REQUIRE(eventually([&] { return primaries(node1) == 0; }));
  node1.left_nothing("M15");
}

// As xendomains does at the node's shutdown and start.
TEST_CASE_METHOD(Lab, "ten guests are started and ended at once - each has its resource") {
  Task other = node2.starts("/lab/many up 10");
  node1.types("/lab/many up 10");
  REQUIRE(other.ends().status == 0);
  node1.types("/lab/ten-guests create");
  REQUIRE(primaries(node1) == 10);
  node1.types("/lab/ten-guests destroy");
  REQUIRE(eventually([&] { return primaries(node1) == 0; }));
  node1.left_nothing("M10");
}

TEST_CASE_METHOD(Lab,
                 "four hundred resources are configured - a guest starts and stops all the same") {
  node1.types("/lab/many configure 400");
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  node2.types("xl shutdown -w wheezy");
  node2.becomes("Wheezy", "Secondary");
  node2.left_nothing("Wheezy");
  // A resource that is not up: what is the matter is still said.
  REQUIRE_THAT(node1.fails("xl create /etc/xen/wheezy.cfg 'disk=[\"drbd:M7,xvda,w\"]'"),
               ContainsSubstring("M7"));
}

}  // namespace block_drbd::lab
