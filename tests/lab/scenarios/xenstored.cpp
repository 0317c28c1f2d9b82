// xenstored dies under a guest, and another one takes its place that knows nothing.
#include "lab.h"

namespace block_drbd::lab {

using Catch::Matchers::ContainsSubstring;

TEST_CASE_METHOD(Lab, "xenstored is started anew under a guest - nobody else gets its disk") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  const long written = node1.last_record("wheezy");
  node1.types("/lab/start-xenstored");

  // Its disk needs no xenstored.
  const std::string chain = node1.chain_on_disk(disk_of_wheezy);
  REQUIRE(eventually([&] { return node1.chain_on_disk(disk_of_wheezy) != chain; }));
  node1.explains("Wheezy", "xenstore knows nothing of it: xenstored was started anew");
  REQUIRE_THAT(node1.fails("/lab/start-disks 1 Wheezy | tee /dev/stderr | grep -q 'ended 0'"),
               ContainsSubstring("is already in use on this node"));
  REQUIRE_THAT(node2.fails("xl create /etc/xen/wheezy.cfg"),
               ContainsSubstring("Wheezy is Primary on the other node"));
  node2.left_nothing("Wheezy");
  REQUIRE(node1.role("Wheezy") == "Primary");

  // As `block-drbd test` says where nobody can manage the guest any more: the node is booted.
  node1.loses_power();
  node1.boots();
  node1.waits_until_up_to_date("Wheezy");
  node1.left_nothing("Wheezy");
  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.finds_records("wheezy", written);
  must_end(node2, "wheezy", "Wheezy", disk_of_wheezy);
}

}  // namespace block_drbd::lab
