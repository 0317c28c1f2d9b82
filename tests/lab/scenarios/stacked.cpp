// A resource that is stacked on another one, which mirrors it to a third site.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

const std::string on_lenny =
    "xl create /etc/xen/wheezy.cfg 'type=\"pvh\"' 'disk=[\"drbd:Lenny,xvda,w\"]'";

}  // namespace

TEST_CASE_METHOD(Lab, "a guest is on a stacked resource - it migrates to the third site") {
  node2.types("/lab/stacked");
  node1.types("/lab/stacked");
  REQUIRE_THAT(node1.fails(on_lenny),
               ContainsSubstring("script: ") && ContainsSubstring("drbdadm --stacked up Lenny"));
  node1.left_nothing("Lenny");

  node1.types("drbdadm primary Wheezy");
  node1.types("drbdadm --stacked create-md --force Lenny && drbdadm --stacked up Lenny");
  REQUIRE(eventually([&] { return node1.connection("Lenny") == "Connected"; }));
  node1.types("drbdadm --stacked new-current-uuid --clear-bitmap Lenny/0");

  // The one below belongs to it.
  REQUIRE_THAT(node1.fails("xl create /etc/xen/wheezy.cfg"),
               ContainsSubstring("script: ") && ContainsSubstring("Wheezy is already in use") &&
                   ContainsSubstring("used by drbd10 (a DRBD resource stacked on it"));
  REQUIRE(node1.role("Wheezy") == "Primary");
  REQUIRE(node1.role("Lenny") == "Secondary");

  node1.types(on_lenny);
  REQUIRE(node1.role("Lenny") == "Primary");
  node1.guest_writes("wheezy");
  must_migrate(node1, node2, "wheezy");
  has_moved(node1, node2, "wheezy", "Lenny");
  node2.types("xl destroy wheezy");
  node2.becomes("Lenny", "Secondary");
  node2.left_nothing("Lenny");

  // Nobody's guest had the one below: who made it Primary takes it back.
  REQUIRE(node1.role("Wheezy") == "Primary");
  node1.types("drbdadm --stacked down Lenny && drbdadm secondary Wheezy");
}

}  // namespace block_drbd::lab
