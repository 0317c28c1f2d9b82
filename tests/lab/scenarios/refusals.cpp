// A guest cannot have its disk: xl says why, nothing is left behind, nobody else is disturbed.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

void refused_while_peer_runs_it(Lab& lab, const std::string& guest, const std::string& resource,
                                int disk) {
  lab.node1.types("xl create /etc/xen/" + guest + ".cfg");
  lab.node1.guest_writes(guest);

  const std::string answer = lab.node2.fails("xl create /etc/xen/" + guest + ".cfg");
  REQUIRE_THAT(answer, ContainsSubstring("script: ") && ContainsSubstring(resource) &&
                           ContainsSubstring("Primary on"));
  REQUIRE_THAT(lab.node2.log(), ContainsSubstring(resource + " is Primary on"));
  REQUIRE_FALSE(lab.node2.has_guest(guest));
  REQUIRE(lab.node2.role(resource) == "Secondary");
  lab.node2.left_nothing(resource);

  REQUIRE(lab.node1.role(resource) == "Primary");
  lab.node1.guest_writes(guest);
  lab.node1.types("xl destroy " + guest);
  lab.node1.becomes(resource, "Secondary");
  lab.records_are_whole(guest, disk);
}

// Nobody has the resource; the start fails for what the resource is.
void refused_alone(Node& node, const std::string& disk, const std::string& resource,
                   const std::string& words) {
  const std::string answer =
      node.fails("xl create /etc/xen/wheezy.cfg 'disk=[\"drbd:" + disk + ",xvda,w\"]'");
  INFO(answer);
  REQUIRE_THAT(answer, ContainsSubstring("script: ") && ContainsSubstring(resource) &&
                           ContainsSubstring(words));
  REQUIRE_THAT(node.log(), ContainsSubstring(resource) && ContainsSubstring(words));
  REQUIRE_FALSE(node.has_guest("wheezy"));
  node.left_nothing(resource);
}

}  // namespace

TEST_CASE_METHOD(Lab, "a start is refused while the peer runs the guest - two primaries allowed") {
  refused_while_peer_runs_it(*this, "jessie", "Jessie", disk_of_jessie);
}

TEST_CASE_METHOD(Lab, "a start is refused while the peer runs the guest - one primary allowed") {
  refused_while_peer_runs_it(*this, "wheezy", "Wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab,
                 "both nodes start the guest at once - at most one has it, and it can migrate") {
  // Where two primaries are configured, DRBD refuses neither.
  Task first = node1.starts("xl create /etc/xen/jessie.cfg 'type=\"pvh\"'");
  Task second = node2.starts("xl create /etc/xen/jessie.cfg 'type=\"pvh\"'");
  const Typed on1 = first.ends();
  const Typed on2 = second.ends();
  INFO("node1: " << on1.status << " " << on1.output);
  INFO("node2: " << on2.status << " " << on2.output);
  REQUIRE((on1.status == 0) != (on2.status == 0));

  Node& winner = on1.status == 0 ? node1 : node2;
  Node& loser = on1.status == 0 ? node2 : node1;
  REQUIRE_THAT(on1.status == 0 ? on2.output : on1.output, ContainsSubstring("Primary"));
  REQUIRE(winner.role("Jessie") == "Primary");
  REQUIRE(loser.role("Jessie") == "Secondary");
  loser.left_nothing("Jessie");
  winner.guest_writes("jessie", 3);

  must_migrate(winner, loser, "jessie");
  has_moved(winner, loser, "jessie", "Jessie");
  // They stay allowed.
  REQUIRE(node1.two_primaries("Jessie") == "yes");
  REQUIRE(node2.two_primaries("Jessie") == "yes");
  loser.types("xl destroy jessie");
  loser.becomes("Jessie", "Secondary");
  loser.left_nothing("Jessie");
  records_are_whole("jessie", disk_of_jessie);
}

TEST_CASE_METHOD(Lab, "a start is refused - the resource is unknown, down, or without good data") {
  refused_alone(node1, "Squeeze", "Squeeze", "Squeeze");
  refused_alone(node1, "Sleepy", "Sleepy", "drbdadm up Sleepy");
  refused_alone(node1, "Broken", "Broken", "good");
  refused_alone(node1, "Buster/7", "Buster", "no volume 7");
  refused_alone(node1, "Buster", "Buster", "0, 1");
}

TEST_CASE_METHOD(Lab,
                 "a second guest on the same resource is refused - the first is not disturbed") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");

  const std::string answer = node1.fails("xl create /etc/xen/wheezy.cfg 'name=\"intruder\"'");
  REQUIRE_THAT(answer, ContainsSubstring("script: ") && ContainsSubstring("Wheezy") &&
                           ContainsSubstring("guest wheezy"));
  REQUIRE_FALSE(node1.has_guest("intruder"));
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node1.backend("wheezy").hotplug_status == "connected");
  node1.guest_writes("wheezy");

  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  node1.left_nothing("Wheezy");
  records_are_whole("wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
