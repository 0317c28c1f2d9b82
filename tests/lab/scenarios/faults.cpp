// What breaks in the middle of a hand-over, or only in part.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// It fails when the target's `add` has attached the disk, and the guest stands still.
void arrives_though_a_disk_fails(Lab& lab, Node& failing) {
  lab.node2.after_next_add("until test -e /run/go; do sleep 0.2; done; rm /run/go");
  Task migration = lab.node1.starts_migration("wheezy", lab.node2);
  lab.node2.comes_to_after_add();
  failing.disk_fails();
  lab.node2.types("touch /run/go");
  REQUIRE(migration.ends().status == 0);
  lab.has_moved(lab.node1, lab.node2, "wheezy", "Wheezy");
  lab.node2.guest_writes("wheezy");
  Node& other = &failing == &lab.node1 ? lab.node2 : lab.node1;
  failing.explains("Wheezy", "the disk of this node is Diskless: the data is read and written");
  other.explains("Wheezy", " is Diskless: it holds no copy of the data");
}

// What the node sends is lost, so much of it in a hundred.
void loses(Node& node, int percent) {
  node.types("tc qdisc replace dev eth0 root netem loss " + std::to_string(percent) + "%");
}

// What the node sends arrives so much later.
void delays(Node& node, int milliseconds) {
  node.types("tc qdisc replace dev eth0 root netem delay " + std::to_string(milliseconds) + "ms");
}

}  // namespace

TEST_CASE_METHOD(
    Lab, "the disk of the source, then of the target, fails in a migration - the guest arrives") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  arrives_though_a_disk_fails(*this, node1);
  disk_works_again(node1, "Wheezy");
  must_migrate(node2, node1, "wheezy");
  arrives_though_a_disk_fails(*this, node2);
  must_migrate(node2, node1, "wheezy");
  disk_works_again(node2, "Wheezy");
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a verify runs, and packets are lost - a guest starts, migrates and ends") {
  for (Node* node : {&node1, &node2}) {
    node->types("drbdadm disk-options --c-plan-ahead=0 --resync-rate=100K Wheezy");
    node->types("drbdadm net-options --verify-alg=crc32c Wheezy");
    loses(*node, 5);
  }
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
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a link is slow - a guest starts, migrates there and back, and ends") {
  for (Node* node : {&node1, &node2}) {
    // DRBD takes a node for dead that does not answer within half a second, and here this would be
    // near to it.
    node->types("drbdadm net-options --ping-timeout=50 Wheezy");
    delays(*node, 200);
  }
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  REQUIRE_THAT(node2.fails("xl create /etc/xen/wheezy.cfg"),
               ContainsSubstring("Wheezy is Primary on the other node"));
  node2.left_nothing("Wheezy");
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_migrate(node2, node1, "wheezy");
  has_moved(node2, node1, "wheezy", "Wheezy");
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "a link works in one direction only - no other node gets the guest") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  for (Node* mute : {&node1, &node2}) {
    loses(*mute, 100);
    const std::string answer = node2.fails("xl create /etc/xen/wheezy.cfg");
    REQUIRE_THAT(answer, ContainsSubstring("Wheezy is not connected to the other node"));
    REQUIRE(node2.role("Wheezy") == "Secondary");
    for (Node* node : {&node1, &node2})
      node->explains("Wheezy", "Wheezy is not connected to the other node (");
    node1.guest_writes("wheezy");
    loses(*mute, 0);
    node2.waits_until_up_to_date("Wheezy");
    node1.drops_lost_connections();
  }
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
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
  node1.explains("Wheezy", wheezy_is_alone);

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
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
