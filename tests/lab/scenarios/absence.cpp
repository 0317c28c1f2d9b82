// The other node is gone: whether a guest may start then is not for a program to guess.

#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// The sentence, and the decision that it leaves to a person.
void refused_for_absence(Node& node, const std::string& guest, const std::string& resource) {
  const std::string answer = node.fails("xl create /etc/xen/" + guest + ".cfg");
  REQUIRE_THAT(answer, ContainsSubstring(resource + " is not connected to the other node") &&
                           ContainsSubstring("drbdadm primary " + resource));
  REQUIRE_FALSE(node.has_guest(guest));
  REQUIRE(node.role(resource) == "Secondary");
}

// How often a start has waited for the connection.
int waits_for_link(Node& node) {
  return std::stoi(node.tries("grep 'waiting, because the other node' /var/log/messages |"
                              " grep -v -c 'is Primary$'")
                       .output);
}

}  // namespace

TEST_CASE_METHOD(Lab,
                 "a node loses power - starts ask for a decision, a running guest may reboot") {
  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.guest_writes("wheezy");
  long written = node2.last_record("wheezy");
  node2.loses_power();
  // At once: DRBD still takes the dead node for Primary, and only an attempt makes it look.
  refused_for_absence(node1, "wheezy", "Wheezy");
  // As at the boot of a node with many guests whose peer is off.
  const std::string answers = node1.types("/lab/start-disks 20 Wheezy Jessie Buster/0 Buster/1");
  INFO(answers);
  REQUIRE(count_lines(answers, "is not connected to the other node") == 20);
  REQUIRE(count_lines(answers, "ended 1") == 20);
  REQUIRE(waits_for_link(node1) == 1);
  node1.explains("Wheezy", wheezy_is_alone);
  node1.types(
      "echo '{ \"resources\": { \"Buster\": { \"when-peer-unreachable\": \"start\" } } }' "
      ">/etc/xen/block-drbd.json");
  REQUIRE(count_lines(node1.types("/lab/start-disks 2 Buster/0 Jessie"), "ended 0") == 1);
  REQUIRE(node1.role("Buster") == "mixed");  // volume 0, not volume 1

  node1.types("drbdadm primary Wheezy");
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.finds_records("wheezy", written);
  node1.guest_writes("wheezy");

  // Who had it when the other was gone may have it again.
  written = node1.last_record("wheezy");
  const std::string before = node1.types("xl domid wheezy");
  node1.types("xl reboot wheezy");
  REQUIRE(eventually([&] {
    const Typed now = node1.tries("xl domid wheezy 2>/dev/null");
    return now.status == 0 && now.output != before;
  }));
  node1.finds_records("wheezy", written, 2);
  node1.guest_writes("wheezy");

  node2.boots();
  node2.waits_until_up_to_date("Wheezy");
  node1.types("xl destroy wheezy");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "the link is cut under a guest - a start on the other side does no harm") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  link_is_cut();
  // At once: DRBD does not know yet.
  refused_for_absence(node2, "wheezy", "Wheezy");
  node2.left_nothing("Wheezy");
  for (Node* node : {&node1, &node2})
    node->explains("Wheezy", wheezy_is_alone);
  node1.guest_writes("wheezy");
  link_is_restored();
  node2.waits_until_up_to_date("Wheezy");
  node1.guest_writes("wheezy");
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab,
                 "a node stands still for a while - no other gets its guest, which then goes on") {
  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.guest_writes("wheezy");
  node2.freezes();
  refused_for_absence(node1, "wheezy", "Wheezy");
  node1.left_nothing("Wheezy");
  node1.explains("Wheezy", wheezy_is_alone);
  node2.thaws();
  node1.waits_until_up_to_date("Wheezy");
  node2.guest_writes("wheezy");
  REQUIRE(node1.role("Wheezy") == "Secondary");
  node2.types("xl destroy wheezy");
  node2.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "both nodes lose power - the guest starts on either, on one at a time") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  const long written = node2.last_record("wheezy");
  power_fails();
  power_is_back();
  node1.waits_until_up_to_date("Wheezy");

  records_reach(written, disk_of_wheezy);

  Task start1 = node1.starts("xl create /etc/xen/wheezy.cfg");
  Task start2 = node2.starts("xl create /etc/xen/wheezy.cfg");
  const Typed on1 = start1.ends();
  const Typed on2 = start2.ends();
  INFO("node1: " << on1.status << " " << on1.output);
  INFO("node2: " << on2.status << " " << on2.output);
  REQUIRE((on1.status == 0) != (on2.status == 0));
  Node& winner = on1.status == 0 ? node1 : node2;
  Node& other = on1.status == 0 ? node2 : node1;
  winner.guest_writes("wheezy");
  REQUIRE(other.role("Wheezy") == "Secondary");
  other.left_nothing("Wheezy");
  winner.types("xl destroy wheezy");
  winner.becomes("Wheezy", "Secondary");
  other.types("xl create /etc/xen/wheezy.cfg");
  other.guest_writes("wheezy");
  other.types("xl destroy wheezy");
  other.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(
    Lab, "both nodes lose power while the link is cut - the records of that time are found") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  link_is_cut();
  REQUIRE(eventually([&] { return node1.connection("Wheezy") == "Connecting"; }));
  const long on_both = node1.last_record("wheezy");
  node1.guest_writes("wheezy", 3);
  const long written = node1.last_record("wheezy");
  REQUIRE(written > on_both);
  power_fails();
  link_is_restored();

  // It has missed the newest records, and cannot know.
  node2.boots();
  refused_for_absence(node2, "wheezy", "Wheezy");
  node2.explains("Wheezy", wheezy_is_alone);
  node2.left_nothing("Wheezy");

  node1.boots();
  node2.waits_until_up_to_date("Wheezy");
  for (Node* node : {&node1, &node2})
    node->explains("Wheezy", "Secondary UpToDate Secondary UpToDate Connected", 0);
  records_reach(written, disk_of_wheezy);
  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.finds_records("wheezy", written);
  node2.guest_writes("wheezy");
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.finds_records("wheezy", node2.last_record("wheezy"));
  node1.guest_writes("wheezy");
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
