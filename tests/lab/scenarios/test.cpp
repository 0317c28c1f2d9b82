// `block-drbd test`: set-ups that are broken, each mended by nothing but what it prints.
#include <sstream>
#include <thread>

#include "lab.h"

namespace block_drbd::lab {
namespace {

using Catch::Matchers::ContainsSubstring;

constexpr const char* block_drbd_test = "/etc/xen/scripts/block-drbd test ";

// Its lines to type.
std::vector<std::string> commands_in(const std::string& output) {
  std::vector<std::string> commands;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);)
    for (const char* tool : {"    drbdadm ", "    /etc/xen/scripts/", "    xenstore-rm "})
      if (line.rfind(tool, 0) == 0)
        commands.push_back(line.substr(4));
  return commands;
}

void is_fine(Node& node, const std::string& resource) {
  Typed last;
  eventually([&] { return (last = node.tries(block_drbd_test + resource)).status == 0; });
  INFO(node.name() << "# block-drbd test " << resource << '\n' << last.output);
  REQUIRE(last.status == 0);
}

// It fails, and says so in these words; what it prints.
std::string finds(Node& node, const std::string& words, const std::string& resource) {
  const std::string output = node.fails(block_drbd_test + resource);
  REQUIRE_THAT(flat(output), ContainsSubstring(words));
  return output;
}

// As above; then all is typed that it prints, and it is content.
void finds_and_mends(Node& node, const std::string& words, const std::string& resource) {
  const auto commands = commands_in(finds(node, words, resource));
  REQUIRE_FALSE(commands.empty());
  for (const std::string& command : commands)
    node.types(command);
  is_fine(node, resource);
}

}  // namespace

TEST_CASE_METHOD(Lab, "block-drbd test finds what is wrong - what it prints mends it") {
  is_fine(node1, "Wheezy Jessie Buster");
  REQUIRE_THAT(flat(node1.fails(block_drbd_test)),
               ContainsSubstring("but not up: Sleepy"));  // and Broken is no good

  node1.types("echo '{ \"windows\": \"auto\" }' >/etc/xen/block-drbd.json");
  finds(node1, "\"windows\" is unknown", "Wheezy");
  REQUIRE_THAT(node1.fails("/lab/start-disks 1 Wheezy | tee /dev/stderr | grep -q 'ended 0'"),
               ContainsSubstring("\"windows\" is unknown"));
  node1.types("rm /etc/xen/block-drbd.json");

  node1.types("drbdadm primary Wheezy");
  finds_and_mends(node1, "no guest here has it", "Wheezy");

  node1.types("drbdadm primary Wheezy");
  Task holder = node1.starts(hold_of_wheezy);
  finds(node1, "held open by", "Wheezy");
  holder.killed();
  finds_and_mends(node1, "no guest here has it", "Wheezy");

  node1.types("drbdadm primary Buster/0");
  finds_and_mends(node1, "half Primary", "Buster/0");

  node1.types("drbdadm net-options --allow-two-primaries=yes Wheezy");
  finds_and_mends(node2, "may be Primary on two nodes", "Wheezy");

  // A guest that was killed together with its toolstack.
  const std::string backend = "/local/domain/0/backend/vbd/99/51712";
  node1.types("xenstore-write " + backend + "/state 4 " + backend + "/physical-device 93:1");
  finds_and_mends(node1, "the backend of domain 99", "Wheezy");

  node1.types("drbdadm down Jessie");
  REQUIRE_THAT(finds(node1, "configured but not up", "Jessie"),
               ContainsSubstring("`drbdadm up Jessie`"));
  node1.types("drbdadm up Jessie");
  is_fine(node1, "Jessie");

  node1.types("drbdadm disconnect Wheezy");
  finds_and_mends(node1, "(StandAlone)", "Wheezy");

  node1.types(
      "drbdadm disk-options --c-plan-ahead=0 --resync-rate=250K Wheezy && drbdadm invalidate "
      "Wheezy");
  std::string shown;
  eventually([&] {
    shown = node1.tries(std::string(block_drbd_test) + "Wheezy").output;
    return shown.find(" left.") != std::string::npos;
  });
  for (const char* words : {"is being copied from", "% done, about", " left."})
    REQUIRE_THAT(flat(shown), ContainsSubstring(words));
  node1.types("drbdadm pause-sync Wheezy");
  for (const std::string& command :
       commands_in(finds(node1, "a person has paused that here", "Wheezy")))
    node1.types(command);
  REQUIRE_THAT(flat(node1.tries(std::string(block_drbd_test) + "Wheezy").output),
               ContainsSubstring("is being copied from"));
  REQUIRE_THAT(node1.types(std::string(block_drbd_test) + "--json Jessie"),
               ContainsSubstring("\"fine\": true"));
  REQUIRE_THAT(
      flat(node1.types("setpriv --reuid 65534 " + std::string(block_drbd_test) + "Jessie")),
      ContainsSubstring("as an ordinary user"));
}

TEST_CASE_METHOD(Lab, "block-drbd test tells why two nodes parted - what it prints joins them") {
  // As after a loss of power in the middle of a migration.
  link_is_cut();
  REQUIRE(eventually([&] { return node1.connection("Wheezy") != "Connected"; }));
  finds(node1, "is not connected to the other node", "Wheezy");
  node1.types("drbdadm net-options --allow-two-primaries=yes Wheezy");
  link_is_restored();
  REQUIRE(eventually([&] { return node1.connection("Wheezy") == "StandAlone"; }));
  for (Node* node : {&node1, &node2})
    for (const std::string& command :
         commands_in(finds(*node, "the nodes differ in allow-two-primaries", "Wheezy")))
      node->types(command);
  is_fine(node1, "Wheezy");

  // With a split brain the decision is a person's: also where the nodes differ in the setting, too,
  // as DRBD looks at the data when that is restored.
  for (Node* node : {&node1, &node2})
    node->has_healer();
  const auto tries = [&] {
    std::string count;
    for (Node* node : {&node1, &node2})
      count += node->types("dmesg | grep -c 'drbd Wheezy: conn( StandAlone -> Unconnected )'");
    return count;
  };
  for (const bool differ_in_setting : {true, false}) {
    INFO("the nodes differ in allow-two-primaries, too: " << differ_in_setting);
    link_is_cut();
    REQUIRE(eventually([&] { return node1.connection("Wheezy") != "Connected"; }));
    REQUIRE(eventually([&] { return node2.connection("Wheezy") != "Connected"; }));
    for (Node* node : {&node1, &node2})
      node->types(
          "drbdadm primary Wheezy && dd if=/dev/urandom of=/dev/drbd1 bs=4096 count=1 oflag=direct "
          "status=none && udevadm settle && drbdadm secondary Wheezy");
    if (differ_in_setting)
      node1.types("drbdadm net-options --allow-two-primaries=yes Wheezy");
    link_is_restored();
    node1.explains("Wheezy", "(StandAlone): split brain. Both nodes have changed the data");
    const std::string before = tries();
    std::this_thread::sleep_for(25s);  // longer than a healer's pause
    REQUIRE(tries() == before);
    REQUIRE(node1.connection("Wheezy") == "StandAlone");
    // On the node whose changes are thrown away, but for the last.
    const auto commands = commands_in(finds(node1, "split brain", "Wheezy"));
    REQUIRE(commands.size() == 3);
    node2.types(commands[0]);
    node2.types(commands[1]);
    node1.types(commands[2]);
    is_fine(node1, "Wheezy");
    is_fine(node2, "Wheezy");
  }
}

TEST_CASE_METHOD(Lab, "block-drbd test shows who has a disk, and what a keeper does") {
  node1.types("xl create /etc/xen/wheezy.cfg");
  node1.guest_writes("wheezy");
  REQUIRE_THAT(flat(node1.types(std::string(block_drbd_test) + "Wheezy")),
               ContainsSubstring("wheezy xvda"));
  REQUIRE_THAT(node1.types(std::string(block_drbd_test) + "/etc/xen/wheezy.cfg"),
               ContainsSubstring("guest wheezy (domain "));
  REQUIRE_THAT(flat(node2.types(std::string(block_drbd_test) + "drbd:Wheezy,xvda,w")),
               ContainsSubstring("would allow two primaries towards the other node"));
  REQUIRE_THAT(node1.fails(std::string(block_drbd_test) + "--monitoring"),
               ContainsSubstring("CRITICAL - "));

  node1.types("drbdadm suspend-io Wheezy");
  finds_and_mends(node1, "has its I/O suspended", "Wheezy");
  node1.guest_writes("wheezy");

  Task holder = node1.starts(hold_of_wheezy);
  node1.tries("xl destroy wheezy");
  finds(node1, "it gives the role back as soon as the device is free", "Wheezy");
  holder.killed();
  node1.becomes("Wheezy", "Secondary");
  node1.left_nothing("Wheezy");
  is_fine(node1, "Wheezy");
}

}  // namespace block_drbd::lab
