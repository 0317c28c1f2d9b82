// What breaks in the middle of a hand-over, or only in part.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// The target's `add` has attached the disk, and the guest stands still until `goes_on`.
Task stands_between(Lab& lab, const std::string& guest) {
  lab.node2.after_next_add("until test -e /run/go; do sleep 0.2; done");
  Task migration = lab.node1.starts_migration(guest, lab.node2);
  REQUIRE(eventually([&] { return lab.node2.tries("test -e /run/after-add").status == 0; }));
  return migration;
}

void goes_on(Lab& lab) {
  lab.node2.types("touch /run/go");
}

// What the node sends is lost, so much of it in a hundred.
void loses(Node& node, int percent) {
  node.types("tc qdisc replace dev eth0 root netem loss " + std::to_string(percent) + "%");
}

}  // namespace

TEST_CASE_METHOD(
    Lab, "the disk of the source, then of the target, fails in a migration - the guest arrives") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  Task migration = stands_between(*this, "wheezy");
  node1.disk_fails();
  goes_on(*this);
  REQUIRE(migration.ends().status == 0);
  has_moved(node1, node2, "wheezy", "Wheezy");
  node2.guest_writes("wheezy");
  node1.loses_power();
  node1.boots();
  node1.waits_until_up_to_date("Wheezy");
  node2.drops_lost_connections();
  must_migrate(node2, node1, "wheezy");

  node2.types("rm /run/go");
  Task another = stands_between(*this, "wheezy");
  node2.disk_fails();
  goes_on(*this);
  REQUIRE(another.ends().status == 0);
  has_moved(node1, node2, "wheezy", "Wheezy");
  node2.guest_writes("wheezy");
  must_migrate(node2, node1, "wheezy");
  node2.loses_power();
  node2.boots();
  node2.waits_until_up_to_date("Wheezy");
  node1.drops_lost_connections();
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a verify runs, and packets are lost - a guest starts, migrates and ends") {
  for (Node* node : {&node1, &node2}) {
    node->types("drbdadm disk-options --c-plan-ahead=0 --resync-rate=100K Wheezy");
    loses(*node, 5);
  }
  node1.types("drbdadm net-options --verify-alg=crc32c Wheezy");
  node2.types("drbdadm net-options --verify-alg=crc32c Wheezy");
  node1.types("drbdadm verify Wheezy");
  const auto is_verifying = [&] {
    return count_lines(node1.types("drbdsetup status --verbose Wheezy"), "replication:Verify") == 1;
  };
  REQUIRE(eventually(is_verifying));
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  REQUIRE(is_verifying());
  node2.types("xl destroy wheezy");
  node2.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a link works in one direction only - no other node gets the guest") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  for (Node* mute : {&node1, &node2}) {
    loses(*mute, 100);
    const std::string answer = node2.fails("xl create /etc/xen/wheezy.cfg");
    REQUIRE_THAT(answer, ContainsSubstring("Wheezy is not connected to the other node"));
    REQUIRE(node2.role("Wheezy") == "Secondary");
    node1.guest_writes("wheezy");
    loses(*mute, 0);
    node2.waits_until_up_to_date("Wheezy");
    node1.drops_lost_connections();
  }
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  node2.types("xl destroy wheezy");
  node2.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a fence handler fails, hangs, or fences - the guest starts only then") {
  for (Node* node : {&node1, &node2}) {
    node->types(
        "sed -i 's|^resource Wheezy {|&\\n  disk { fencing resource-only; }\\n"
        "  handlers { fence-peer \"/run/fence\"; }|' /etc/drbd.d/lab.res && drbdadm adjust Wheezy");
    node->types(
        "echo '{ \"resources\": { \"Wheezy\": { \"when-peer-unreachable\": \"start\" } } }' "
        ">/etc/xen/block-drbd.json");
  }
  const auto fence_is = [&](const std::string& script) {
    node1.types("printf '#!/bin/sh\\n" + script +
                "\\n' >/run/fence.new && chmod +x /run/fence.new && mv /run/fence.new /run/fence");
  };
  link_is_cut();
  fence_is("exit 1");
  REQUIRE_THAT(node1.fails("xl create /etc/xen/wheezy.cfg"),
               ContainsSubstring("the other node could not be fenced"));
  node1.left_nothing("Wheezy");

  fence_is("touch /run/fencing; sleep 600");
  REQUIRE_THAT(node1.fails("xl create /etc/xen/wheezy.cfg"),
               ContainsSubstring("hangs in the kernel"));
  node1.types("test -e /run/fencing");
  // DRBD asks once more, and has its answer.
  fence_is("exit 1");
  node1.types("pkill -x sleep");
  node1.left_nothing("Wheezy");

  // The peer is fenced.
  fence_is("exit 7");
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  link_is_restored();
  node2.waits_until_up_to_date("Wheezy");
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
