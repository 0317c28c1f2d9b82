// The contract of xend, which is no more: udev runs Xen's own block script, and that ours.
#include "lab.h"

namespace block_drbd::lab {

TEST_CASE_METHOD(Lab,
                 "xend's udev runs block twice - attached once, and released when it is gone") {
  const std::string environment =
      "export XENBUS_TYPE=vbd XENBUS_BASE_PATH=backend XENBUS_PATH=backend/vbd/77/51712; ";
  const auto value = [&](const std::string& key) {
    return node1.types("xenstore-read backend/vbd/77/51712/" + key);
  };
  const std::string add_twice = environment +
                                "/etc/xen/scripts/block add & first=$!; /etc/xen/scripts/block add "
                                "&& wait $first";
  const auto is_attached = [&] {
    node1.types("/lab/backend 77 Wheezy drbd");
    node1.types(add_twice);
    REQUIRE(value("hotplug-status") == "connected\n");
    REQUIRE(value("physical-device") == "93:1\n");
    REQUIRE(node1.role("Wheezy") == "Primary");
  };
  // Today's block script hands on no `remove`; the one of xend's time did.
  const auto is_released = [&] {
    node1.types(environment + "/etc/xen/scripts/block-drbd remove");
    REQUIRE(node1.role("Wheezy") == "Secondary");
  };

  is_attached();
  node1.types("xenstore-write backend/vbd/77/51712/state 6");
  is_released();
  node1.types("xenstore-rm backend/vbd/77");

  // xend wipes the directory before udev gets there.
  is_attached();
  node1.types("xenstore-rm backend/vbd/77; xenstore-rm /local/domain/77");
  is_released();
  node1.left_nothing("Wheezy");

  // xend waits for a word in hotplug-status, also for a failure's.
  node1.types("/lab/backend 77 Nothing drbd");
  node1.fails(environment + "/etc/xen/scripts/block add");
  REQUIRE(value("hotplug-status") == "error\n");
  node1.types("xenstore-rm backend/vbd/77; xenstore-rm /local/domain/77");
}

}  // namespace block_drbd::lab
