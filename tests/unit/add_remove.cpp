// add and remove as libxl calls them, on a node in memory.
#include "catch.h"
#include "fakes.h"
#include "hotplug/add.h"
#include "hotplug/keeper.h"
#include "hotplug/remove.h"
#include "says.h"

using namespace block_drbd;
using namespace block_drbd::test;
using namespace std::chrono_literals;
using drbd::Role;

namespace {

Result<void> add(FakeNode& node, unsigned domain, unsigned device = FakeNode::xvda) {
  return hotplug::add(node.host, FakeNode::path(domain, device));
}

Result<void> remove(FakeNode& node, unsigned domain, unsigned device = FakeNode::xvda) {
  node.closing(domain, device);
  return node.remove(domain, device);
}

/// What must hold after any failed add of a guest that was alone.
void require_nothing_left_behind(FakeNode& node, unsigned domain) {
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
  CHECK(node.value(domain, "physical-device").empty());
  CHECK_FALSE(node.value(domain, "hotplug-error").empty());
  CHECK(node.value(domain, "hotplug-status") == "error");
  CHECK_FALSE(node.records.resource_locked);
  CHECK_FALSE(node.records.xen_locked);
}

/// What an earlier run left in the records.
void remembers(FakeNode& node, unsigned domain, const std::string& resource, int minor,
               record::Phase phase) {
  node.records.all.push_back({.backend = FakeNode::path(domain),
                              .resource = resource,
                              .volume = 0,
                              .minor = minor,
                              .phase = phase,
                              .leave_role = false,
                              .unanswered = false,
                              .incoming = false,
                              .domain = "earlier",
                              .vm = "uuid-earlier"});
}

void allow_two_primaries(FakeNode& node) {
  node.drbd.in_force.connections.front().two_primaries = true;
}

/// The guest "web" arrives by live migration: Primary on the peer, suspended there.
void incoming(FakeNode& node) {
  node.guest(5, "web--incoming", "uuid-web");
  node.below_migrate_receive = true;
  node.peer_is(Role::Primary);
}

}  // namespace

TEST_CASE("a guest starts: its node becomes Primary and blkback gets the device") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.value(5, "physical-device") == "93:1");
  CHECK(node.value(5, "physical-device-path") == "/dev/drbd1");
  CHECK(node.value(5, "hotplug-status") == "connected");
  CHECK(node.value(5, "hotplug-error").empty());
  CHECK(node.report.said.empty());
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().phase == record::Phase::Attached);
  // One look, the promotion, one more look: nothing else stands between a guest and its disk.
  CHECK(node.drbd.calls == std::vector<std::string>{"status", "primary 1", "status"});
}

TEST_CASE("a guest ends: its node becomes Secondary and nothing is remembered") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("remove works from what is remembered when xend has wiped the directory") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.store.wipe("backend/vbd/5");
  REQUIRE(node.remove(5));
  CHECK(node.drbd.role(1) == Role::Secondary);
  // and does not make the directory again
  CHECK(node.store.list("backend/vbd/5")->empty());
}

TEST_CASE("a disk that the shell script attached is released, too") {
  FakeNode node(GENERATE(8, 9));
  node.second_volume();
  node.store.values[FakeNode::path(5) / "physical-device"] = "93:1";
  node.drbd.make_primary(1);
  node.drbd.set_role(2, Role::Primary);  // the script promotes all volumes
  node.drbd.open.insert(1);
  node.clock.at(3s, [&] { node.drbd.open.clear(); });
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.state.role == Role::Secondary);
}

TEST_CASE("remove without add does nothing") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.make_primary(1);  // by somebody else
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
}

TEST_CASE("udev runs add twice under xend: the second finds the work done") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.calls.clear();
  REQUIRE(add(node, 5));
  CHECK(node.drbd.calls.empty());
}

TEST_CASE("a device that another script attached is left alone") {
  FakeNode node(GENERATE(8, 9));
  node.store.values[FakeNode::path(5) / "physical-device"] = "fd:0";
  CHECK(says(add(node, 5), "another block script"));
  CHECK(node.value(5, "physical-device") == "fd:0");
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("incoming migration with two primaries configured") {
  FakeNode node(GENERATE(8, 9));
  allow_two_primaries(node);
  incoming(node);
  REQUIRE(add(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.value(5, "physical-device") == "93:1");
  // The guest is suspended meanwhile: what must be, no more.
  CHECK(node.drbd.calls == std::vector<std::string>{"status", "show", "primary 1", "status"});
  CHECK(node.clock.elapsed() == 0s);
}

TEST_CASE(
    "incoming migration while this node's data is not good: waits, then the guest stays there") {
  FakeNode node(GENERATE(8, 9));
  allow_two_primaries(node);
  incoming(node);
  node.drbd.state.volumes.front().disk = drbd::Disk::Inconsistent;
  SECTION("the resync ends in time") {
    node.clock.at(3s, [&] { node.drbd.state.volumes.front().disk = drbd::Disk::UpToDate; });
    REQUIRE(add(node, 5));
    CHECK(node.report.said.size() == 1);
  }
  SECTION("it does not") {
    CHECK(says(add(node, 5), "Inconsistent"));
    CHECK(node.drbd.count("primary 1") == 0);
    require_nothing_left_behind(node, 5);
  }
}

TEST_CASE("incoming migration while the link is down: refused at once, the data may be old") {
  FakeNode node(GENERATE(8, 9));
  allow_two_primaries(node);
  incoming(node);
  node.link_is_down();
  CHECK(says(add(node, 5), "not connected"));
  CHECK(node.drbd.count("primary 1") == 0);
  CHECK(node.clock.elapsed() == 0s);
  require_nothing_left_behind(node, 5);
}

TEST_CASE("neither the name alone nor the ancestor alone is a migration") {
  FakeNode node(GENERATE(8, 9));
  allow_two_primaries(node);
  incoming(node);
  SECTION("somebody called his guest so") {
    node.below_migrate_receive = false;
  }
  SECTION("the guest came by migration and reboots now") {
    node.guest(5, "web", "uuid-web");
  }
  CHECK(says(add(node, 5), "is Primary on the other node"));
  CHECK(node.drbd.count("primary 1") == 0);
  require_nothing_left_behind(node, 5);
}

TEST_CASE("a start waits for a Primary peer to let go, then refuses, and never tries") {
  FakeNode node(GENERATE(8, 9));
  node.peer_is(Role::Primary);
  if (GENERATE(false, true))
    allow_two_primaries(node);
  SECTION("the peer lets go") {
    node.clock.at(5s, [&] { node.peer_is(Role::Secondary); });
    REQUIRE(add(node, 5));
    CHECK(node.drbd.role(1) == Role::Primary);
  }
  SECTION("it does not") {
    const auto result = add(node, 5);
    CHECK(says(result, "Wheezy is Primary on the other node (ipv4:10.0.0.2:7789)"));
    CHECK(says(result, "xl destroy web--migratedaway"));
    CHECK(node.clock.elapsed() >= 15s);
    CHECK(node.drbd.count("primary 1") == 0);
    require_nothing_left_behind(node, 5);
  }
  SECTION("it was gone, and DRBD had not missed it yet") {
    // An attempt would have gone through, and made the two nodes refuse each other later.
    node.clock.at(10s, [&] { node.link_is_down(); });
    CHECK(says(add(node, 5), "is not connected"));
    CHECK(node.drbd.count("primary 1") == 0);
    node.report.said.resize(1);
  }
  CHECK(node.report.said.size() == 1);  // said once what it waits for
}

TEST_CASE("both nodes start at the same moment where two primaries are allowed: we step back") {
  FakeNode node(GENERATE(8, 9));
  allow_two_primaries(node);
  if (GENERATE(false, true))  // a role that a person gave is given back as well
    node.drbd.make_primary(1);
  node.drbd.during_promotion = [&] {
    node.peer_is(Role::Primary);
    node.drbd.during_promotion = nullptr;
  };
  SECTION("and go on when the other did, too") {
    bool stepped_back = false;
    node.clock.at(50ms, [&] {
      stepped_back = node.drbd.role(1) == Role::Secondary;
      node.peer_is(Role::Secondary);
    });
    REQUIRE(add(node, 5));
    CHECK(stepped_back);
    CHECK(node.drbd.role(1) == Role::Primary);
  }
  SECTION("and refuse when the other stayed") {
    CHECK(says(add(node, 5), "is Primary on the other node"));
    require_nothing_left_behind(node, 5);
  }
}

TEST_CASE("the link is lost between the promotion and the second look: not settled") {
  FakeNode node(GENERATE(8, 9));
  if (GENERATE(false, true))  // by a person, who saw the other node then
    node.drbd.make_primary(1);
  node.drbd.during_promotion = [&] {
    node.link_is_down();
    node.drbd.during_promotion = nullptr;
  };
  CHECK(says(add(node, 5), "not connected"));
  require_nothing_left_behind(node, 5);
}

TEST_CASE("a role that add has taken is not asked for again after a wait") {
  // DRBD might not answer the second time, and take the role after it was given back.
  FakeNode node(GENERATE(8, 9));
  node.records.xen_locked = true;
  node.clock.at(2s, [&] { node.records.xen_locked = false; });
  REQUIRE(add(node, 5));
  CHECK(node.drbd.count("primary 1") == 1);
}

TEST_CASE("a start while the peer cannot be seen") {
  FakeNode node(GENERATE(8, 9));
  node.link_is_down();
  SECTION("waits for a link that is being made") {
    node.clock.at(4s, [&] { node.link_is_up(); });
    REQUIRE(add(node, 5));
  }
  SECTION("refuses without positive grounds, and names the ways") {
    const auto result = add(node, 5);
    CHECK(says(result, "drbdadm primary Wheezy"));
    CHECK(says(result, "Connecting"));
    CHECK(node.drbd.count("primary 1") == 0);
    CHECK(node.clock.elapsed() < 12s);
    require_nothing_left_behind(node, 5);
  }
  SECTION("StandAlone: no link is being made, no wait") {
    node.drbd.state.peers.clear();  // as 8.4 shows it
    node.drbd.in_force.connections.clear();
    CHECK(says(add(node, 5), "StandAlone"));
    CHECK(node.clock.elapsed() == 0s);
  }
  SECTION("goes on when a person made it Primary here") {
    node.drbd.make_primary(1);
    REQUIRE(add(node, 5));
  }
  SECTION("goes on when fencing is configured: DRBD decides") {
    node.drbd.in_force.connections.front().fencing = "resource-only";
    REQUIRE(add(node, 5));
  }
}

TEST_CASE("Primary for somebody who has the device open: no guest gets it beside him") {
  FakeNode node(GENERATE(8, 9));
  const bool seen = GENERATE(true, false);
  if (!seen)
    node.link_is_down();
  node.drbd.make_primary(1);
  node.drbd.open.insert(1);
  SECTION("as long as it is open") {
    CHECK(says(add(node, 5), "is held open"));
    CHECK(node.value(5, "physical-device").empty());
    CHECK(node.drbd.count("primary 1") == 0);
    CHECK(node.drbd.role(1) == Role::Primary);
    CHECK(node.records.all.empty());
  }
  SECTION("DRBD 9 makes it Secondary again when he closes it: he decided nothing") {
    node.clock.at(seen ? 5s : 12s, [&] {
      node.drbd.open.clear();
      node.drbd.set_role(1, Role::Secondary);
    });
    const auto result = add(node, 5);
    CHECK(result.has_value() == seen);
    if (!seen)
      require_nothing_left_behind(node, 5);
  }
  SECTION("and what the guest gets then is given back when its add fails after all") {
    node.clock.at(5s, [&] {
      node.drbd.open.clear();
      node.drbd.set_role(1, Role::Secondary);
    });
    node.devices.without_node = {1};
    CHECK_FALSE(add(node, 5));
    require_nothing_left_behind(node, 5);
  }
}

TEST_CASE("a guest that had the resource while the peer cannot be seen may reboot") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.link_is_down();
  SECTION("the same guest, soon") {
    REQUIRE(remove(node, 5));
    node.store.wipe("backend/vbd/5");
    node.guest(6, "web", "uuid-web");
    REQUIRE(add(node, 6));
  }
  SECTION("another virtual machine of that name") {
    REQUIRE(remove(node, 5));
    node.store.wipe("backend/vbd/5");
    node.guest(6, "web", "uuid-new");
    CHECK(says(add(node, 6), "is not connected"));
  }
  SECTION("much later: a person may have decided for the other node meanwhile") {
    REQUIRE(remove(node, 5));
    node.store.wipe("backend/vbd/5");
    node.clock.wait(3min);
    node.guest(6, "web", "uuid-web");
    CHECK(says(add(node, 6), "is not connected"));
  }
  SECTION("it has gone to the other node, or never came from there") {
    const std::string name = GENERATE("web--migratedaway", "web--incoming");
    node.store.values["/local/domain/5/name"] = name;
    REQUIRE(remove(node, 5));
    node.store.wipe("backend/vbd/5");
    node.guest(6, "web", "uuid-web");
    CHECK(says(add(node, 6), "is not connected"));
  }
}

TEST_CASE("what was held is forgotten when the guest has it again") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.link_is_down();
  REQUIRE(remove(node, 5));
  node.store.wipe("backend/vbd/5");
  node.guest(6, "web", "uuid-web");
  REQUIRE(add(node, 6));
  CHECK(node.records.holds.empty());
}

TEST_CASE("a start that has seen the peer again does not go by what was held before") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.link_is_down();
  REQUIRE(remove(node, 5));
  node.store.wipe("backend/vbd/5");
  REQUIRE(node.records.holds.contains("Wheezy"));
  node.guest(6, "web", "uuid-web");
  // No keeper is there to see it.
  node.clock.at(2s, [&] {
    node.link_is_up();
    node.peer_is(Role::Primary);
  });
  node.clock.at(4s, [&] { node.link_is_down(); });
  CHECK(says(add(node, 6), "is not connected to"));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("without a configuration that can be read no disk is attached, but any is released") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.choices = failure("the configuration cannot be read");
  node.guest(6, "web", "uuid-web");
  CHECK(says(add(node, 6), "the configuration cannot be read"));
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("a start without the peer, as the administrator chose") {
  FakeNode node(GENERATE(8, 9));
  node.choices = policy::Choices{.starts_unseen = true};
  node.link_is_down();
  REQUIRE(add(node, 5));
  CHECK(node.clock.elapsed() >= 10s);
  CHECK(node.drbd.role(1) == Role::Primary);
}

TEST_CASE("a migration without a window, as the administrator chose") {
  FakeNode node(GENERATE(8, 9));
  node.choices = policy::Choices{.opens_windows = false};
  incoming(node);
  CHECK(says(add(node, 5), "are never to be allowed"));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK_FALSE(node.drbd.two_primaries());
}

TEST_CASE("a guest that ended while the peer was there has no claim to the resource later") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  REQUIRE(remove(node, 5));
  node.store.wipe("backend/vbd/5");
  node.link_is_down();
  node.guest(6, "web", "uuid-web");
  CHECK(says(add(node, 6), "is not connected"));
}

TEST_CASE("a peer that stays away is waited for once, not by each guest") {
  FakeNode node(GENERATE(8, 9));
  node.link_is_down();
  CHECK_FALSE(add(node, 5));
  const auto waited = node.clock.elapsed();
  CHECK(waited >= 10s);
  for (unsigned domain = 6; domain < 26; ++domain) {
    node.guest(domain, "web" + std::to_string(domain), "uuid-" + std::to_string(domain));
    node.clock.wait(20s);  // longer together than one absence is remembered
    CHECK(says(add(node, domain), "is not connected"));
  }
  CHECK(node.clock.elapsed() == waited + 20 * 20s);
  SECTION("long after, it is waited for again") {
    node.clock.wait(3min);
    const auto before = node.clock.elapsed();
    CHECK_FALSE(add(node, 5));
    CHECK(node.clock.elapsed() - before >= 10s);
  }
  SECTION("another peer is another matter") {
    node.drbd.in_force.connections.front().peer_address = "ipv4:10.0.0.3:7789";
    const auto before = node.clock.elapsed();
    CHECK_FALSE(add(node, 5));
    CHECK(node.clock.elapsed() - before >= 10s);
  }
}

TEST_CASE("what another resource lacks shortens no wait of who starts without the peer") {
  FakeNode node(GENERATE(8, 9));
  // Another one is down there; this one was just taken up, and its guest runs there.
  REQUIRE(node.records.write(record::Outage{.peer = "ipv4:10.0.0.2", .until = TimePoint() + 60s}));
  node.link_is_down();
  node.clock.at(1s, [&] {
    node.link_is_up();
    node.peer_is(Role::Primary);
  });
  node.choices = policy::Choices{.starts_unseen = true};
  const auto result = add(node, 5);
  REQUIRE_FALSE(result);
  CHECK(says(result, "is Primary on"));
  CHECK(node.drbd.count("primary 1") == 0);
}

TEST_CASE("9: another node is Primary that only a third one sees") {
  FakeNode node(9);
  node.drbd.state.peers.push_back({.name = "node3",
                                   .node_id = 2,
                                   .connection = drbd::Connection::Connecting,
                                   .role = Role::Unknown,
                                   .volumes = {}});
  node.drbd.in_force.quorum = "majority";
  // Two primaries are forbidden, or allowed.
  const int code = GENERATE(drbd::code::two_primaries, drbd::code::not_strongly_connected);
  node.drbd.promotions.assign(1000, FakeDrbd::refusal(code, "no"));
  const auto result = add(node, 5);
  REQUIRE_FALSE(result);
  CHECK(says(result, "most likely one that this node does not see"));
  CHECK(node.drbd.count("primary 1") == 1);
}

TEST_CASE("9: a volume that the peer does not have is named") {
  FakeNode node(9);
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0");
  node.peer().node_id = 1;
  node.peer().volumes[1].replication = drbd::Replication::Off;
  node.peer().volumes[1].disk = drbd::Disk::Unknown;
  const auto result = add(node, 5);
  REQUIRE_FALSE(result);
  CHECK(says(result, "volume 1 is not replicated: run `drbdadm adjust` there, too"));
}

TEST_CASE("a second guest on the resource is refused and the first is not disturbed") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  const auto before = node.store.values;
  node.guest(6, "other", "uuid-other");
  const auto result = add(node, 6);
  CHECK(says(result, "guest web (domain 5) as xvda"));
  CHECK(node.drbd.count("primary 1") == 1);
  // libxl calls remove after a failed add
  REQUIRE(remove(node, 6));
  CHECK(node.drbd.role(1) == Role::Primary);
  for (const auto& [path, value] : before)
    CHECK(node.store.values[path] == value);
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("what this host does with the device keeps guests away") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.make_primary(1);
  node.devices.uses[1] = {"mounted on /srv"};
  CHECK(says(add(node, 5), "mounted on /srv"));
  CHECK(node.drbd.role(1) == Role::Primary);  // not ours to take
  CHECK(node.records.all.empty());
}

TEST_CASE("w! lets the administrator vouch for the sharing") {
  FakeNode node(GENERATE(8, 9));
  node.guest(5, "web", "uuid-web", "Wheezy", "w!");
  node.guest(6, "other", "uuid-other", "Wheezy", "w!");
  REQUIRE(add(node, 5));
  REQUIRE(add(node, 6));
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
  REQUIRE(remove(node, 6));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("readers beside readers") {
  FakeNode node(GENERATE(8, 9));
  node.guest(5, "web", "uuid-web", "Wheezy", "r");
  node.guest(6, "other", "uuid-other", "Wheezy", "r");
  node.guest(7, "writer", "uuid-writer", "Wheezy", "w");
  REQUIRE(add(node, 5));
  REQUIRE(add(node, 6));
  CHECK(says(add(node, 7), "already in use"));
}

TEST_CASE("a writer is one in every spelling") {
  FakeNode node(GENERATE(8, 9));
  node.guest(5, "web", "uuid-web", "Wheezy", "rw");
  node.guest(6, "other", "uuid-other", "Wheezy", "r");
  REQUIRE(add(node, 5));
  CHECK(says(add(node, 6), "already in use"));
}

TEST_CASE("two volumes of one resource, added and removed in parallel") {
  FakeNode node(GENERATE(8, 9));
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0", "w", FakeNode::xvda);
  node.guest(5, "web", "uuid-web", "Wheezy/1", "w", FakeNode::xvdb);
  REQUIRE(add(node, 5, FakeNode::xvda));
  REQUIRE(add(node, 5, FakeNode::xvdb));
  CHECK(node.value(5, "physical-device", FakeNode::xvdb) == "93:2");
  CHECK(node.drbd.role(2) == Role::Primary);

  // libxl has not wiped the first one's directory when the second one's remove runs: neither may
  // keep the role for the other.
  node.drbd.open = {1, 2};
  REQUIRE(remove(node, 5, FakeNode::xvda));
  CHECK(node.drbd.state.role == Role::Primary);
  node.clock.at(1s, [&] { node.drbd.open = {1}; });
  node.clock.at(2s, [&] { node.drbd.open.clear(); });
  REQUIRE(remove(node, 5, FakeNode::xvdb));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.drbd.role(2) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("8.4: a volume that somebody else promoted for himself is left alone") {
  FakeNode node(8);
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0");
  node.drbd.set_role(2, Role::Primary);
  REQUIRE(add(node, 5));
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.drbd.role(2) == Role::Primary);
}

TEST_CASE("8.4: a volume that stayed Primary under the name of another one's disk is remembered") {
  FakeNode node(8);
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0");
  const bool by_shell_script = GENERATE(false, true);  // which promotes all volumes
  if (by_shell_script) {
    node.store.values[FakeNode::path(5) / "physical-device"] = "93:1";
    node.drbd.make_primary(1);
  } else {
    REQUIRE(add(node, 5));
  }
  node.drbd.open.insert(1);
  CHECK_FALSE(remove(node, 5));
  node.store.wipe("backend/vbd/5");
  node.guest(5, "web", "uuid-web", "Wheezy/1");
  SECTION("it is closed: it is made Secondary first") {
    node.clock.at(node.clock.elapsed() + 1s, [&] { node.drbd.open.clear(); });
    REQUIRE(add(node, 5));
    CHECK(node.drbd.role(1) == Role::Secondary);
    CHECK(node.drbd.role(2) == Role::Primary);
    REQUIRE(remove(node, 5));
    CHECK(node.records.all.empty());
  }
  SECTION("it stays open: who has it, and what is remembered stays") {
    const auto refused = add(node, 5);
    CHECK(says(refused, "attached under the name of this disk before"));
    CHECK(says(refused, "fuser -v /dev/drbd1"));
    CHECK(node.drbd.role(2) == Role::Secondary);
    REQUIRE(node.records.all.size() == 1);
    CHECK(node.records.all.front().phase == record::Phase::Released);
    node.drbd.open.clear();
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.drbd.role(1) == Role::Secondary);
  }
}

TEST_CASE("a living second instance of the same guest is busy, a vanished one is not") {
  FakeNode node(GENERATE(8, 9));
  node.guest(4, "web", "uuid-web");
  REQUIRE(add(node, 4));
  SECTION("preserved after a crash") {
    CHECK(says(add(node, 5), "another instance of the same guest"));
    CHECK(node.drbd.role(1) == Role::Primary);
  }
  SECTION("xl was killed and left its directory") {
    node.store.domains.erase(4);
    SECTION("the device is closed") {
      REQUIRE(add(node, 5));
    }
    SECTION("the device is still open: its last writes may still come") {
      node.drbd.open.insert(1);
      SECTION("and is closed in time") {
        node.clock.at(3s, [&] { node.drbd.open.clear(); });
        REQUIRE(add(node, 5));
        CHECK(node.report.said.size() == 1);
      }
      SECTION("and stays so") {
        CHECK(says(add(node, 5), "is held open"));
        CHECK(node.value(5, "physical-device").empty());
      }
    }
  }
}

TEST_CASE("xl migrate NAME localhost: the new instance shares with the old one") {
  FakeNode node(GENERATE(8, 9));
  node.guest(4, "web", "uuid-web");
  REQUIRE(add(node, 4));
  node.guest(5, "web--incoming", "uuid-web");
  node.below_migrate_receive = true;
  REQUIRE(add(node, 5));
  REQUIRE(remove(node, 4));
  CHECK(node.drbd.role(1) == Role::Primary);
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("a stub domain shares its guest's disk") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.guest(6, "web-dm", "uuid-dm");
  node.store.values["/local/domain/6/target"] = "5";
  REQUIRE(add(node, 6));
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
  REQUIRE(remove(node, 6));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("one guest cannot have the same volume twice") {
  FakeNode node(GENERATE(8, 9));
  node.guest(5, "web", "uuid-web", "Wheezy", "w", FakeNode::xvdb);
  REQUIRE(add(node, 5, FakeNode::xvda));
  CHECK(says(add(node, 5, FakeNode::xvdb), "already in use"));
  CHECK(node.drbd.role(1) == Role::Primary);
}

TEST_CASE("unknown resource, unknown volume, no disk spec") {
  FakeNode node(GENERATE(8, 9));
  SECTION("resource") {
    node.guest(5, "web", "uuid-web", "Jessie");
    CHECK(says(add(node, 5), "there is no DRBD resource Jessie"));
  }
  SECTION("volume") {
    node.guest(5, "web", "uuid-web", "Wheezy/7");
    CHECK(says(add(node, 5), "no volume 7"));
  }
  SECTION("which of several volumes") {
    node.second_volume();
    const auto result = add(node, 5);
    CHECK(says(result, "it has: 0, 1"));
    CHECK(says(result, "drbd:Wheezy/VOLUME"));
  }
  SECTION("spec") {
    node.guest(5, "web", "uuid-web", "--force");
    CHECK(says(add(node, 5), "is not a DRBD disk"));
  }
  CHECK(node.drbd.count("primary 1") == 0);
  require_nothing_left_behind(node, 5);
}

TEST_CASE("a failure names its resource, also one whose name is a common word") {
  FakeNode node(GENERATE(8, 9));
  node.guest(5, "web", "uuid-web", "read");
  node.choices = failure("the configuration cannot be read");
  CHECK(says(add(node, 5), "DRBD resource read cannot be attached: the configuration"));
  require_nothing_left_behind(node, 5);
}

TEST_CASE("DRBD refuses: its words and ours, and nothing is left behind") {
  FakeNode node(GENERATE(8, 9));
  SECTION("no good data") {
    node.drbd.promotions = {
        FakeDrbd::refusal(drbd::code::no_up_to_date, "Need access to UpToDate data")};
    const auto result = add(node, 5);
    CHECK(says(result, "Need access to UpToDate data"));
    CHECK(says(result, "see `new-current-uuid` and `primary --force` in drbdadm(8)"));
    CHECK(node.clock.elapsed() == 0s);
  }
  SECTION("something passing that does not pass") {
    node.drbd.promotions.assign(1000,
                                FakeDrbd::refusal(drbd::code::refused_by_peer, "refused by peer"));
    CHECK(says(add(node, 5), "the other node does not agree"));
    CHECK(node.clock.elapsed() >= 10s);
  }
  require_nothing_left_behind(node, 5);
}

TEST_CASE("something passing passes") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.promotions.assign(5, FakeDrbd::refusal(drbd::code::concurrent_changes, "concurrent"));
  REQUIRE(add(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
}

TEST_CASE("the device node is late, or never comes") {
  FakeNode node(GENERATE(8, 9));
  node.devices.without_node = {1};
  SECTION("late") {
    node.clock.at(2s, [&] { node.devices.without_node.clear(); });
    REQUIRE(add(node, 5));
  }
  SECTION("never") {
    CHECK(says(add(node, 5), "no device node for minor 1"));
    require_nothing_left_behind(node, 5);
  }
}

TEST_CASE("the toolstack gives the guest up while we work: nothing is made again") {
  FakeNode node(GENERATE(8, 9));
  SECTION("the directory is gone") {
    node.store.before_transaction = [&] { node.store.wipe("backend/vbd/5"); };
    CHECK_FALSE(add(node, 5));
    CHECK(node.store.list("backend/vbd/5")->empty());
  }
  SECTION("the backend is being closed") {
    node.store.before_transaction = [&] { node.closing(5); };
    CHECK(says(add(node, 5), "given up"));
    CHECK(node.value(5, "physical-device").empty());
  }
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("another disk is attached under the same name while we wait: it is left alone") {
  FakeNode node(GENERATE(8, 9));
  const bool attached = GENERATE(false, true);
  node.devices.without_node = {1};
  node.clock.at(1s, [&] {
    node.store.values[FakeNode::path(5) / "params"] = "drbd:Jessie";
    if (attached)
      node.store.values[FakeNode::path(5) / "physical-device"] = "93:7";
    node.devices.without_node.clear();
  });
  CHECK(says(add(node, 5), "is another one's: drbd:Jessie"));
  CHECK(node.value(5, "physical-device") == (attached ? "93:7" : ""));
  CHECK(node.value(5, "hotplug-status").empty());
  CHECK(node.value(5, "hotplug-error").empty());
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("another disk is attached under the same name at the last moment: it is left alone") {
  FakeNode node(GENERATE(8, 9));
  const std::string key = GENERATE("params", "mode");
  node.store.before_transaction = [&] { node.store.values[FakeNode::path(5) / key] = "r"; };
  CHECK(says(add(node, 5), "the disk was detached meanwhile"));
  CHECK(node.value(5, "physical-device").empty());
  CHECK(node.value(5, "hotplug-error").empty());
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("the same resource is attached under the same name while an add rolls back: it stays") {
  FakeNode node(GENERATE(8, 9));
  node.devices.without_node = {1};
  node.clock.at(1s, [&] {
    // In other words, and by another run that was quicker.
    node.store.values[FakeNode::path(5) / "params"] = "drbd:Wheezy/0";
    node.store.values[FakeNode::path(5) / "physical-device"] = "93:1";
    REQUIRE(node.records.all.size() == 1);
    node.records.all.front().phase = record::Phase::Attached;
    ++node.records.all.front().run;
  });
  CHECK(says(add(node, 5), "is another one's: drbd:Wheezy/0"));
  CHECK(node.drbd.role(1) == Role::Primary);
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().phase == record::Phase::Attached);
}

TEST_CASE("the same resource is attached under the same name while a remove waits: it stays") {
  FakeNode node(GENERATE(8, 9));
  const bool by_shell_script = GENERATE(false, true);
  if (by_shell_script)
    node.store.values[FakeNode::path(5) / "physical-device"] = "93:1";
  else
    REQUIRE(add(node, 5));
  node.records.resource_locked = true;
  node.clock.at(1s, [&] {
    node.records.resource_locked = false;
    node.store.wipe("backend/vbd/5");
    node.guest(5, "web", "uuid-web");
    REQUIRE(add(node, 5));
  });
  REQUIRE(remove(node, 5));
  CHECK(node.value(5, "physical-device") == "93:1");
  CHECK(node.drbd.role(1) == Role::Primary);
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().phase == record::Phase::Attached);
  CHECK(node.keepers.empty());
}

TEST_CASE(
    "the same resource is attached under the same name before a remove has a place: it stays") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  const auto claims = node.records.claims_of(FakeNode::path(5));
  node.closing(5);
  REQUIRE(node.remove(5));
  node.store.wipe("backend/vbd/5");
  node.guest(5, "web", "uuid-web");
  REQUIRE(add(node, 5));
  REQUIRE(hotplug::remove(node.host, FakeNode::path(5), claims));
  CHECK(node.drbd.role(1) == Role::Primary);
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().phase == record::Phase::Attached);
}

TEST_CASE(
    "another add takes a disk while its remove waits, and is killed: a keeper gives the role "
    "back") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.records.resource_locked = true;
  node.clock.at(1s, [&] {
    node.records.resource_locked = false;
    node.store.wipe("backend/vbd/5");
    node.records.all.front().phase = record::Phase::Promoting;
    ++node.records.all.front().run;
  });
  REQUIRE(node.remove(5));
  CHECK(node.keepers == std::vector<std::string>{"Wheezy"});
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("asked to end while a disk of the shell script's is open and wiped: that is no success") {
  FakeNode node(GENERATE(8, 9));
  node.store.values[FakeNode::path(5) / "physical-device"] = "93:1";
  node.drbd.make_primary(1);
  node.drbd.open.insert(1);
  node.clock.at(1s, [&] {
    node.store.wipe("backend/vbd/5");
    node.clock.asked_to_end = true;
  });
  CHECK(says(remove(node, 5), "is still Primary on this node"));
  CHECK(node.drbd.role(1) == Role::Primary);
}

TEST_CASE("Xen's own lock is respected") {
  FakeNode node(GENERATE(8, 9));
  node.records.xen_locked = true;
  SECTION("its holder finishes") {
    node.clock.at(2s, [&] { node.records.xen_locked = false; });
    REQUIRE(add(node, 5));
    CHECK(node.drbd.count("status") < 10);  // the tries are many, the looks few
  }
  SECTION("its holder hangs") {
    CHECK(says(add(node, 5), "/run/xen-hotplug/block"));
    CHECK(node.drbd.role(1) == Role::Secondary);
  }
}

TEST_CASE("Xen's own script attaches the same device") {
  FakeNode node(GENERATE(8, 9));
  const auto attach = [&] {
    node.guest(6, "other", "uuid-other", "/dev/drbd1");
    node.store.values[FakeNode::path(6) / "physical-device"] = "93:1";
  };
  SECTION("meanwhile") {
    node.records.xen_locked = true;
    node.clock.at(1s, [&] {
      attach();
      node.records.xen_locked = false;
    });
  }
  SECTION("before, while the resource is Secondary") {
    attach();
  }
  CHECK(says(add(node, 5), "guest other (domain 6)"));
  CHECK(node.value(5, "physical-device").empty());
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("xenstore does not tell who else has the device: the role is given back at once") {
  FakeNode node(GENERATE(8, 9));
  node.guest(6, "other", "uuid-other", "/dev/vg/other");
  node.store.forbidden.insert(FakeNode::path(6) / "physical-device");
  CHECK(says(add(node, 5), "xenstore: cannot read"));
  CHECK(node.value(5, "physical-device").empty());
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
  CHECK(node.clock.elapsed() < 1s);
}

TEST_CASE("a disk that another guest has is not promoted for where another node may be writing") {
  FakeNode node(GENERATE(8, 9));
  node.guest(6, "other", "uuid-other", "/dev/drbd1");
  node.store.values[FakeNode::path(6) / "physical-device"] = "93:1";
  SECTION("the source of a migration") {
    node.peer_is(Role::Primary);
    node.guest(5, "web--incoming", "uuid-web");
    node.below_migrate_receive = true;
  }
  SECTION("one that cannot be seen") {
    node.link_is_down();
    node.choices = policy::Choices{.starts_unseen = true};
  }
  CHECK(says(add(node, 5), "guest other (domain 6)"));
  CHECK(node.drbd.count("primary 1") == 0);
  CHECK(node.drbd.count("two-primaries yes") == 0);
}

TEST_CASE("a role that is not there after DRBD has given it is no ground to attach anything") {
  FakeNode node(GENERATE(8, 9));
  const bool incoming = GENERATE(false, true);
  if (incoming) {
    node.peer_is(Role::Primary);
    node.guest(5, "web--incoming", "uuid-web");
    node.below_migrate_receive = true;
  }
  node.drbd.before_status = [&] { node.drbd.set_role(1, Role::Secondary); };
  CHECK(says(add(node, 5), "DRBD resource Wheezy is not Primary on this node"));
  CHECK(node.value(5, "physical-device").empty());
}

TEST_CASE("DRBD does not make the resource Secondary, and says nothing") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  SECTION("or that it did") {
    node.drbd.before_status = [&] { node.drbd.set_role(1, Role::Primary); };
    CHECK(says(remove(node, 5), "DRBD says that it is Secondary, and shows it as Primary"));
  }
  SECTION("but fails") {
    node.drbd.demotion_fails = drbd::Answer{.exit_code = 77, .code = {}, .text = {}};
    CHECK(says(remove(node, 5), "DRBD says exit code 77"));
  }
}

TEST_CASE("DRBD refuses to give the role back, and then says nothing more") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.open.insert(1);
  node.clock.at(10s, [&] { node.drbd.takes = 1min; });
  CHECK(says(remove(node, 5), "may still be Primary on this node, or become so"));
}

TEST_CASE("what cannot be written down keeps no role: it is given back at once, and it is told") {
  FakeNode node(GENERATE(8, 9));
  SECTION("at the end of a guest") {
    REQUIRE(add(node, 5));
    // As the shell original leaves it.
    const bool by_shell_script = GENERATE(false, true);
    if (by_shell_script)
      node.records.all.clear();
    node.records.full = true;
    REQUIRE(remove(node, 5));
    CHECK(node.clock.elapsed() == 0s);
    CHECK(node.report.said.size() == (by_shell_script ? 1 : 0));
    if (by_shell_script)
      CHECK(node.report.said.front().find("No space left") != std::string::npos);
  }
  SECTION("at the end of two, whose volumes have one role") {
    node.guest(6, "other", "uuid-other", "Wheezy", "r");
    node.guest(5, "web", "uuid-web", "Wheezy", "r");
    REQUIRE(add(node, 5));
    REQUIRE(add(node, 6));
    SECTION("which is noted over what there is") {
      node.records.full = true;
      REQUIRE(remove(node, 5));
      CHECK(node.drbd.role(1) == Role::Primary);
    }
    SECTION("which is noted nowhere: the other one would take the first use for one that goes on") {
      node.records.all.erase(node.records.all.begin());
      node.records.full = true;
      const auto refused = remove(node, 5);
      CHECK(says(refused, "No space left"));
      CHECK(says(refused, "guest other (domain 6) as xvda still uses it"));
      CHECK(std::ranges::any_of(node.report.said, [](const std::string& text) {
        return text.find("trying to note again that this use of it has ended") != std::string::npos;
      }));
      CHECK(node.drbd.role(1) == Role::Primary);
      node.store.wipe("backend/vbd/5");
    }
    const Duration before = node.clock.elapsed();
    REQUIRE(remove(node, 6));
    CHECK(node.clock.elapsed() == before);
  }
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("no process is promised where none can be left behind") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.open.insert(1);
  node.closing(5);
  const bool read_only = GENERATE(false, true);
  node.records.read_only = read_only;
  node.records.full = true;
  node.keepers.clear();
  const auto refused = remove(node, 5);
  CHECK(says(refused, "drbdadm secondary Wheezy"));
  CHECK(says(refused, read_only ? "No process stays behind" : "A process stays behind"));
  CHECK(node.keepers.empty() == read_only);
}

TEST_CASE("the role is not touched when nothing can be remembered") {
  FakeNode node(GENERATE(8, 9));
  node.records.full = true;
  CHECK(says(add(node, 5), "No space left"));
  CHECK(node.drbd.count("primary 1") == 0);
}

TEST_CASE("asked to end during a wait: rolls back, then ends") {
  FakeNode node(GENERATE(8, 9));
  node.devices.without_node = {1};
  node.clock.at(1s, [&] { node.clock.asked_to_end = true; });
  CHECK(says(add(node, 5), "asked to end"));
  require_nothing_left_behind(node, 5);
}

TEST_CASE("asked to end just before the time is up: the keeper is called in time") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.open.insert(1);
  const TimePoint begin = node.clock.now();
  node.clock.at(hotplug::time_limit - 6s, [&] { node.drbd.demotion_hangs = true; });
  node.clock.at(hotplug::time_limit - 3s, [&] { node.clock.asked_to_end = true; });
  node.keepers.clear();
  CHECK(says(remove(node, 5), "still Primary"));
  // A demotion leaves some time for the look at what came of it.
  CHECK(node.clock.now() - begin <= hotplug::time_limit - 2s);
  CHECK(node.keepers.size() == 1);
}

TEST_CASE("asked to end during remove: tries once more, then ends") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.open.insert(1);
  SECTION("the device is closed by then") {
    node.clock.at(1s, [&] {
      node.clock.asked_to_end = true;
      node.drbd.open.clear();
    });
    REQUIRE(remove(node, 5));
    CHECK(node.drbd.role(1) == Role::Secondary);
  }
  SECTION("it is not") {
    node.clock.at(1s, [&] { node.clock.asked_to_end = true; });
    // It would have the lock just when the last attempt wants it.
    std::vector<std::ptrdiff_t> attempts_before_keeper;
    node.host.start_keeper = [&](const std::string&) -> Result<void> {
      attempts_before_keeper.push_back(node.drbd.count("secondary 1"));
      return {};
    };
    CHECK(says(remove(node, 5), "still Primary"));
    CHECK(node.clock.elapsed() < 6s);
    CHECK(attempts_before_keeper == std::vector{node.drbd.count("secondary 1")});
  }
}

TEST_CASE("add ends before libxl would kill it, whatever it waits for") {
  FakeNode node(GENERATE(8, 9));
  SECTION("another block-drbd that hangs") {
    node.records.resource_locked = true;
  }
  SECTION("a refusal after each wait") {
    node.drbd.before_status = [&] {
      node.peer_is(node.drbd.calls.size() % 2 == 0 ? Role::Primary : Role::Secondary);
    };
    node.drbd.promotions.assign(1000, FakeDrbd::refusal(drbd::code::retry, "retry"));
  }
  CHECK_FALSE(add(node, 5));
  CHECK(node.clock.elapsed() < 36s);
}

TEST_CASE("an add that was killed is cleaned up by libxl's remove") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.make_primary(1);
  remembers(node, 5, "Wheezy", 1, record::Phase::Promoting);
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("a failed add gives back a role that it found and nobody used") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.make_primary(1);
  node.devices.without_node = {1};
  CHECK_FALSE(add(node, 5));
  require_nothing_left_behind(node, 5);
}

TEST_CASE("a person's decision outlasts a wait") {
  FakeNode node(GENERATE(8, 9));
  node.link_is_down();
  node.drbd.make_primary(1);
  node.devices.without_node = {1};
  node.clock.at(12s, [&] { node.devices.without_node.clear(); });
  REQUIRE(add(node, 5));
}

TEST_CASE("8.4: a person's decision holds for both disks of a guest, also when one is waited for") {
  FakeNode node(8);
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0", "w", FakeNode::xvda);
  node.guest(5, "web", "uuid-web", "Wheezy/1", "w", FakeNode::xvdb);
  node.link_is_down();
  REQUIRE(node.records.write(record::Outage{.peer = "ipv4:10.0.0.2", .until = TimePoint() + 60s}));
  node.drbd.make_primary(1);
  node.drbd.make_primary(2);
  std::optional<Result<void>> second;
  SECTION("udev looks at the device") {
    node.drbd.open = {1};
    node.clock.at(100ms, [&] { second = add(node, 5, FakeNode::xvdb); });
    node.clock.at(150ms, [&] { node.drbd.open.clear(); });
  }
  SECTION("another of Xen's scripts is at work") {
    node.records.xen_locked = true;
    node.clock.at(5100ms, [&] { second = add(node, 5, FakeNode::xvdb); });
    node.clock.at(6s, [&] { node.records.xen_locked = false; });
  }
  CHECK(add(node, 5));
  REQUIRE(second);
  CHECK(*second);
}

TEST_CASE("who has a DRBD 9 device open makes it Primary: that is no decision") {
  FakeNode node(9);
  node.link_is_down();
  node.drbd.make_primary(1);
  const auto closes = [&](bool stays_primary) {
    node.devices.processes.clear();
    node.drbd.state.volumes.front().is_open = false;
    node.drbd.open.clear();
    if (!stays_primary)
      node.drbd.set_role(1, Role::Secondary);
  };
  SECTION("it stays open") {
    node.devices.processes[1] = {"dd (pid 812)"};
    const auto result = add(node, 5);
    CHECK(says(result, "held open on this node"));
    CHECK(says(result, "dd (pid 812) has it"));
    CHECK(node.drbd.count("secondary 1") == 0);
  }
  SECTION("DRBD alone sees who has it") {
    node.drbd.state.volumes.front().is_open = true;
    CHECK(says(add(node, 5), "DRBD tells so"));
    CHECK(node.drbd.count("secondary 1") == 0);
  }
  SECTION("it is closed, and not Primary any more") {
    node.devices.processes[1] = {"dd (pid 812)"};
    node.clock.at(12s, [&] { closes(false); });
    CHECK(says(add(node, 5), "not connected"));
  }
  SECTION("it is closed, and Primary still") {
    node.devices.processes[1] = {"dd (pid 812)"};
    node.clock.at(12s, [&] { closes(true); });
    REQUIRE(add(node, 5));
    return;
  }
  SECTION("nobody sees who has it, until DRBD does not take the role back") {
    node.drbd.open.insert(1);
    node.clock.at(12s, [&] { closes(true); });
    const auto result = add(node, 5);
    CHECK(says(result, "no decision to start without the other node"));
    CHECK(says(result, "drbdadm primary Wheezy"));
    CHECK(node.drbd.role(1) == Role::Primary);
  }
  CHECK(node.value(5, "physical-device").empty());
}

TEST_CASE("the device is still open at remove") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.open.insert(1);
  SECTION("blkback closes it a moment later") {
    node.clock.at(300ms, [&] { node.drbd.open.clear(); });
    REQUIRE(remove(node, 5));
    CHECK(node.drbd.role(1) == Role::Secondary);
  }
  SECTION("somebody keeps it open: who, and what to type") {
    node.devices.processes[1] = {"dd (pid 812)"};
    const auto result = remove(node, 5);
    CHECK(says(result, "still Primary"));
    CHECK(says(result, "dd (pid 812)"));
    CHECK(says(result, "drbdadm secondary Wheezy"));
    CHECK(node.clock.elapsed() < 36s);
    CHECK(node.clock.elapsed() > 20s);
    CHECK_FALSE(node.records.resource_locked);
  }
  SECTION("the same where another block-drbd has the lock at the end") {
    node.clock.at(25s, [&] { node.records.resource_locked = true; });
    node.devices.processes[1] = {"dd (pid 812)"};
    const auto result = remove(node, 5);
    CHECK(says(result, "still Primary"));
    CHECK(says(result, "dd (pid 812)"));
    CHECK(node.clock.elapsed() < 36s);
  }
  SECTION("the same on a node so slow that the time is over in the middle of a look") {
    node.drbd.takes = 700ms;
    node.devices.processes[1] = {"dd (pid 812)"};
    const auto result = remove(node, 5);
    CHECK(says(result, "dd (pid 812)"));
    CHECK_FALSE(says(result, "was stopped"));
    CHECK(node.clock.elapsed() < 36s);
  }
  SECTION("a mount stays: no use waiting for it") {
    node.devices.uses[1] = {"mounted on /srv"};
    CHECK(says(remove(node, 5), "mounted on /srv"));
    CHECK(node.clock.elapsed() < 1s);
  }
  SECTION("another guest that starts meanwhile waits for the last writes of this one") {
    node.guest(6, "other", "uuid-other");
    bool waited = false;
    node.clock.at(1s, [&] {
      node.clock.at(3s, [&] {
        waited = node.value(6, "physical-device").empty();
        node.drbd.open.clear();
      });
      REQUIRE(add(node, 6));
      node.drbd.open.insert(1);
    });
    REQUIRE(remove(node, 5));
    CHECK(waited);
    CHECK(node.drbd.role(1) == Role::Primary);
  }
  SECTION("the demotion hangs") {
    node.drbd.demotion_hangs = true;
    node.drbd.takes = 200ms;
    CHECK(says(remove(node, 5), "still Primary"));
    CHECK(node.clock.elapsed() < 36s);
  }
}

TEST_CASE("a look that fails does not end remove: giving up would leave a Primary behind") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.takes = 16s;  // longer than a look may take
  SECTION("it passes") {
    node.clock.at(12s, [&] { node.drbd.takes = 0s; });
    REQUIRE(remove(node, 5));
    CHECK(node.drbd.role(1) == Role::Secondary);
  }
  SECTION("it does not") {
    const auto result = remove(node, 5);
    CHECK(says(result, "may still be Primary"));
    CHECK(says(result, "drbdadm secondary Wheezy"));
    CHECK(node.clock.elapsed() < 36s);
    CHECK(node.report.said.size() == 1);  // says what it waits for
  }
}

TEST_CASE("a promotion that DRBD does not answer is not forgotten") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.promotion_hangs = true;
  const auto result = add(node, 5);
  CHECK(says(result, "cannot become Primary"));
  CHECK(says(result, "may still be Primary on this node, or become so"));
  CHECK(node.clock.elapsed() < 36s);
  SECTION("it takes effect before libxl's remove, or during it") {
    const auto takes_effect = GENERATE(0s, 5s);
    node.clock.at(std::chrono::duration_cast<Duration>(node.clock.elapsed() + takes_effect),
                  [&] { node.drbd.make_primary(1); });
    REQUIRE(remove(node, 5));
    CHECK(node.drbd.role(1) == Role::Secondary);
    CHECK(node.records.all.empty());
  }
  SECTION("it never does") {
    CHECK(says(remove(node, 5), "may still be Primary on this node, or become so"));
  }
}

TEST_CASE("9: a role that goes as it came, by hand, says nothing about an unanswered promotion") {
  FakeNode node(9);
  node.drbd.promotion_hangs = node.drbd.demotion_hangs = true;
  node.clock.at(20s, [&] { node.drbd.make_primary(1); });
  node.clock.at(30s, [&] { node.drbd.set_role(1, Role::Secondary); });
  CHECK(says(add(node, 5), "may still be Primary on this node"));
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().unanswered);
}

TEST_CASE("an add that is killed while DRBD has not answered: its promotion is not forgotten") {
  FakeNode node(GENERATE(8, 9));
  struct Killed {};
  node.drbd.during_promotion = [] { throw Killed(); };
  CHECK_THROWS_AS(add(node, 5), Killed);
  SECTION("it hangs") {
    node.drbd.promotion_hangs = true;
    node.clock.at(5s, [&] { node.drbd.make_primary(1); });
    REQUIRE(remove(node, 5));
    CHECK(node.clock.elapsed() >= 5s);
  }
  SECTION("it is over: DRBD was told nothing, or has answered to nobody") {
    if (GENERATE(false, true))
      node.drbd.make_primary(1);
    REQUIRE(remove(node, 5));
    CHECK(node.clock.elapsed() < 1s);
  }
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("remove of a resource that is down forgets the claim") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(add(node, 5));
  node.drbd.state.name = "down";
  REQUIRE(remove(node, 5));
  CHECK(node.records.all.empty());
}

TEST_CASE("a path that served another resource before") {
  FakeNode node(GENERATE(8, 9));
  remembers(node, 5, "Jessie", 2, record::Phase::Attached);
  REQUIRE(add(node, 5));
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("incoming migration while a node is away that was Primary when it was lost: refused") {
  FakeNode node(9);
  allow_two_primaries(node);
  incoming(node);
  node.peer().name = "node2";
  drbd::Peer away = node.peer();
  away.name = "node3";
  away.node_id = 2;
  away.role = Role::Unknown;
  away.connection = drbd::Connection::Connecting;
  node.drbd.state.peers.push_back(away);
  SECTION("it was Secondary, or the kernel has forgotten it") {
    if (GENERATE(false, true))
      node.kernel_log =
          "6,812,99,-;drbd Wheezy node3: conn( Connected -> NetworkFailure ) "
          "peer( Secondary -> Unknown )\n";
    REQUIRE(add(node, 5));
    CHECK(node.report.said.empty());
  }
  SECTION("what the kernel says cannot be read") {
    node.kernel_log = failure("cannot open /dev/kmsg: Operation not permitted");
    node.drbd.state.volumes.front().disk = drbd::Disk::Consistent;  // it takes several looks
    node.clock.at(2s, [&] { node.drbd.state.volumes.front().disk = drbd::Disk::UpToDate; });
    REQUIRE(add(node, 5));
    const auto told = [](const std::string& text) {
      return text.find("cannot be told whether it was Primary") != std::string::npos;
    };
    CHECK(std::ranges::count_if(node.report.said, told) == 1);
  }
  SECTION("it was Primary") {
    node.kernel_log =
        "6,812,99,-;drbd Wheezy node3: conn( Connected -> NetworkFailure ) "
        "peer( Primary -> Unknown )\n";
    const auto result = add(node, 5);
    CHECK(says(result, "node node3, which is not connected, was Primary when it was lost"));
    CHECK(says(result, "The guest goes on at its source"));
    CHECK(says(result, "drbdadm del-peer Wheezy:node3"));
    CHECK(node.drbd.role(1) == Role::Secondary);
    node.drbd.state.peers.pop_back();  // del-peer
    node.guest(5, "web--incoming", "uuid-web");
    REQUIRE(add(node, 5));
  }
}

TEST_CASE("incoming migration beside an orphan of an earlier one: refused, whatever the link") {
  FakeNode node(GENERATE(8, 9));
  allow_two_primaries(node);
  node.guest(4, "web--incoming", "uuid-web");
  node.store.values[FakeNode::path(4) / "physical-device"] = "93:1";
  node.drbd.make_primary(1);
  incoming(node);
  SECTION("up") {}
  SECTION("down") {
    node.link_is_down();
  }
  const auto result = add(node, 5);
  CHECK(says(result, "another instance of the same guest"));
  CHECK(says(result, "web--incoming"));
  CHECK(node.value(5, "physical-device").empty());
}

TEST_CASE("a step back that DRBD refuses is no decision of a person's") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.during_promotion = [&] {
    node.link_is_down();
    node.drbd.open.insert(1);  // udev looks at the device that has just become writable
    node.drbd.during_promotion = nullptr;
  };
  node.clock.at(20s, [&] { node.drbd.open.clear(); });
  CHECK(says(add(node, 5), "not connected"));
  CHECK(node.value(5, "physical-device").empty());
}

TEST_CASE("udev runs add twice at the same time: one attaches, the other finds it done") {
  FakeNode node(GENERATE(8, 9));
  node.records.xen_locked = true;
  node.clock.at(5100ms, [&] {
    node.records.xen_locked = false;
    REQUIRE(add(node, 5));  // runs while the other one waits for Xen's lock
  });
  REQUIRE(add(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.value(5, "hotplug-status") == "connected");
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().phase == record::Phase::Attached);
}

TEST_CASE("udev runs add twice, and the first is asked to end: what the second attached stays") {
  FakeNode node(GENERATE(8, 9));
  node.records.xen_locked = true;
  node.clock.at(5100ms, [&] {
    node.records.xen_locked = false;
    REQUIRE(add(node, 5));
    node.clock.asked_to_end = true;
  });
  CHECK(says(add(node, 5), "asked to end"));
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.value(5, "hotplug-status") == "connected");
  CHECK(node.records.all.size() == 1);
}

TEST_CASE("a wait for another block-drbd is told") {
  FakeNode node(GENERATE(8, 9));
  node.records.resource_locked = true;
  SECTION("and ends") {
    node.clock.at(2s, [&] { node.records.resource_locked = false; });
    REQUIRE(add(node, 5));
    CHECK(node.report.said.size() == 1);
  }
  SECTION("and is given up when we are asked to end") {
    node.clock.at(2s, [&] { node.clock.asked_to_end = true; });
    CHECK(says(add(node, 5), "asked to end"));
    CHECK(node.clock.elapsed() < 3s);
  }
}

TEST_CASE("8.4: another volume is still Primary on the peer: it is about to leave") {
  FakeNode node(8);
  node.peer_is(Role::Primary);
  node.drbd.promotions = {FakeDrbd::refusal(drbd::code::other_volume_primary_on_peer,
                                            "Other vol primary on peer not allowed by config")};
  SECTION("soon") {
    node.clock.at(100ms, [&] { node.peer_is(Role::Secondary); });
    REQUIRE(add(node, 5));
  }
  SECTION("after longer than a refusal is waited for that is not about the peer") {
    node.drbd.promotions.assign(60, node.drbd.promotions.front());
    node.clock.at(12s, [&] {
      node.peer_is(Role::Secondary);
      node.drbd.promotions.clear();
    });
    REQUIRE(add(node, 5));
  }
}

TEST_CASE("disks that the shell script attached, removed in parallel") {
  FakeNode node(GENERATE(8, 9));
  node.guest(5, "web", "uuid-web", "Wheezy", "w!");
  node.guest(6, "other", "uuid-other", "Wheezy", "w!");
  for (const unsigned domain : {5U, 6U})
    node.store.values[FakeNode::path(domain) / "physical-device"] = "93:1";
  node.drbd.make_primary(1);
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
  REQUIRE(remove(node, 6));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("a rollback that fails at first still leaves a role that somebody uses") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.make_primary(1);
  node.drbd.open.insert(1);
  node.drbd.before_status = [&] {
    if (node.clock.elapsed() >= 5s)
      node.drbd.takes = 40s;
  };
  CHECK_FALSE(add(node, 5));
  node.drbd.before_status = nullptr;
  node.drbd.takes = 0s;
  REQUIRE(remove(node, 5));
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.records.all.empty());
}

TEST_CASE("the node is so busy that DRBD's state is not told in time: it is asked again") {
  FakeNode node(GENERATE(8, 9));
  const bool from_the_start = GENERATE(true, false);
  if (from_the_start)
    node.drbd.takes = 40s;
  else  // the role is there already
    node.drbd.before_status = [&] {
      if (node.clock.elapsed() < 1s)
        node.drbd.takes = 40s;
    };
  SECTION("for a while") {
    node.clock.at(12s, [&] { node.drbd.takes = 0s; });
    CHECK(add(node, 5));
  }
  SECTION("for ever") {
    CHECK_FALSE(add(node, 5));
    CHECK(node.clock.elapsed() < 40s);
  }
}

TEST_CASE("the claim of a killed add whose remove never came counts for nobody") {
  FakeNode node(GENERATE(8, 9));
  remembers(node, 4, "Wheezy", 1, record::Phase::Promoting);
  REQUIRE(add(node, 5));
  REQUIRE(remove(node, 5));
  CHECK(node.records.all.empty());
}
