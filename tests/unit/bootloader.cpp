// pygrub reads a guest's kernel from its disk, which the toolstack attaches to its own domain for
// that: two adds for one start.
#include "catch.h"
#include "fakes.h"
#include "hotplug/add.h"

using namespace block_drbd;
using namespace block_drbd::test;
using drbd::Role;

namespace {

Result<void> starts(FakeNode& node, unsigned domain) {
  node.guest(domain, "web", "uuid-web");
  return hotplug::add(node.host, FakeNode::path(domain));
}

void ends(FakeNode& node, unsigned domain) {
  node.closing(domain);
  REQUIRE(node.remove(domain));
  node.store.wipe("backend/vbd/" + std::to_string(domain));
}

/// The toolstack's own domain has no vm.
Result<void> bootloader_reads(FakeNode& node) {
  node.guest(0, "Domain-0", "");
  node.store.values.erase("/local/domain/0/vm");
  if (auto attached = hotplug::add(node.host, FakeNode::path(0)); !attached)
    return attached;
  ends(node, 0);
  return {};
}

}  // namespace

TEST_CASE("a guest reboots through its bootloader while the peer is away") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(bootloader_reads(node));
  REQUIRE(starts(node, 5));
  node.link_is_down();
  ends(node, 5);
  REQUIRE(bootloader_reads(node));
  CHECK(node.drbd.role(1) == Role::Secondary);
  REQUIRE(starts(node, 6));
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.records.holds.empty());
}

TEST_CASE("what a guest had held lets no other one start that the bootloader was read for") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(starts(node, 5));
  node.link_is_down();
  ends(node, 5);
  REQUIRE(bootloader_reads(node));
  node.guest(6, "jessie", "uuid-jessie");
  CHECK_FALSE(hotplug::add(node.host, FakeNode::path(6)));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("a person's decision lets the guest start, not only its bootloader read") {
  FakeNode node(GENERATE(8, 9));
  node.link_is_down();
  node.drbd.make_primary(1);  // `drbdadm primary`
  REQUIRE(bootloader_reads(node));
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.records.all.empty());
  REQUIRE(starts(node, 5));
  ends(node, 5);
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("a bootloader leaves no role behind that nobody had given") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.in_force.quorum = "majority";
  node.link_is_down();
  REQUIRE(bootloader_reads(node));
  CHECK(node.drbd.role(1) == Role::Secondary);
}
