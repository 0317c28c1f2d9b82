// Disks that come and go while their guest runs.
#include "lab.h"

namespace block_drbd::lab {
namespace {

void attached(Node& node) {
  REQUIRE(eventually([&] { return node.backend("wheezy", xvdc).hotplug_status == "connected"; }));
  REQUIRE(node.backend("wheezy", xvdc).physical_device == "93:4");
  node.types("drbdsetup role 4 | grep ^Primary");
}

}  // namespace

TEST_CASE_METHOD(Lab, "disks are attached in every spelling, and detached, one while it is used") {
  // The guest writes to what comes as xvdb.
  node1.types("xl create /etc/xen/wheezy.cfg 'extra=\"console=hvc0 quiet record=xvdb\"'");
  node1.types("xl block-attach wheezy 'drbd:Buster/0,xvdb,w'");
  node1.guest_writes("wheezy");
  REQUIRE(node1.backend("wheezy", xvdb).physical_device == "93:3");

  for (const char* disk : {
           "'drbd:Buster/1,xvdc,w'",
           "'drbd:Buster/1, xvdc, w'",
           "'vdev=xvdc,script=block-drbd,target=Buster/1'",
           "'format=raw, vdev=xvdc, access=rw, script=block-drbd, target=Buster/1'",
           "vdev=xvdc access=w script=block-drbd 'target=Buster/1'",
       }) {
    INFO(disk);
    node1.types(std::string("xl block-attach wheezy ") + disk);
    attached(node1);
    node1.types("xl block-detach wheezy xvdc");
    REQUIRE(eventually([&] { return node1.backend("wheezy", xvdc).hotplug_status.empty(); }));
    node1.guest_writes("wheezy", 1);
  }

  // The guest does not let it go: xl takes it away. Only now nobody uses the resource any more.
  REQUIRE(node1.role("Buster") == "Primary");
  node1.tries("xl block-detach wheezy xvdb");
  node1.becomes("Buster", "Secondary");
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  node1.left_nothing("Wheezy");
  node1.left_nothing("Buster");
}

}  // namespace block_drbd::lab
