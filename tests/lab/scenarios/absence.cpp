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

}  // namespace

TEST_CASE_METHOD(Lab,
                 "a node loses power - starts ask for a decision, a running guest may reboot") {
  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.guest_writes("wheezy");
  node2.loses_power();
  // At once: DRBD still takes the dead node for Primary, and only an attempt makes it look.
  refused_for_absence(node1, "wheezy", "Wheezy");
  node1.types("drbdadm primary Wheezy");
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.reports("wheezy", "record chain 1\\.\\.[0-9]+ ok");

  // The absence is known by now: nobody waits for the link once more.
  const std::string waiting = "waiting, because the other node";
  const int waited = count_lines(node1.log(), waiting);
  refused_for_absence(node1, "jessie", "Jessie");
  REQUIRE(count_lines(node1.log(), waiting) == waited);

  // Who had it when the other was gone may have it again.
  const std::string before = node1.types("xl domid wheezy");
  node1.types("xl reboot wheezy");
  REQUIRE(eventually([&] {
    const Typed now = node1.tries("xl domid wheezy 2>/dev/null");
    return now.status == 0 && now.output != before;
  }));
  node1.reports("wheezy", "record chain 1\\.\\.[0-9]+ ok", 2);
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
  node1.guest_writes("wheezy");
  link_is_restored();
  node2.waits_until_up_to_date("Wheezy");
  node1.guest_writes("wheezy");
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
