// A guest migrates, or fails to and goes on where it is. Its resource allows one primary: the
// target's `add` opens a window for two, and its keeper closes it.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// The target refused, or the migration broke off: the guest must go on at the source as if nobody
// had asked.
void source_goes_on(Lab& lab) {
  REQUIRE(eventually([&] { return lab.node1.has_guest("wheezy"); }));
  lab.node1.guest_writes("wheezy", 3);
  REQUIRE(lab.node1.role("Wheezy") == "Primary");
  REQUIRE_FALSE(lab.node2.has_guest("wheezy"));
  REQUIRE_FALSE(lab.node2.has_guest("wheezy--incoming"));
  lab.node2.left_nothing("Wheezy");
  lab.node1.keeps_no_window("Wheezy");
}

void must_have_healed(Lab& lab, Node& booted) {
  REQUIRE_THAT(lab.node1.log() + lab.node2.log(), ContainsSubstring("connecting again"));
  for (Node* node : {&lab.node1, &lab.node2})
    REQUIRE(node->two_primaries("Wheezy") == "no");
  booted.explains("Wheezy", "UpToDate Connected", 0);
}

}  // namespace

TEST_CASE_METHOD(
    Lab, "a PVH guest migrates within its node, live there and back - the role goes with it") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  const std::string before = node1.types("xl domid wheezy");
  const Typed within = node1.tries("xl migrate -s '' wheezy 'xl migrate-receive'");
  INFO(within.output);
  REQUIRE(within.status == 0);
  REQUIRE(node1.types("xl domid wheezy") != before);
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.keeps_no_window("Wheezy");
  node1.guest_writes("wheezy");

  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_migrate(node2, node1, "wheezy");
  has_moved(node2, node1, "wheezy", "Wheezy");
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a PV guest migrates there, straight back, and there again") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pv\"'");
  node1.guest_writes("wheezy");
  // The keeper of one hand-over may not have ended when the next one begins.
  must_migrate(node1, node2, "wheezy", false);
  must_migrate(node2, node1, "wheezy", false);
  must_migrate(node1, node2, "wheezy", false);
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a guest with two resources and three volumes migrates while drbdadm fails") {
  node1.types(
      "xl create /etc/xen/wheezy.cfg 'type=\"pvh\"' 'disk=[\"drbd:Wheezy,xvda,w\", "
      "\"drbd:Buster/0,xvdb,w\", "
      "\"drbd:Buster/1,xvdc,w\"]'");
  node1.guest_writes("wheezy");
  for (Node* node : {&node1, &node2}) {
    node->types("echo 'nonsense' >/etc/drbd.d/potato.res");
    node->fails("drbdadm dump Wheezy");
  }

  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  has_moved(node1, node2, "wheezy", "Buster");
  for (const int device : {xvda, xvdb, xvdc})
    REQUIRE(node2.backend("wheezy", device).hotplug_status == "connected");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
  node2.left_nothing("Buster");
}

TEST_CASE_METHOD(Lab,
                 "the source lets go late - meanwhile drbdadm adjust and a reboot do no harm") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  Task holder = node1.starts(hold_of_wheezy);
  Task migration = node1.starts_migration("wheezy", node2);
  node2.receives("wheezy");
  node2.guest_writes("wheezy");
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node2.has_window("Wheezy"));

  for (Node* node : {&node1, &node2}) {
    node->tries("drbdadm adjust Wheezy");
    REQUIRE(node->role("Wheezy") == "Primary");
    REQUIRE(node->connection("Wheezy") == "Connected");
  }

  // Its new start meets the source still Primary, and waits for it.
  node2.types("xl reboot wheezy");
  REQUIRE(
      eventually([&] { return count_lines(node2.log(), "waiting, because the other node") > 0; }));
  holder.killed();
  node2.reports("wheezy", "record chain 1\\.\\.[0-9]+ ok");
  REQUIRE(migration.ends().status == 0);
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a migration fails as the target's resource is down - the guest goes on") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  node2.types("drbdadm down Wheezy");

  const Typed migration = node1.migrates("wheezy", node2);
  INFO(migration.output);
  REQUIRE(migration.status != 0);
  REQUIRE_THAT(node2.log(), ContainsSubstring("drbdadm up Wheezy"));
  node2.explains("Wheezy", "Wheezy is configured but not up on this node");
  source_goes_on(*this);

  // The link comes back under the running guest, and the other disk gets what it missed.
  node2.types("drbdadm up Wheezy");
  node2.waits_until_up_to_date("Wheezy");
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a migration breaks off after the target's add - the guest goes on") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");

  // Its own connection alone. xl leaves its half of the guest behind then, paused and attached, for
  // the administrator to destroy; two primaries stay allowed until that is done.
  node2.after_next_add("ss -K '( sport = :4444 )'");
  const Typed broken_off = node1.migrates("wheezy", node2);
  INFO(broken_off.output);
  REQUIRE(broken_off.status != 0);
  REQUIRE(eventually([&] { return node1.has_guest("wheezy"); }));
  node1.guest_writes("wheezy");
  REQUIRE(node2.role("Wheezy") == "Primary");
  REQUIRE(node2.has_window("Wheezy"));
  node2.explains("Wheezy", "wheezy--incoming");
  node2.types("xl destroy wheezy--incoming");
  source_goes_on(*this);

  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "the network is lost after the target's add - the guest goes on") {
  unwritten_side_follows("Wheezy");
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");

  // The migration, and DRBD's link with it. What would give up after a while by itself is ended
  // here.
  node2.after_next_add("ip link set eth0 down");
  Task migration = node1.starts_migration("wheezy", node2);
  node2.comes_to_after_add();
  REQUIRE(eventually([&] { return node1.connection("Wheezy") == "Connecting"; }));
  node1.types("pkill -x -f 'socat -b 262144 - TCP:node2:4444'");
  REQUIRE(migration.ends().status != 0);
  node1.guest_writes("wheezy");
  node2.types("ss -K '( sport = :4444 )'");
  node2.types("xl destroy wheezy--incoming");
  node2.becomes("Wheezy", "Secondary");
  // Nobody would close it at the source. One side alone would part the two.
  REQUIRE(node1.two_primaries("Wheezy") == "yes");
  REQUIRE(node2.two_primaries("Wheezy") == "yes");
  REQUIRE(node2.has_window("Wheezy"));
  node2.explains("Wheezy", wheezy_is_alone);
  node2.types("ip link set eth0 up");
  node2.waits_until_up_to_date("Wheezy");
  source_goes_on(*this);
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab,
                 "the link is lost after the guest's arrival - the nodes find together again") {
  unwritten_side_follows("Wheezy");
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  Task holder = node1.starts(hold_of_wheezy);
  Task migration = node1.starts_migration("wheezy", node2);
  node2.receives("wheezy");
  link_is_cut();
  REQUIRE(eventually([&] { return node2.connection("Wheezy") == "Connecting"; }));
  node2.explains("Wheezy", wheezy_is_alone);
  node2.guest_writes("wheezy");
  holder.killed();
  node1.becomes("Wheezy", "Secondary");
  link_is_restored();
  node2.waits_until_up_to_date("Wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "the source loses power after the guest's arrival - it connects again") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  node1.starts(hold_of_wheezy);
  node1.starts_migration("wheezy", node2);
  node2.receives("wheezy");
  REQUIRE(node2.has_window("Wheezy"));
  node1.loses_power();
  node2.keeps_no_window("Wheezy");
  node2.explains("Wheezy", wheezy_is_alone);
  node2.guest_writes("wheezy");
  node1.boots();
  node1.waits_until_up_to_date("Wheezy");
  node2.guest_writes("wheezy");
  REQUIRE(node1.two_primaries("Wheezy") == "no");
  node2.types("xl destroy wheezy");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "the target's keeper is killed - the source's keeper closes the window") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  Task holder = node1.starts(hold_of_wheezy);
  // xl and the keeper run both at that moment, and the migration's connection is open.
  node2.after_next_add("/lab/shared-descriptors Wheezy");
  Task migration = node1.starts_migration("wheezy", node2);
  node2.receives("wheezy");
  REQUIRE(node2.types("cat /run/after-add/output") == "the keeper of Wheezy shares nothing\n");
  // Who held a copy of it would keep it open, and the migration's sender waiting.
  REQUIRE(eventually([&] {
    return node2.types("ss -Htn state established state close-wait '( sport = :4444 )'").empty();
  }));
  const std::string keeper = "pgrep -f 'block-drbd[.a-z]* keep Wheezy$'";
  node2.types(keeper);

  node2.types("kill -KILL $(" + keeper + ")");
  REQUIRE(eventually([&] { return node2.tries(keeper).status != 0; }));
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node1.two_primaries("Wheezy") == "yes");
  node2.explains("Wheezy", "Wheezy is Primary on this node and on another one");
  holder.killed();
  REQUIRE(migration.ends().status == 0);
  node1.becomes("Wheezy", "Secondary");
  node1.left_nothing("Wheezy");
  REQUIRE(node2.two_primaries("Wheezy") == "no");
  // The next one who has to do with the resource there clears it away.
  REQUIRE(node2.has_window("Wheezy"));
  node2.guest_writes("wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "the final report of a migration is lost - the guest runs on its target") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  const Typed migration =
      node1.tries("xl migrate -s '' wheezy '/lab/lose-report socat -b 262144 - TCP:node2:4444'");
  INFO(migration.output);
  REQUIRE(migration.status != 0);
  REQUIRE(eventually([&] { return node2.has_guest("wheezy"); }));
  node2.guest_writes("wheezy");
  REQUIRE_FALSE(node1.has_guest("wheezy"));
  REQUIRE(node1.has_guest("wheezy--migratedaway"));
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node2.has_window("Wheezy"));
  node1.explains("Wheezy", "Wheezy is held by guest wheezy--migratedaway");
  node2.explains("Wheezy", "waits for the migration's source to let go", 0);
  node1.types("xl destroy wheezy--migratedaway");
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "the target loses power in the hand-over - the nodes find together again") {
  node1.has_healer();
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  node2.after_next_add("sleep 600");
  Task migration = node1.starts_migration("wheezy", node2);
  node2.comes_to_after_add();
  REQUIRE(node1.two_primaries("Wheezy") == "yes");
  node2.loses_power();
  // TCP would notice only much later.
  node1.types("pkill -x -f 'socat -b 262144 - TCP:node2:4444'");
  REQUIRE(migration.ends().status != 0);
  REQUIRE(eventually([&] { return node1.connection("Wheezy") == "Connecting"; }));
  node1.guest_writes("wheezy", 3);
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.explains("Wheezy", wheezy_is_alone);

  // It comes back with the configured `no`, the source has `yes`. Who sees it first gives up for
  // good; the other may do so, too, or go on trying.
  node2.boots();
  node2.has_healer();
  node2.waits_until_up_to_date("Wheezy");
  must_have_healed(*this, node2);
  source_goes_on(*this);
  node1.drops_lost_connections();
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

// The other way round: the guest is lost with its source, before that has let it go.
TEST_CASE_METHOD(Lab, "the source loses power in the hand-over - the nodes find together again") {
  node2.has_healer();
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  node2.after_next_add("until test -e /run/lost; do sleep 0.5; done; rm /run/lost");
  node1.starts_migration("wheezy", node2);
  node2.comes_to_after_add();
  const long written = node1.last_record("wheezy");
  node1.loses_power();
  node2.types("ss -K '( sport = :4444 )'; touch /run/lost");
  node2.tries("xl destroy wheezy--incoming");
  node2.becomes("Wheezy", "Secondary");
  REQUIRE(node2.two_primaries("Wheezy") == "yes");
  node2.explains("Wheezy", wheezy_is_alone);
  node1.boots();
  node1.has_healer();
  node1.waits_until_up_to_date("Wheezy");
  must_have_healed(*this, node1);
  for (Node* node : {&node1, &node2})
    node->left_nothing("Wheezy");
  records_reach(written, disk_of_wheezy);
}

}  // namespace block_drbd::lab
