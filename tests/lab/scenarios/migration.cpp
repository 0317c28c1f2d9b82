// A guest migrates, or fails to and goes on where it is.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

void moves(Node& from, Node& to, bool live) {
  const Typed migration = from.migrates("wheezy", to, live);
  INFO(migration.output);
  REQUIRE(migration.status == 0);
  REQUIRE(to.role("Wheezy") == "Primary");
  from.becomes("Wheezy", "Secondary");
  from.left_nothing("Wheezy");
  REQUIRE(to.backend("wheezy").hotplug_status == "connected");
  to.guest_writes("wheezy");
}

void there_and_back(Lab& lab, const std::string& type, bool live) {
  lab.node1.types("xl create /etc/xen/wheezy.cfg 'type=\"" + type + "\"'");
  lab.node1.guest_writes("wheezy");

  moves(lab.node1, lab.node2, live);
  moves(lab.node2, lab.node1, live);

  lab.node1.types("xl shutdown -w wheezy");
  lab.node1.becomes("Wheezy", "Secondary");
  lab.node1.left_nothing("Wheezy");
  lab.records_are_whole("wheezy", disk_of_wheezy);
}

// The target refused: the guest must go on at the source as if nobody had asked.
void source_goes_on(Lab& lab, const std::string& guest, const std::string& resource) {
  REQUIRE(eventually([&] { return lab.node1.has_guest(guest); }));
  lab.node1.guest_writes(guest, 3);
  REQUIRE(lab.node1.role(resource) == "Primary");
  REQUIRE_FALSE(lab.node2.has_guest(guest));
  REQUIRE_FALSE(lab.node2.has_guest(guest + "--incoming"));
  lab.node2.left_nothing(resource);
}

}  // namespace

TEST_CASE_METHOD(Lab, "a PVH guest migrates live there and back - the role goes with it") {
  there_and_back(*this, "pvh", true);
}

TEST_CASE_METHOD(Lab, "a PV guest migrates there and back - the role goes with it") {
  there_and_back(*this, "pv", false);
}

TEST_CASE_METHOD(Lab, "a migration is refused where one primary is allowed - the guest goes on") {
  node1.types("xl create /etc/xen/jessie.cfg");
  node1.guest_writes("jessie");

  const Typed migration = node1.migrates("jessie", node2);
  INFO(migration.output);
  REQUIRE(migration.status != 0);
  REQUIRE_THAT(node2.log(),
               ContainsSubstring("Jessie") && ContainsSubstring("allow-two-primaries"));
  source_goes_on(*this, "jessie", "Jessie");

  node1.types("xl destroy jessie");
  node1.becomes("Jessie", "Secondary");
  records_are_whole("jessie", disk_of_jessie);
}

TEST_CASE_METHOD(Lab, "a migration fails as the target's resource is down - the guest goes on") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  node2.types("drbdadm down Wheezy");

  const Typed migration = node1.migrates("wheezy", node2);
  INFO(migration.output);
  REQUIRE(migration.status != 0);
  REQUIRE_THAT(node2.log(), ContainsSubstring("drbdadm up Wheezy"));
  source_goes_on(*this, "wheezy", "Wheezy");

  // The link comes back under the running guest, and the other disk gets what it missed.
  node2.types("drbdadm up Wheezy");
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  node2.waits_until_up_to_date("Wheezy");
  records_are_whole("wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
