// The program as its Debian package puts it on a node.
#include "lab.h"

namespace block_drbd::lab {

TEST_CASE_METHOD(
    Lab, "block-drbd is installed as a package - a guest migrates, a purge brings the original") {
  const std::string script = "/etc/xen/scripts/block-drbd";
  program_is_a_package();
  for (Node* node : {&node1, &node2}) {
    REQUIRE(node->types("dpkg -S $(readlink -f " + script + ")") ==
            "block-drbd: /usr/sbin/block-drbd\n");
    REQUIRE(node->types("dpkg -S " + script).find("block-drbd: " + script + "\n") !=
            std::string::npos);
    REQUIRE(node->types("head -c 2 " + script + ".distrib") == "#!");
  }

  node1.types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
  node1.guest_writes("wheezy");
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Wheezy");
  node2.guest_writes("wheezy");
  node2.types("xl shutdown -w wheezy");
  node2.becomes("Wheezy", "Secondary");
  node2.left_nothing("Wheezy");
  records_are_whole("wheezy", disk_of_wheezy);

  for (Node* node : {&node1, &node2}) {
    node->types("dpkg --purge block-drbd && rm /run/installed.deb");
    REQUIRE(node->types("head -c 2 " + script) == "#!");
    REQUIRE(node->tries("test -e /usr/sbin/block-drbd || test -e " + script + ".distrib").status ==
            1);
  }
}

}  // namespace block_drbd::lab
