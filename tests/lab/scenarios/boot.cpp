// Ways for a guest to boot: from its disk through QEMU's BIOS, or through pygrub in the node. (With
// the kernel given by its configuration all other scenarios do.)
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

// Emulation in emulation: from an IDE disk the BIOS reads sector by sector.
constexpr auto time_to_boot = 1200s;

void put_boot_disk(Node& node) {
  node.types(
      "drbdadm primary Wheezy && dd if=/mnt/boot.img of=/dev/drbd1 bs=1M oflag=direct status=none "
      "&& udevadm settle && drbdadm secondary Wheezy");
}

// As xen-create-image writes it: a disk that looks like a partition.
constexpr const char* create_by_pygrub =
    "xl create /etc/xen/boot.cfg 'type=\"pv\"' 'bootloader=\"pygrub\"' "
    "'disk=[\"drbd:Wheezy,xvda2,w\", \"drbd:Jessie,xvdb,w\"]'";

// Both disks, on the node where the guest runs.
void has_both(Node& node) {
  for (const char* resource : {"Wheezy", "Jessie"})
    REQUIRE(node.role(resource) == "Primary");
  for (const int device : {hda, xvdb})
    REQUIRE(node.backend("boot", device).hotplug_status == "connected");
}

void ends(Node& node, const std::string& command) {
  node.types(command + " boot");
  for (const char* resource : {"Wheezy", "Jessie"}) {
    node.becomes(resource, "Secondary");
    node.left_nothing(resource);
  }
}

// QEMU's BIOS reads from the emulated disk before there is any frontend.
void boots_through_bios(Node& node, const std::string& controller) {
  put_boot_disk(node);
  // An old name and a new one.
  node.types("xl create /etc/xen/boot.cfg 'type=\"hvm\"' 'hdtype=\"" + controller +
             "\"' 'disk=[\"drbd:Wheezy,hda,w\", \"drbd:Jessie,xvdb,w\"]'");
  node.reports("boot", "guest: up, .* loader=bios.*", 1, time_to_boot);
  has_both(node);
  REQUIRE(node.backend("boot", hda).physical_device_path == "/dev/drbd1");
  node.guest_writes("boot");
}

}  // namespace

TEST_CASE_METHOD(Lab, "an HVM guest boots from an IDE disk, which takes minutes here") {
  boots_through_bios(node1, "ide");
  ends(node1, "xl shutdown -w");
  records_are_whole("boot", disk_of_jessie);
}

TEST_CASE_METHOD(Lab, "an HVM guest boots from its disk through QEMU, and migrates live") {
  boots_through_bios(node1, "ahci");
  must_migrate(node1, node2, "boot");
  has_moved(node1, node2, "boot", "Wheezy", hda);
  has_moved(node1, node2, "boot", "Jessie", xvdb);
  has_both(node2);
  ends(node2, "xl shutdown -w");

  records_are_whole("boot", disk_of_jessie);
}

TEST_CASE_METHOD(Lab, "a PV guest boots through pygrub from its disk - the role outlasts pygrub") {
  put_boot_disk(node1);
  node1.types(create_by_pygrub);
  node1.reports("boot", "guest: up, .* loader=pygrub.*");
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node1.backend("boot", xvda + 2).hotplug_status == "connected");
  node1.guest_writes("boot");

  must_migrate(node1, node2, "boot", false);
  for (const char* resource : {"Wheezy", "Jessie"}) {
    REQUIRE(node2.role(resource) == "Primary");
    node1.left_nothing(resource);
  }
  node2.guest_writes("boot");
  ends(node2, "xl destroy");

  // The bootloader fails: it was the node's own disk for a moment, and is no more.
  const std::string answer =
      node1.fails("xl create /etc/xen/boot.cfg 'type=\"pv\"' 'bootloader=\"/bin/false\"'");
  REQUIRE_THAT(answer, ContainsSubstring("bootloader"));
  REQUIRE(node1.role("Wheezy") == "Secondary");
  node1.left_nothing("Wheezy");
  node1.left_nothing("Jessie");
  records_are_whole("boot", disk_of_jessie);
}

TEST_CASE_METHOD(
    Lab, "a guest boots through pygrub where the peer is away - by decision, and when it reboots") {
  put_boot_disk(node1);
  node2.loses_power();
  REQUIRE_THAT(node1.fails(create_by_pygrub), ContainsSubstring("is not connected to"));
  node1.types("xenstore-rm backend/vbd/0");  // libxl leaves what it could not attach to itself
  for (const char* resource : {"Wheezy", "Jessie"})
    node1.left_nothing(resource);

  node1.types("drbdadm primary Wheezy Jessie");
  node1.types(create_by_pygrub);
  node1.guest_writes("boot");
  const long written = node1.last_record("boot");
  node1.types("xl reboot boot");
  node1.finds_records("boot", written);  // the disk was blank before
  node1.guest_writes("boot");
  ends(node1, "xl destroy");

  node2.boots();
  for (const char* resource : {"Wheezy", "Jessie"})
    node2.waits_until_up_to_date(resource);
  records_are_whole("boot", disk_of_jessie);
}

}  // namespace block_drbd::lab
