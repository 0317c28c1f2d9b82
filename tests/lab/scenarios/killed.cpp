// The program is killed, or its node is, at one of its system calls; real DRBD and a real xenstored
// have what it has done by then. tests/faults/killed does the first of these at all of them, with a
// stand-in for DRBD.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include "lab.h"

namespace block_drbd::lab {
namespace {

// LAB_EVERY=1 is every system call.
int every() {
  const char* every = std::getenv("LAB_EVERY");
  return every == nullptr ? 10 : std::max(1, std::atoi(every));
}

// Kills it at each of those system calls; how many there were.
int is_killed(Node& node, const std::string& what) {
  int points = 0;
  for (int call = 1 + every() / 2;; call += every()) {
    const Typed round = node.tries("/lab/killed " + std::to_string(call) + ' ' + what);
    INFO(round.output);
    REQUIRE(round.output.empty());
    if (round.status == 3)
      return points;
    REQUIRE(round.status == 0);
    ++points;
  }
}

void is_in_order(Node& node) {
  // What DRBD has not answered is waited for two minutes.
  REQUIRE(eventually([&] { return node.leftovers("Wheezy").empty(); }, 240s));
}

// The next `add` stands still when it has come to that system call.
void stops_next_add(Node& node, int call) {
  node.types(
      "cd /etc/xen/scripts && mv block-drbd block-drbd.real && "
      "printf '#!/bin/bash\n"
      "[[ $1 != add ]] || at=\"/lab/at-call " +
      std::to_string(call) +
      " stop\"\n"
      "mv /etc/xen/scripts/block-drbd.real /etc/xen/scripts/block-drbd\n"
      "exec $at /etc/xen/scripts/block-drbd \"$@\"\n' >block-drbd && chmod +x block-drbd");
}

void comes_to_its_stop(Node& node) {
  REQUIRE(eventually(
      [&] { return node.tries("ps -eo stat,args | grep '^T.*block-drbd add$'").status == 0; }));
}

}  // namespace

TEST_CASE_METHOD(
    Lab, "block-drbd is killed as a guest starts or ends - the next call puts all in order") {
  const int starts = is_killed(node1, "start");
  const int ends = is_killed(node1, "end");
  is_in_order(node1);
  std::printf("killed at %d points of a start, %d of an end\n", starts, ends);
  REQUIRE(std::min(starts, ends) > 200 / every());
}

TEST_CASE_METHOD(Lab, "block-drbd is killed as a guest arrives - the next call puts all in order") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  const int arrivals = is_killed(node2, "arrival");
  is_in_order(node2);
  node1.guest_writes("wheezy");
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
  std::printf("killed at %d points of an arrival\n", arrivals);
  REQUIRE(arrivals > 300 / every());
}

TEST_CASE_METHOD(
    Lab, "a node loses power while add runs for a guest that starts - either node starts it then") {
  long written = 0;
  bool there = false;
  // Of its three hundred calls: before its claim, before and after its promotion, at its end.
  for (const int call : {150, 200, 250, 300}) {
    INFO("at system call " << call);
    stops_next_add(node1, call);
    node1.starts("xl create /etc/xen/wheezy.cfg");
    comes_to_its_stop(node1);
    node1.loses_power();
    node2.fails("xl create /etc/xen/wheezy.cfg");
    node2.explains("Wheezy", wheezy_is_alone);
    node2.left_nothing("Wheezy");
    node1.boots();
    node1.waits_until_up_to_date("Wheezy");
    there = !there;
    Node& starter = there ? node2 : node1;
    starter.types("xl create /etc/xen/wheezy.cfg");
    if (written > 0)  // else the disk is blank
      starter.finds_records("wheezy", written);
    starter.guest_writes("wheezy");
    written = starter.last_record("wheezy");
    starter.types("xl destroy wheezy");
    starter.becomes("Wheezy", "Secondary");
    for (Node* node : {&node1, &node2})
      node->left_nothing("Wheezy");
    records_reach(written, disk_of_wheezy);
    // So that the next start is the first one that it tells of; node1's goes with its power.
    node2.types("rm -f /var/log/xen/console/*");
  }
}

TEST_CASE_METHOD(
    Lab,
    "a node loses power while add runs for a guest that migrates - the nodes find together again") {
  const auto create = [&] {
    node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
    node1.guest_writes("wheezy");
  };
  const auto have_found_together = [&] {
    node2.waits_until_up_to_date("Wheezy");
    for (Node* node : {&node1, &node2}) {
      REQUIRE(eventually([&] { return !node->has_window("Wheezy"); }, 240s));
      REQUIRE(node->two_primaries("Wheezy") == "no");
      node->explains("Wheezy", "UpToDate Connected", 0);
    }
  };
  node1.has_healer();
  node2.has_healer();
  create();
  // Of its almost five hundred calls: before and after it opens the window, and after its
  // promotion.
  constexpr std::array stages = {260, 300, 400};
  for (const int call : stages) {
    INFO("at system call " << call);
    stops_next_add(node2, call);
    Task migration = node1.starts_migration("wheezy", node2);
    comes_to_its_stop(node2);
    node2.loses_power();
    // TCP would notice only much later.
    node1.types("pkill -x -f 'socat -b 262144 - TCP:node2:4444'");
    REQUIRE(migration.ends().status != 0);
    node1.guest_writes("wheezy", 3);
    REQUIRE(node1.role("Wheezy") == "Primary");
    node1.explains("Wheezy", wheezy_is_alone);
    node2.boots();
    node2.has_healer();
    have_found_together();
    node2.left_nothing("Wheezy");
    node1.drops_lost_connections();
  }
  for (const int call : stages) {
    INFO("the source, at system call " << call);
    stops_next_add(node2, call);
    node1.starts_migration("wheezy", node2);
    comes_to_its_stop(node2);
    const long written = node1.last_record("wheezy");
    node1.loses_power();
    node2.types("pkill -CONT -x block-drbd; ss -K '( sport = :4444 )'");
    node2.tries("xl destroy wheezy--incoming");
    node2.becomes("Wheezy", "Secondary");
    node2.explains("Wheezy", wheezy_is_alone);
    node1.boots();
    node1.has_healer();
    have_found_together();
    for (Node* node : {&node1, &node2})
      node->left_nothing("Wheezy");
    records_reach(written, disk_of_wheezy);
    create();
    node1.finds_records("wheezy", written);
  }
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
