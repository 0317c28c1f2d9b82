// The hand-over window and its keeper, on a node in memory.
#include "hotplug/keeper.h"

#include "catch.h"
#include "fakes.h"
#include "hotplug/add.h"
#include "hotplug/gone.h"
#include "hotplug/remove.h"
#include "says.h"

using namespace block_drbd;
using namespace block_drbd::test;
using namespace std::chrono_literals;
using drbd::Role;

namespace {

using Calls = std::vector<std::string>;

/// A guest arrives by live migration; the resource allows one Primary.
struct Arrival : FakeNode {
  explicit Arrival(int generation = 8) : FakeNode(generation) {
    guest(5, "web--incoming", "uuid-web");
    below_migrate_receive = true;
    peer_is(Role::Primary);
  }

  Result<void> add() { return hotplug::add(host, path(5)); }
  Result<void> remove() {
    closing(5);
    return FakeNode::remove(5);
  }
  Result<void> keep() { return hotplug::keep(host, "Wheezy"); }

  bool two_primaries() const { return drbd.two_primaries(); }
  void takes_its_name() { store.values["/local/domain/5/name"] = "web"; }
};

/// Node 2, switched off, beside the peer, which is node 1. DRBD 9 only.
void third_node(FakeNode& node) {
  node.peer().node_id = 1;
  node.drbd.in_force.connections.front().node_id = 1;
  drbd::Peer third = node.peer();
  third.node_id = 2;
  third.connection = drbd::Connection::Connecting;
  third.role = Role::Unknown;
  third.volumes.front() = {
      .number = 0, .replication = drbd::Replication::Off, .disk = drbd::Disk::Unknown};
  node.drbd.state.peers.push_back(third);
  auto to_third = node.drbd.in_force.connections.front();
  to_third.node_id = 2;
  node.drbd.in_force.connections.push_back(to_third);
}

}  // namespace

TEST_CASE("a guest arrives where one Primary is allowed: a window is opened, and closed") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK(node.value(5, "physical-device") == "93:1");
  CHECK(node.drbd.calls == Calls{"status", "show", "two-primaries yes", "primary 1", "status"});
  CHECK(node.clock.elapsed() == 0s);  // the guest is suspended
  CHECK(node.records.windows.contains("Wheezy"));
  CHECK(node.keepers == Calls{"Wheezy"});

  node.clock.at(7s, [&] {
    CHECK(node.two_primaries());
    node.takes_its_name();
    node.peer_is(Role::Secondary);
  });
  REQUIRE(node.keep());
  CHECK(node.clock.elapsed() >= 7s);
  CHECK(node.clock.elapsed() <= 9s);
  CHECK_FALSE(node.two_primaries());
  CHECK(node.records.windows.empty());
  CHECK(node.drbd.role(1) == Role::Primary);
  CHECK_FALSE(node.records.keeper_locked);
  CHECK_FALSE(node.records.resource_locked);
}

TEST_CASE("the window is remembered, and its keeper started, before two primaries are allowed") {
  Arrival node(GENERATE(8, 9));
  SECTION("nothing can be remembered") {
    node.records.full = true;
    CHECK_FALSE(node.add());
  }
  SECTION("no process can be left behind") {
    node.no_keeper = true;
    CHECK(says(node.add(), "goes on at its source"));
  }
  CHECK(node.drbd.count("two-primaries yes") == 0);
  CHECK(node.drbd.count("primary 1") == 0);
}

TEST_CASE("no window for what is no incoming migration") {
  Arrival node(GENERATE(8, 9));
  SECTION("the name alone") {
    node.below_migrate_receive = false;
  }
  SECTION("the ancestor alone") {
    node.takes_its_name();
  }
  CHECK_FALSE(node.add());
  CHECK(node.drbd.count("two-primaries yes") == 0);
  CHECK(node.records.windows.empty());
}

TEST_CASE("no window for a disk that others may share, nor without protocol C") {
  Arrival node(GENERATE(8, 9));
  std::string words;
  SECTION("w!") {
    node.guest(5, "web--incoming", "uuid-web", "Wheezy", "w!");
    words = "w!";
  }
  SECTION("r") {
    node.guest(5, "web--incoming", "uuid-web", "Wheezy", "r");
    words = "mode r";
  }
  SECTION("protocol") {
    node.drbd.in_force.connections.front().protocol = 'A';
    words = "protocol C";
  }
  const auto result = node.add();
  CHECK(says(result, words));
  CHECK(says(result, "goes on at its source"));
  CHECK(node.drbd.count("two-primaries yes") == 0);
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("DRBD does not allow two primaries") {
  Arrival node(GENERATE(8, 9));
  const drbd::Answer passing{
      .exit_code = 11, .code = drbd::code::in_transient_state, .text = "(-18) In transient state"};
  const drbd::Answer lasting{.exit_code = 10, .code = 140, .text = "(140) no such thing"};
  SECTION("for a moment") {
    node.drbd.window_answers = {passing, passing};
    REQUIRE(node.add());
  }
  SECTION("for good") {
    node.drbd.window_answers = {lasting};
    CHECK(says(node.add(), "(140) no such thing"));
    CHECK(node.drbd.role(1) == Role::Secondary);
    CHECK(node.drbd.count("primary 1") == 0);
    // The keeper finds nothing to close.
    REQUIRE(node.keep());
    CHECK(node.records.windows.empty());
  }
}

TEST_CASE("the window is closed again before the promotion: it is opened again, a few times") {
  Arrival node(GENERATE(8, 9));
  int times = 0;
  node.drbd.during_promotion = [&] {
    if (times-- > 0)
      node.drbd.in_force.connections.front().two_primaries = false;
  };
  SECTION("drbdadm adjust was typed") {
    times = 2;
    REQUIRE(node.add());
    CHECK(node.drbd.count("two-primaries yes") == 3);
  }
  SECTION("something closes it all the time") {
    times = 1000;
    CHECK(says(node.add(), "drbdadm adjust"));
    CHECK(node.drbd.count("two-primaries yes") == 5);
    CHECK(node.clock.elapsed() < 2s);
    CHECK(node.drbd.role(1) == Role::Secondary);
  }
}

TEST_CASE("two disks of one guest on one resource: one window") {
  Arrival node(GENERATE(8, 9));
  node.second_volume();
  node.guest(5, "web--incoming", "uuid-web", "Wheezy/0");
  node.guest(5, "web--incoming", "uuid-web", "Wheezy/1", "w", FakeNode::xvdb);
  REQUIRE(node.add());
  REQUIRE(hotplug::add(node.host, FakeNode::path(5, FakeNode::xvdb)));
  CHECK(node.drbd.count("two-primaries yes") == 1);
  node.takes_its_name();
  node.peer_is(Role::Secondary);
  REQUIRE(node.keep());
  CHECK_FALSE(node.two_primaries());
}

TEST_CASE("the migration is aborted: the window is closed when the role is given back") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.clock.at(3s, [&] {
    REQUIRE(node.remove());
    node.store.wipe("backend/vbd/5");
  });
  REQUIRE(node.keep());
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK_FALSE(node.two_primaries());
  CHECK(node.records.windows.empty());
  CHECK(node.records.all.empty());
}

TEST_CASE(
    "the migration is aborted as all links are lost at once, and this one is not missed yet") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.clock.at(1s, [&] {
    REQUIRE(node.remove());
    node.store.wipe("backend/vbd/5");
  });
  // `no` would not get through; the source has resumed its guest and keeps `yes`.
  node.clock.at(11s, [&] {
    CHECK(node.two_primaries());
    node.link_is_down();
  });
  node.clock.at(60s, [&] {
    CHECK(node.two_primaries());
    node.link_is_up();
    node.peer_is(Role::Primary);
  });
  REQUIRE(node.keep());
  CHECK_FALSE(node.two_primaries());
}

TEST_CASE("DRBD misses the source only when the target is promoted: the data may be old") {
  Arrival node(GENERATE(8, 9));
  SECTION("the link goes") {
    node.drbd.during_promotion = [&] { node.link_is_down(); };
  }
  SECTION("the source goes on") {
    node.drbd.during_promotion = [&] { node.peer_is(Role::Secondary); };
  }
  const auto result = node.add();
  CHECK(says(result, "its source was lost"));
  CHECK(says(result, "goes on at its source"));
  CHECK(node.value(5, "physical-device").empty());
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("two primaries are allowed later than anybody waits: they are forbidden then") {
  Arrival node(GENERATE(8, 9));
  node.drbd.window_hangs = true;
  CHECK_FALSE(node.add());
  node.drbd.window_hangs = false;
  REQUIRE(node.remove());
  node.store.wipe("backend/vbd/5");
  node.clock.at(node.clock.elapsed() + 40s,
                [&] { node.drbd.in_force.connections.front().two_primaries = true; });
  REQUIRE(node.keep());
  CHECK_FALSE(node.two_primaries());
  CHECK(node.records.windows.empty());
}

TEST_CASE("DRBD 8.4: two primaries are allowed late, and the node was StandAlone meanwhile") {
  Arrival node(8);
  node.drbd.window_hangs = true;
  CHECK_FALSE(node.add());
  node.drbd.window_hangs = false;
  REQUIRE(node.remove());
  node.store.wipe("backend/vbd/5");
  const auto peers = std::exchange(node.drbd.state.peers, {});
  const auto connections = std::exchange(node.drbd.in_force.connections, {});
  node.clock.at(node.clock.elapsed() + 40s, [&] {
    node.drbd.state.peers = peers;
    node.drbd.in_force.connections = connections;
    node.drbd.in_force.connections.front().two_primaries = true;
  });
  REQUIRE(node.keep());
  node.clock.wait(1min);
  CHECK_FALSE(node.two_primaries());
  CHECK(node.records.windows.empty());
}

TEST_CASE("the guest is gone again before the keeper has seen it arrive") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.takes_its_name();
  REQUIRE(node.remove());
  node.store.wipe("backend/vbd/5");
  node.store.wipe("/local/domain/5");
  node.store.domains.erase(5);
  node.link_is_down();
  // The source has let it go, too, and comes back as it is configured.
  node.clock.at(60s, [&] { FAIL("waited for the link"); });
  REQUIRE(node.keep());
  CHECK_FALSE(node.two_primaries());
}

TEST_CASE("the source's keeper was faster: nothing is left to do") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.takes_its_name();
  node.peer_is(Role::Secondary);
  node.drbd.in_force.connections.front().two_primaries = false;
  const auto before = node.clock.elapsed();
  REQUIRE(node.keep());
  CHECK(node.clock.elapsed() == before);
  CHECK(node.records.windows.empty());
}

TEST_CASE("three nodes, one of them off: a guest migrates between the others") {
  Arrival node(9);
  third_node(node);
  REQUIRE(node.add());
  CHECK(node.drbd.in_force.connection_to(1)->two_primaries);
  CHECK_FALSE(node.drbd.in_force.connection_to(2)->two_primaries);
  node.takes_its_name();
  node.peer_is(Role::Secondary);
  REQUIRE(node.keep());
  CHECK_FALSE(node.two_primaries());
}

TEST_CASE("the link is lost in the window") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  SECTION("before the guest is let go: its source goes on with the open window, and so must we") {
    node.clock.at(1s, [&] { node.link_is_down(); });
    node.clock.at(60s, [&] {
      CHECK(node.two_primaries());
      node.link_is_up();
      node.peer_is(Role::Primary);
      REQUIRE(node.remove());
    });
    REQUIRE(node.keep());
    CHECK(node.clock.elapsed() >= 60s);
  }
  SECTION("after the guest has its own name: the source comes back as it is configured") {
    node.clock.at(1s, [&] { node.takes_its_name(); });
    node.clock.at(5s, [&] { node.link_is_down(); });
    node.clock.at(60s, [&] { FAIL("waited for the link"); });
    REQUIRE(node.keep());
    CHECK(node.drbd.role(1) == Role::Primary);
  }
  SECTION("it took its own name while the link was down") {
    node.clock.at(1s, [&] { node.link_is_down(); });
    node.clock.at(5s, [&] { node.takes_its_name(); });
    node.clock.at(60s, [&] { FAIL("waited for the link"); });
    REQUIRE(node.keep());
  }
  CHECK_FALSE(node.two_primaries());
  CHECK(node.records.windows.empty());
}

TEST_CASE("the resource goes down, or its connection: nothing is left to close") {
  Arrival node(8);
  REQUIRE(node.add());
  SECTION("StandAlone") {
    node.drbd.state.peers.clear();
    node.drbd.in_force.connections.clear();
  }
  SECTION("down") {
    node.drbd.state.name = "none";
  }
  REQUIRE(node.keep());
  CHECK(node.records.windows.empty());
}

TEST_CASE("what was allowed before the guest arrived is closed if the configuration forbids it") {
  Arrival node(GENERATE(8, 9));
  node.drbd.in_force.connections.front().two_primaries = true;
  REQUIRE(node.add());
  CHECK(node.drbd.calls == Calls{"status", "show", "primary 1", "status"});
  node.takes_its_name();
  node.peer_is(Role::Secondary);
  SECTION("configured so: it stays") {
    node.drbd.configured = true;
    REQUIRE(node.keep());
    CHECK(node.two_primaries());
  }
  SECTION("a window that lost its keeper, on the other node perhaps") {
    node.drbd.configured = false;
    REQUIRE(node.keep());
    CHECK_FALSE(node.two_primaries());
  }
  SECTION("drbdadm is broken: nobody knows, so it stays, that is told once, and tried again") {
    node.drbd.configured = failure("/etc/drbd.d/x.res:1: Parse error");
    node.clock.at(1min, [&] {
      CHECK(node.two_primaries());
      REQUIRE(node.report.said.size() == 1);
      CHECK(node.report.said.front().find("Parse error") != std::string::npos);
      node.drbd.configured = false;
    });
    REQUIRE(node.keep());
    CHECK_FALSE(node.two_primaries());
  }
  CHECK(node.records.windows.empty());
}

TEST_CASE("the source closes the window, too: the link may be lost when its role is given back") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.keepers.clear();
  node.peer_is(Role::Primary);  // the guest runs there by now
  node.drbd.in_force.connections.front().two_primaries = true;
  node.store.values["/local/domain/5/name"] = "web--migratedaway";
  node.closing(5);
  SECTION("configured for one Primary") {
    SECTION("connected") {}
    SECTION("the link is lost before") {
      node.link_is_down();
    }
    SECTION("the guest has ended there already") {
      node.peer_is(Role::Secondary);
    }
    REQUIRE(node.remove(5));
    CHECK(node.keepers == Calls{"Wheezy"});
    SECTION("and lost after") {
      node.link_is_down();
    }
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK_FALSE(node.drbd.two_primaries());
  }
  SECTION("configured for two") {
    node.drbd.configured = true;
    REQUIRE(node.remove(5));
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.drbd.two_primaries());
  }
  SECTION("a guest that was only shut down leaves the setting alone") {
    node.store.values["/local/domain/5/name"] = "web";
    REQUIRE(node.remove(5));
    CHECK(node.keepers.empty());
    CHECK(node.drbd.two_primaries());
  }
  CHECK(node.records.windows.empty());
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("the source closes the window towards its target when it has lost all nodes") {
  FakeNode node(9);
  third_node(node);
  REQUIRE_FALSE(hotplug::add(node.host, FakeNode::path(5)));
  node.drbd.set_role(1, Role::Primary);  // a person decides: not all nodes are seen
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  // The target is the one that comes last.
  node.drbd.in_force.connections.back().two_primaries = true;
  node.store.values["/local/domain/5/name"] = "web--migratedaway";
  node.closing(5);
  node.link_is_down();
  REQUIRE(node.remove(5));
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK_FALSE(node.drbd.two_primaries());
}

TEST_CASE("a window is closed only when it was seen closed") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.takes_its_name();
  node.peer_is(Role::Secondary);
  const drbd::Answer passing{
      .exit_code = 11, .code = drbd::code::in_transient_state, .text = "(-18) In transient state"};
  SECTION("refused for a moment") {
    node.drbd.window_answers = {passing, passing, passing};
  }
  SECTION("it looked as if") {
    node.drbd.before_status = [&, looks = 0]() mutable {
      // 164: the source became Primary again before the value was changed.
      node.peer_is(looks++ == 1 ? Role::Primary : Role::Secondary);
    };
  }
  REQUIRE(node.keep());
  CHECK_FALSE(node.two_primaries());
  CHECK(node.records.windows.empty());
}

TEST_CASE("a keeper that can do nothing goes on trying, and says so once") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.takes_its_name();
  node.peer_is(Role::Secondary);
  node.drbd.takes = 1h;  // no look succeeds
  node.clock.at(20min, [&] {
    CHECK(node.report.said.size() == 1);
    node.drbd.takes = 0s;
  });
  REQUIRE(node.keep());
  CHECK_FALSE(node.two_primaries());
}

TEST_CASE(
    "the source stays away, and somebody has forbidden two primaries: nothing is waited for") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.link_is_down();
  node.clock.at(5min, [&] {
    CHECK(node.records.windows.contains("Wheezy"));
    node.drbd.in_force.connections.front().two_primaries = false;  // drbdadm adjust
  });
  node.clock.at(6min, [&] { FAIL("waited for the source"); });
  REQUIRE(node.keep());
  CHECK(node.records.windows.empty());
}

TEST_CASE("drbdadm is not asked under the resource's lock") {
  Arrival node(GENERATE(8, 9));
  node.drbd.in_force.connections.front().two_primaries = true;
  REQUIRE(node.add());
  node.takes_its_name();
  node.peer_is(Role::Secondary);
  bool asked = false;
  node.drbd.before_dump = [&] {
    asked = true;
    CHECK_FALSE(node.records.resource_locked);
  };
  REQUIRE(node.keep());
  CHECK(asked);
  CHECK_FALSE(node.two_primaries());
}

TEST_CASE("two promotions that DRBD has not answered: each is waited for in its own time") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.promotion_hangs = true;
  REQUIRE_FALSE(hotplug::add(node.host, FakeNode::path(5)));
  const std::function<void()> add_another = [&] {
    if (node.records.resource_locked)  // it would wait in the middle of the keeper's turn
      return node.clock.at(node.clock.elapsed() + 100ms, add_another);
    node.guest(6, "web", "uuid-web");
    REQUIRE_FALSE(hotplug::add(node.host, FakeNode::path(6)));
  };
  node.clock.at(node.clock.elapsed() + 110s, add_another);
  // The second one, a minute after the first is not waited for any more.
  node.clock.at(node.clock.elapsed() + 180s, [&] { node.drbd.make_primary(1); });
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  node.clock.wait(5min);
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("the keeper says who holds a role that it cannot give back") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.drbd.open = {1};
  node.devices.processes[1] = {"tar (4711)"};
  node.store.wipe("backend/vbd/5");
  node.store.wipe("/local/domain/5");
  node.store.domains.erase(5);
  node.clock.at(1min, [&] {
    REQUIRE(node.report.said.size() == 1);
    CHECK(node.report.said.front().find("tar (4711) has /dev/drbd1 open") != std::string::npos);
    node.drbd.open.clear();
  });
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.clock.elapsed() < 70s);
  CHECK(node.report.said.size() == 1);
}

TEST_CASE("the keeper says who holds a role that came late") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.promotion_hangs = true;
  REQUIRE_FALSE(hotplug::add(node.host, FakeNode::path(5)));
  node.store.wipe("backend/vbd/5");
  node.report.said.clear();
  const Duration begin = node.clock.elapsed();
  node.clock.at(begin + 40s, [&] {
    CHECK(node.report.said.empty());
    node.drbd.make_primary(1);
    node.drbd.open = {1};
  });
  node.clock.at(begin + 1min, [&] {
    REQUIRE(node.report.said.size() == 1);
    CHECK(node.report.said.front().find("still Primary") != std::string::npos);
    node.drbd.open.clear();
  });
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("remove that never gets the lock leaves the role to a keeper") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.records.resource_locked = true;
  node.closing(5);
  CHECK_FALSE(node.remove(5));
  CHECK(node.keepers == Calls{"Wheezy"});
  node.records.resource_locked = false;
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("what a guest held while no node was seen ends when one is seen, or with its time") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.link_is_down();
  node.closing(5);
  REQUIRE(node.remove(5));
  REQUIRE(node.records.holds.contains("Wheezy"));
  CHECK(node.keepers == Calls{"Wheezy"});
  SECTION("a node is seen") {
    node.clock.at(10s, [&] { node.link_is_up(); });
    node.clock.at(15s, [&] { CHECK(node.records.holds.empty()); });
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
  }
  SECTION("its time is over") {
    node.clock.at(50s, [&] { CHECK(node.records.holds.contains("Wheezy")); });
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.clock.elapsed() >= 1min);
  }
  SECTION("the resource goes down, and may come up with whatever it missed") {
    node.drbd.state.name = "none";
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
  }
  CHECK(node.records.holds.empty());
  CHECK(node.clock.elapsed() < 70s);
}

TEST_CASE("a resource has one keeper") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.records.keeper_locked = true;
  node.drbd.calls.clear();
  REQUIRE(node.keep());
  CHECK(node.drbd.calls.empty());
}

TEST_CASE("a keeper that was lost is replaced by the next add or remove") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.takes_its_name();
  node.keepers.clear();
  SECTION("remove") {
    REQUIRE(node.remove());
  }
  SECTION("a start that fails") {
    node.guest(6, "other", "uuid-other");
    CHECK_FALSE(hotplug::add(node.host, FakeNode::path(6)));
  }
  CHECK(node.keepers == Calls{"Wheezy"});
}

TEST_CASE("asked to end: the records stay for the next one") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.clock.at(2s, [&] { node.clock.asked_to_end = true; });
  CHECK(says(node.keep(), "goes on with it"));
  CHECK(node.records.windows.contains("Wheezy"));
  CHECK_FALSE(node.records.keeper_locked);
}

TEST_CASE("a role that remove could not give back is given back when the device is closed") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.drbd.open.insert(1);
  node.closing(5);
  const auto removed = node.remove(5);
  CHECK(says(removed, "still Primary"));
  CHECK(node.keepers == Calls{"Wheezy"});
  node.store.wipe("backend/vbd/5");

  const auto at = node.clock.elapsed() + 30min;
  SECTION("the keeper goes on for as long as it takes") {
    node.clock.at(at, [&] { node.drbd.open.clear(); });
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.clock.elapsed() >= at);
    CHECK(node.clock.elapsed() < at + 1min);
    CHECK(node.drbd.role(1) == Role::Secondary);
    CHECK(node.records.all.empty());
  }
  SECTION("not from under a guest that has it by then") {
    node.guest(6, "other", "uuid-other");
    node.store.values[FakeNode::path(6) / "physical-device"] = "93:1";
    node.drbd.open.clear();
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.drbd.role(1) == Role::Primary);
  }
}

TEST_CASE("what a killed or skipped remove left is nobody's decision, and gets a keeper") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.store.wipe("backend/vbd/5");
  node.store.domains.erase(5);
  if (GENERATE(false, true))
    node.records.all.front().phase = record::Phase::Released;
  node.keepers.clear();
  node.guest(6, "web", "uuid-web");
  SECTION("the peer cannot be seen") {
    node.link_is_down();
  }
  SECTION("the peer has the guest by now") {
    node.peer_is(Role::Primary);
  }
  CHECK_FALSE(hotplug::add(node.host, FakeNode::path(6)));
  CHECK(node.keepers == Calls{"Wheezy"});
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("a xenstored that was started anew has forgotten a guest that runs: nothing is taken") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.devices.served.insert({5, 51712});
  node.store.wipe("backend/vbd/5");
  node.store.domains.erase(5);
  node.keepers.clear();
  const auto is_untouched = [&] {
    CHECK(node.drbd.role(1) == Role::Primary);
    CHECK(node.drbd.count("secondary 1") == 0);
    REQUIRE(node.records.all.size() == 1);
    CHECK(node.records.all.front().phase == record::Phase::Attached);
  };
  SECTION("its keeper waits until the kernel lets go of the disk") {
    node.clock.at(60s, [&] {
      is_untouched();
      node.devices.served.clear();
    });
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.clock.elapsed() >= 60s);
  }
  SECTION("another guest is refused, and then removed") {
    node.guest(6, "other", "uuid-other");
    CHECK(says(hotplug::add(node.host, FakeNode::path(6)), "in use"));
    REQUIRE(node.remove(6));
    CHECK_FALSE(node.keepers.empty());
    is_untouched();
    // Its own remove counts, whatever else is told.
    REQUIRE(node.remove(5));
  }
  CHECK(node.drbd.role(1) == Role::Secondary);
  CHECK(node.records.all.empty());
}

TEST_CASE("the kernel has let go of a disk: a remove that was skipped gets a keeper") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.keepers.clear();
  SECTION("the toolstack gave up on it") {
    node.store.wipe("backend/vbd/5");
    if (GENERATE(false, true))
      node.store.domains.erase(5);  // it ends after its disks
    REQUIRE(hotplug::gone(node.host, FakeNode::path(5)));
    CHECK(node.keepers == Calls{"Wheezy"});
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.drbd.role(1) == Role::Secondary);
  }
  SECTION("its gone did not get the resource's lock") {
    node.store.wipe("backend/vbd/5");
    node.records.resource_locked = true;
    node.clock.at(29s, [&] { node.records.resource_locked = false; });
    CHECK_FALSE(hotplug::gone(node.host, FakeNode::path(5)));
    CHECK(node.keepers == Calls{"Wheezy"});
    REQUIRE(hotplug::keep(node.host, "Wheezy"));
    CHECK(node.drbd.role(1) == Role::Secondary);
    CHECK(node.records.all.empty());
  }
  SECTION("remove was called") {
    REQUIRE(node.remove(5));
    REQUIRE(hotplug::gone(node.host, FakeNode::path(5)));
    CHECK(node.keepers.empty());
  }
  SECTION("the same disk was attached again meanwhile") {
    REQUIRE(hotplug::gone(node.host, FakeNode::path(5)));
    CHECK(node.keepers.empty());
    CHECK(node.drbd.role(1) == Role::Primary);
  }
}

TEST_CASE("a promotion that DRBD never answered is not waited for for ever") {
  FakeNode node(GENERATE(8, 9));
  node.drbd.promotion_hangs = true;
  CHECK_FALSE(hotplug::add(node.host, FakeNode::path(5)));
  CHECK(node.keepers == Calls{"Wheezy"});
  node.store.wipe("backend/vbd/5");
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK(node.clock.elapsed() > 2min);
  CHECK(node.records.all.empty());
}

TEST_CASE("the keeper gives back what an add that was killed took, when its guest is gone") {
  Arrival node(GENERATE(8, 9));
  REQUIRE(node.add());
  node.records.all.front().phase =
      GENERATE(record::Phase::Promoting, record::Phase::Attached);  // as at the kill
  node.store.wipe("backend/vbd/5");
  SECTION("gone") {
    node.store.domains.erase(5);
    REQUIRE(node.keep());
    CHECK(node.drbd.role(1) == Role::Secondary);
    CHECK(node.records.all.empty());
    CHECK_FALSE(node.two_primaries());
  }
  SECTION("still there: the toolstack is at it") {
    node.records.all.front().phase = record::Phase::Attached;
    node.clock.at(1min, [&] { CHECK(node.drbd.role(1) == Role::Primary); });
    REQUIRE(node.keep());
    CHECK(node.clock.elapsed() > 2min);  // nobody is
    CHECK(node.drbd.role(1) == Role::Secondary);
    CHECK_FALSE(node.two_primaries());
  }
}

TEST_CASE(
    "8.4: a promotion that was not answered, of another disk under the same name, is waited out") {
  FakeNode node(8);
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0");
  node.drbd.promotion_hangs = true;
  CHECK_FALSE(hotplug::add(node.host, FakeNode::path(5)));
  node.closing(5);
  CHECK_FALSE(node.remove(5));
  REQUIRE(node.records.all.size() == 1);
  CHECK(node.records.all.front().unanswered);
  node.store.wipe("backend/vbd/5");
  node.guest(5, "web", "uuid-web", "Wheezy/1");
  node.clock.at(node.clock.elapsed() + 2s, [&] { node.drbd.make_primary(1); });
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.keepers.clear();
  node.closing(5);
  REQUIRE(node.remove(5));
  CHECK(node.records.all.empty());
  CHECK(node.keepers.empty());
  CHECK(node.drbd.role(2) == Role::Secondary);
  CHECK(node.drbd.role(1) == Role::Secondary);
}

TEST_CASE("the target is the node to which two primaries are allowed, not one that is off") {
  FakeNode node(9);
  third_node(node);
  REQUIRE_FALSE(hotplug::add(node.host, FakeNode::path(5)));
  node.drbd.set_role(1, Role::Primary);
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.drbd.in_force.connections.front().two_primaries = true;  // to the node that is seen
  node.store.values["/local/domain/5/name"] = "web--migratedaway";
  node.closing(5);
  REQUIRE(node.remove(5));
  REQUIRE(node.records.windows.contains("Wheezy"));
  CHECK(node.records.windows.at("Wheezy").peer == 1);
  node.link_is_down();
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK_FALSE(node.drbd.two_primaries());
}

TEST_CASE("a keeper that cannot read xenstore drops all ended claims on a Secondary resource") {
  FakeNode node(GENERATE(8, 9));
  node.second_volume();
  node.guest(5, "web", "uuid-web", "Wheezy/0");
  node.guest(5, "web", "uuid-web", "Wheezy/1", "w", FakeNode::xvdb);
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5, FakeNode::xvdb)));
  for (auto& claim : node.records.all)
    claim.phase = record::Phase::Released;
  node.drbd.set_role(1, Role::Secondary);
  node.drbd.set_role(2, Role::Secondary);
  node.guest(7, "x", "uuid-x", "Other");
  node.store.forbidden.insert(FakeNode::path(7) / "physical-device");
  REQUIRE(hotplug::keep(node.host, "Wheezy"));
  CHECK(node.records.all.empty());
}

TEST_CASE("a DRBD that does not answer is asked once in a turn, not twice under the lock") {
  FakeNode node(GENERATE(8, 9));
  REQUIRE(hotplug::add(node.host, FakeNode::path(5)));
  node.drbd.takes = 16s;
  node.closing(5);
  node.drbd.calls.clear();
  CHECK_FALSE(node.remove(5));
  const auto& calls = node.drbd.calls;
  INFO("after " << node.clock.elapsed().count() << " ms");
  CHECK(std::count(calls.begin(), calls.end(), "status") <= 3);
}
