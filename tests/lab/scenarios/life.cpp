// A guest's life: created, shut down, destroyed, rebooted; and what else has the role's lifetime.
#include "lab.h"

namespace block_drbd::lab {
namespace {

void created_and_shut_down(Lab& lab, const std::string& type) {
  Node& node1 = lab.node1;
  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"" + type + "\"'");
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(lab.node2.role("Wheezy") == "Secondary");
  const Backend xvda = node1.backend("wheezy");
  REQUIRE(xvda.physical_device == "93:1");
  REQUIRE(xvda.physical_device_path == "/dev/drbd1");
  REQUIRE(xvda.hotplug_status == "connected");
  node1.guest_writes("wheezy", 3);
  // The program goes by it where xenstore has forgotten the guest.
  const std::string served = "test -e /sys/bus/xen-backend/devices/vbd-" +
                             std::to_string(std::stoi(node1.types("xl domid wheezy"))) + '-' +
                             std::to_string(block_drbd::lab::xvda);
  node1.types(served);

  node1.types("xl shutdown -w wheezy");
  node1.becomes("Wheezy", "Secondary");
  node1.fails(served);
  node1.left_nothing("Wheezy");
  lab.records_are_whole("wheezy", disk_of_wheezy);
}

}  // namespace

TEST_CASE_METHOD(Lab, "a PVH guest is created and writes - its node is Primary until shutdown") {
  created_and_shut_down(*this, "pvh");
}

TEST_CASE_METHOD(Lab, "a PV guest is created and writes - its node is Primary until shutdown") {
  created_and_shut_down(*this, "pv");
}

TEST_CASE_METHOD(Lab, "a guest is destroyed - its node becomes Secondary") {
  node1.types("xl create /etc/xen/jessie.cfg");
  node1.guest_writes("jessie");

  node1.types("xl destroy jessie");
  node1.becomes("Jessie", "Secondary");
  node1.left_nothing("Jessie");
  records_are_whole("jessie", disk_of_jessie);
}

TEST_CASE_METHOD(
    Lab, "a guest reboots, is shut down here and created there at once - it finds its records") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  const std::string before = node1.types("xl domid wheezy");
  node1.guest_writes("wheezy");

  node1.types("xl reboot wheezy");
  REQUIRE(eventually([&] {
    const Typed now = node1.tries("xl domid wheezy 2>/dev/null");
    return now.status == 0 && now.output != before;
  }));
  node1.becomes("Wheezy", "Primary");
  node1.reports("wheezy", "record chain 1\\.\\.[0-9]+ ok");
  node1.guest_writes("wheezy");

  // xl does not wait for the end of the shutdown: the start meets a Primary, and waits for it.
  node1.types("xl shutdown -w wheezy");
  node2.types("xl create /etc/xen/wheezy.cfg");
  node2.reports("wheezy", "record chain 1\\.\\.[0-9]+ ok");
  REQUIRE(node2.role("Wheezy") == "Primary");
  REQUIRE(node1.role("Wheezy") == "Secondary");
  node1.left_nothing("Wheezy");
  node2.types("xl destroy wheezy");
  node2.becomes("Wheezy", "Secondary");
  records_are_whole("wheezy", disk_of_wheezy);
}

TEST_CASE_METHOD(Lab, "two guests read one disk - the role goes with the last of them") {
  // Attached, but not running: they have nothing to write to.
  const std::string create = "xl create -p /etc/xen/wheezy.cfg 'disk=[\"drbd:Wheezy,xvda,r\"]' ";
  node1.types(create + "'name=\"first\"'");
  node1.types(create + "'name=\"second\"'");
  REQUIRE(node1.backend("first").hotplug_status == "connected");
  REQUIRE(node1.backend("second").hotplug_status == "connected");
  node1.fails("xl create -p /etc/xen/wheezy.cfg");

  node1.types("xl destroy first");
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node1.backend("second").hotplug_status == "connected");
  node1.types("xl destroy second");
  node1.becomes("Wheezy", "Secondary");
  node1.left_nothing("Wheezy");
}

TEST_CASE_METHOD(Lab, "the shell original attached a disk - block-drbd releases it") {
  node1.types(
      "cd /etc/xen/scripts && mv block-drbd .block-drbd && cp -p block-drbd.shell block-drbd");
  node1.types("xl create -p /etc/xen/wheezy.cfg");
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("mv /etc/xen/scripts/.block-drbd /etc/xen/scripts/block-drbd");
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  node1.left_nothing("Wheezy");
}

TEST_CASE_METHOD(Lab, "a guest has two volumes of one resource - both are attached and let go") {
  node1.types("xl create /etc/xen/buster.cfg");
  REQUIRE(node1.role("Buster") == "Primary");
  REQUIRE(node1.backend("buster", xvda).physical_device == "93:3");
  REQUIRE(node1.backend("buster", xvdb).physical_device == "93:4");
  node1.guest_writes("buster");

  node1.types("xl destroy buster");
  node1.becomes("Buster", "Secondary");
  node1.left_nothing("Buster");
}

}  // namespace block_drbd::lab
