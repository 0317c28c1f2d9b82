// A guest whose disk is served by another guest, in which DRBD and the block script run.
#include "lab.h"

namespace block_drbd::lab {

TEST_CASE_METHOD(Lab, "a guest has its disk from a driver domain - the role there goes with it") {
  node1.types("/lab/driver-domain");
  // By hand, as nobody knows whether its other node has the resource.
  node1.reports("drvdom", ".*resource name:Etch role:Primary");
  const std::string disk =
      "'disk=[\"vdev=xvda,access=rw,script=block-drbd,backend=drvdom,target=Etch\"]' ";
  node1.types("xl create /etc/xen/wheezy.cfg " + disk);
  node1.guest_writes("wheezy");
  REQUIRE(node1.types("xenstore-read /local/domain/$(xl domid drvdom)/backend/vbd/"
                      "$(xl domid wheezy)/51712/physical-device") == "93:1\n");

  // xl does not hear of it; the driver domain's log does.
  node1.types("xl create -p /etc/xen/wheezy.cfg 'name=\"intruder\"' " + disk);
  node1.reports("drvdom", "block-drbd: .* already in use on this node: domain [0-9]+ as xvda .*");
  node1.types("xl destroy intruder");
  node1.guest_writes("wheezy");

  node1.types("xl shutdown -w wheezy");
  // The first time was when it came up.
  node1.reports("drvdom", ".*resource name:Etch role:Secondary.*", 2);
  node1.types("xl destroy drvdom");
}

}  // namespace block_drbd::lab
