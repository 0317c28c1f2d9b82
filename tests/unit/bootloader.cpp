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

/// With xl the toolstack's own domain has no vm, with xend it has one.
Result<void> bootloader_reads(FakeNode& node, bool with_vm = false) {
  node.guest(0, "Domain-0", "uuid-of-nobody");
  if (!with_vm)
    node.store.values.erase("/local/domain/0/vm");
  if (auto attached = hotplug::add(node.host, FakeNode::path(0)); !attached)
    return attached;
  ends(node, 0);
  return {};
}

}  // namespace

TEST_CASE("a guest reboots through its bootloader while the peer is away") {
  FakeNode node(GENERATE(8, 9));
  const bool with_vm = GENERATE(false, true);
  REQUIRE(bootloader_reads(node, with_vm));
  REQUIRE(starts(node, 5));
  node.link_is_down();
  ends(node, 5);
  REQUIRE(bootloader_reads(node, with_vm));
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

TEST_CASE("what a bootloader's look finds Primary is no decision while the peer is seen") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.make_primary(1);
  REQUIRE(bootloader_reads(node));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("8.4: a decision about one volume leaves what is to be done about another") {
  FakeNode node(8);
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0");
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.drbd.open = {1};  // for long
  node.closing(5);
  CHECK_FALSE(node.remove(5));
  node.store.wipe("backend/vbd/5");
  REQUIRE(node.records.all.size() == 1);

  node.link_is_down();
  node.drbd.make_primary(2);  // by a person
  node.guest(0, "Domain-0", "", "Wheezy/1");
  REQUIRE(hotplug::add(node.host, FakeNode::path(0)));
  ends(node, 0);
  CHECK(node.drbd.role(2) == Role::Primary);
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().minor == 1);
}
