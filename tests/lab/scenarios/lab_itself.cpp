// The lab would notice: what the other scenarios rely on is broken here on purpose.
#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE_METHOD(Lab, "the guest reports a record of another writer, and one that is gone") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  node1.types("xl destroy wheezy");
  node1.becomes("Wheezy", "Secondary");
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");

  // Behind DRBD's back, over the last record: the first one, which the life before wrote.
  const std::string last = std::to_string(node1.last_record("wheezy"));
  node1.types(
      "dd if=/dev/vdb1 of=/dev/vdb1 iflag=direct oflag=direct conv=notrunc bs=512 count=1 "
      "skip=1 seek=" +
      last);
  node1.reports("wheezy", "RECORD MIXED .*");
  node1.types("xl destroy wheezy");

  node1.types("dd if=/dev/zero of=/dev/vdb1 oflag=direct conv=notrunc bs=512 count=1 seek=2");
  const Typed check = node1.tries("/lab/recorder check /dev/vdb1");
  REQUIRE(check.status != 0);
  REQUIRE_THAT(check.output, ContainsSubstring("RECORD LOST"));
}

}  // namespace block_drbd::lab
