// Somebody on the node still has the device open when the guest ends.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// How often DRBD has said so since the node has booted.
int refused_demotions(Node& node) {
  return count_lines(node.types("dmesg"), "drbd1: State change failed: Device is held open");
}

}  // namespace

TEST_CASE_METHOD(Lab, "the device is held open for some seconds - the role is given back then") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  Task holder = node1.starts(hold_of_wheezy);

  // xl waits for the block script, so it is left running.
  const int before = refused_demotions(node1);
  Task destroy = node1.starts("xl destroy wheezy");
  REQUIRE(eventually([&] { return refused_demotions(node1) >= before + 2; }));
  REQUIRE(eventually([&] {  // not at once: most are closed a moment later
    return node1.log().find("trying to make it Secondary again") != std::string::npos;
  }));
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(holder.runs());
  holder.killed();

  const Typed destroyed = destroy.ends();
  REQUIRE(destroyed.status == 0);
  REQUIRE_THAT(destroyed.output, ContainsSubstring("trying to make it Secondary again"));
  REQUIRE_THAT(destroyed.output, !ContainsSubstring("still Primary"));
  REQUIRE(node1.role("Wheezy") == "Secondary");
  node1.left_nothing("Wheezy");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab,
                 "the device stays held open - the administrator is told, and a keeper waits") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  Task holder = node1.starts(hold_of_wheezy);

  const std::string answer = node1.tries("xl destroy wheezy").output;
  REQUIRE(holder.runs());
  for (const char* words :
       {"Wheezy is still Primary", "/dev/drbd1", "sleep", "drbdadm secondary Wheezy"}) {
    REQUIRE_THAT(answer, ContainsSubstring(words));
    REQUIRE_THAT(node1.log(), ContainsSubstring(words));
  }
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.explains("Wheezy", "as soon as the device is free. End what has it open: sleep (");

  // Nobody types anything: the role is given back, and the guest can start elsewhere.
  holder.killed();
  node1.becomes("Wheezy", "Secondary");
  node1.left_nothing("Wheezy");
  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.guest_writes("wheezy");
}

}  // namespace block_drbd::lab
