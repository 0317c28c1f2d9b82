// What becomes of the guest's data where a disk, the link, or both copies are not as they should
// be.
#include <thread>

#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// From the other node, so slowly that it is not done while anybody looks.
void is_copied_slowly_to(Node& node, Node& from) {
  for (Node* each : {&node, &from})
    each->types("drbdadm disk-options --c-plan-ahead=0 --resync-rate=100K Wheezy");
  node.types("drbdadm invalidate Wheezy");
  REQUIRE(eventually([&] {
    return count_lines(node.types("drbdsetup status --verbose Wheezy"), "replication:SyncTarget") ==
           1;
  }));
}

void is_copied_quickly(Lab& lab) {
  for (Node* each : {&lab.node1, &lab.node2})
    each->types("drbdadm adjust Wheezy");
  lab.node1.waits_until_up_to_date("Wheezy");
}

}  // namespace

TEST_CASE_METHOD(Lab,
                 "a disk fails, the link flaps, a resync runs - the guest loses nothing, and "
                 "migrates if it may") {
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  for (int times = 0; times < 3; ++times) {
    link_is_cut();
    std::this_thread::sleep_for(2s);
    link_is_restored();
    std::this_thread::sleep_for(1s);
  }
  node1.waits_until_up_to_date("Wheezy");
  node1.guest_writes("wheezy");

  // Its data is on its way to this node: it cannot come here before that is done.
  is_copied_slowly_to(node2, node1);
  const Typed refused = node1.migrates("wheezy", node2);
  REQUIRE(refused.status != 0);
  REQUIRE_THAT(node2.log(), ContainsSubstring("cannot be taken over"));
  node2.explains("Wheezy", "Until then no guest can migrate to here");
  node1.guest_writes("wheezy");
  node2.becomes("Wheezy", "Secondary");
  is_copied_quickly(*this);

  // It reads over the network, and goes where the data is.
  is_copied_slowly_to(node1, node2);
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  is_copied_quickly(*this);

  node2.disk_fails();
  node2.guest_writes("wheezy");
  node2.explains("Wheezy", "the disk of this node is Diskless: the data is read and written");
  node1.explains("Wheezy", " is Diskless: it holds no copy of the data");
  must_migrate(node2, node1, "wheezy");
  has_moved(node2, node1, "wheezy", "Wheezy");
  disk_works_again(node2, "Wheezy");
  must_end(node1, "wheezy", "Wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
