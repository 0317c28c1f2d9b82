// Orders of events that break simpler protocols, each with its expected end.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "../unit/catch.h"
#include "cluster.h"
#include "drbd/kernel_log.h"
#include "toolstack.h"

using namespace block_drbd::simulation;

namespace {

/// Two nodes, or more; the guest `web` runs on the first. Every delay is the shortest there is.
struct Stage {
  explicit Stage(DrbdShape shape = {}, bool begins = true) : cluster(world, shape) {
    for (int r = 0; r < shape.resources; ++r)
      for (int v = 0; v < shape.volumes; ++v)
        web.disks.push_back({.resource = r,
                             .volume = v,
                             .names_volume = shape.volumes > 1,
                             .mode = "w",
                             .device = 51712 + 16 * static_cast<unsigned>(web.disks.size())});
    toolstack.on_stage = [this](const Migration& migration) {
      if (migration.stage == stage_ && then_)
        world.scheduler().after(0, std::exchange(then_, nullptr));
    };
    if (begins) {
      toolstack.create(0, web);
      run(seconds(2));
      REQUIRE(runs_on() == "node0");
    }
  }
  ~Stage() {
    if (std::getenv("TELL") != nullptr)
      for (const std::string& line : world.story())
        std::puts(line.c_str());
    world.scheduler().end_all();
  }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  void run(Time duration) {
    world.scheduler().run_until(world.now() + duration);
    if (world.violated()) {
      std::string story;
      for (const std::string& line : world.story())
        story += line + '\n';
      FAIL(world.violated()->rule << ": " << world.violated()->text << '\n' << story);
    }
  }
  /// Until every xl and every script has ended.
  void settle() {
    run(seconds(1));
    while (world.scheduler().any_alive([](const Actor& actor) { return !is_in_background(actor); }))
      run(seconds(1));
    run(seconds(15));
  }
  void at_stage(int stage, std::function<void()> then) {
    stage_ = stage;
    then_ = std::move(then);
  }
  /// Once the guest of a migration runs on its target, these are killed at its source, as long as
  /// that is Primary.
  int lost = 0;  ///< so many
  void loses(const std::vector<std::string>& names) {
    at_stage(5, [=, this] {
      for (int i = 0; i < 300; ++i)
        world.scheduler().after(milliseconds(i), [=, this] {
          for (const std::string& name : names)
            if (cluster.drbd().is_primary(0, 0))
              lost += world.scheduler().kill_one(0, name) ? 1 : 0;
        });
    });
  }
  void cut() { cluster.drbd().cut(0, 1); }
  /// From all others, and until all have noticed.
  void isolate(int node) {
    for (int p = 0; p < cluster.nodes(); ++p)
      if (p != node)
        cluster.drbd().cut(node, p);
    run(seconds(15));
  }
  bool writes(int node) { return cluster.drbd().completes_writes(0, node); }
  void open_by_hand(int node, bool to_write, Time duration) {
    cluster.open_by_hand(0, node, 0, to_write, duration);
  }
  void restore() { cluster.drbd().restore(0, 1); }
  /// The two nodes differ in allow-two-primaries when they meet again.
  void part_by_settings(int resource) {
    isolate(1);
    cluster.drbd().set_two_primaries(resource, 0, 1, true);
    restore();
  }

  std::string runs_on() {
    std::string nodes;
    for (int n = 0; n < cluster.nodes(); ++n)
      for (const auto& [id, domain] : cluster.node(n).domains)
        if (domain.run == Run::Running)
          nodes += (nodes.empty() ? "node" : " node") + std::to_string(n);
    return nodes.empty() ? "nowhere" : nodes;
  }
  std::string roles(int resource = 0) {
    std::string all;
    for (int n = 0; n < cluster.nodes(); ++n)
      all += std::string(n == 0 ? "" : "/") +
             (cluster.drbd().is_primary(resource, n) ? "Primary" : "Secondary");
    return all;
  }
  /// The first connection as both ends have it.
  std::string two_primaries(int resource = 0) {
    const auto word = [&](int node, int peer) {
      return cluster.drbd().two_primaries(resource, node, peer) ? "yes" : "no";
    };
    return std::string(word(0, 1)) + '/' + word(1, 0);
  }
  bool connected(int resource = 0) { return cluster.drbd().sees_each_other(resource, 0, 1); }
  bool said(const std::string& text) {
    return std::any_of(toolstack.calls.begin(), toolstack.calls.end(), [&](const auto& call) {
      return call.message.find(text) != std::string::npos;
    });
  }
  const Toolstack::Call& last_call() { return toolstack.calls.back(); }
  /// Nothing of the guest is left to be done.
  void check_at_rest() {
    cluster.check_at_rest();
    run(0);
  }

  Choices choices{std::vector<std::uint32_t>{}};
  World world{choices, true};
  Cluster cluster;
  Toolstack toolstack{cluster};
  Guest web{.name = "web", .uuid = "uuid-web", .disks = {}};

 private:
  int stage_ = 0;
  std::function<void()> then_;
};

/// DRBD 9, three nodes.
DrbdShape three_nodes(const std::string& quorum = "off", std::set<int> diskless = {}) {
  DrbdShape shape;
  shape.generation = 9;
  shape.nodes = 3;
  shape.quorum = quorum;
  shape.diskless = std::move(diskless);
  return shape;
}

DrbdShape shape_of(int generation) {
  DrbdShape shape;
  shape.generation = generation;
  return shape;
}

}  // namespace

TEST_CASE("a migration leaves one Primary and a closed window") {
  DrbdShape shape = shape_of(GENERATE(8, 9));
  shape.volumes = GENERATE(1, 2);
  shape.resources = GENERATE(1, 2);
  Stage stage(shape);
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  for (int r = 0; r < shape.resources; ++r) {
    CHECK(stage.roles(r) == "Secondary/Primary");
    CHECK(stage.two_primaries(r) == "no/no");
    CHECK(stage.connected(r));
  }
  stage.check_at_rest();
}

TEST_CASE("a migration straight back finds the window open or closed, and works") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  const Time pause = milliseconds(GENERATE(0, 10, 40, 100));
  stage.at_stage(5, [&] {
    stage.world.scheduler().after(pause, [&] { stage.toolstack.migrate(stage.web, 1, 0); });
  });
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.two_primaries() == "no/no");
}

TEST_CASE("a migration within one node shares the role") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 0);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.last_call().verb == Verb::Remove);
  CHECK(stage.last_call().ok);
  stage.toolstack.shutdown(0, "web");
  stage.settle();
  CHECK(stage.roles() == "Secondary/Secondary");
  stage.check_at_rest();
}

TEST_CASE("a migration that breaks off at any stage before GO leaves the guest at its source") {
  Stage stage(shape_of(GENERATE(8, 9)));
  const int at = GENERATE(1, 2, 3);
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(at, [&] { stage.toolstack.break_migration(); });
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.two_primaries() == "no/no");
  stage.check_at_rest();
}

TEST_CASE("a migration is refused while the replication link is down, and the guest goes on") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.configured.starts_unseen = GENERATE(false, true);
  stage.cut();
  stage.run(seconds(20));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.said("goes on at its source"));
}

TEST_CASE("a migration is refused when the link is down and the target has not noticed yet") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.drbd().notices_after = {{0, milliseconds(100)}, {1, seconds(10)}};
  stage.cut();
  stage.run(milliseconds(500));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.said("goes on at its source"));
}

TEST_CASE("the link goes while the window is opened: the guest stays") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(2, [&] { stage.cut(); });
  stage.settle();
  // Whether the setting arrived is known to neither node: the two may refuse each other afterwards.
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.said("goes on at its source"));
}

TEST_CASE("both links go before GO: the source's guest goes on, and the nodes find each other") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.drbd().notices_after[1] = milliseconds(GENERATE(50, 3000, 10000));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(3, [&] {
    stage.cut();
    stage.toolstack.break_migration();
  });
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  stage.restore();
  stage.run(seconds(60));
  CHECK(stage.cluster.parted.empty());
  CHECK(stage.connected());
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.two_primaries() == "no/no");
}

TEST_CASE("the link goes after GO: the target's guest runs, and the nodes find each other") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.drbd().notices_after[1] = milliseconds(GENERATE(50, 3000, 10000));
  const int at = GENERATE(4, 5, 6);
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(at, [&] { stage.cut(); });
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  stage.restore();
  stage.run(seconds(60));
  CHECK(stage.cluster.parted.empty());
  CHECK(stage.connected());
  CHECK(stage.roles() == "Secondary/Primary");
  CHECK(stage.two_primaries() == "no/no");
}

TEST_CASE(
    "the final report is lost: a start at the source is refused until the rest is destroyed") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(4, [&] { stage.toolstack.break_migration(); });
  stage.settle();
  REQUIRE(stage.runs_on() == "node1");
  REQUIRE(stage.cluster.find(0, "web--migratedaway") != nullptr);
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.said("another instance of the same guest"));
  CHECK(stage.roles() == "Primary/Primary");
  stage.toolstack.destroy(0, "web--migratedaway");
  stage.settle();
  CHECK(stage.roles() == "Secondary/Primary");
  CHECK(stage.two_primaries() == "no/no");
  stage.check_at_rest();
}

TEST_CASE("a paused orphan of a broken migration keeps others from the resource") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(3, [&] { stage.toolstack.kill_receiver(1); });
  stage.settle();
  REQUIRE(stage.runs_on() == "node0");
  REQUIRE(stage.cluster.find(1, "web--incoming") != nullptr);
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.said("another instance of the same guest"));
  stage.toolstack.destroy(1, "web--incoming");
  stage.settle();
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.two_primaries() == "no/no");
}

TEST_CASE("a guest that is only called NAME--incoming opens no window") {
  Stage stage(shape_of(GENERATE(8, 9)));
  Guest called = stage.web;
  called.name = "web--incoming";
  stage.toolstack.create(1, called);
  stage.run(seconds(10));
  CHECK(stage.two_primaries() == "no/no");
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.said("is Primary on"));
  CHECK(stage.roles() == "Primary/Secondary");
}

TEST_CASE("a start where the link is cut and the peer may have the guest is refused") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cut();
  stage.run(seconds(20));
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.said("is not connected to"));
  CHECK(stage.roles() == "Primary/Secondary");
}

TEST_CASE("a guest reboots though the peer is dead") {
  Stage stage(shape_of(GENERATE(8, 9)), false);
  stage.web.boots_from_disk = GENERATE(false, true);
  stage.toolstack.create(0, stage.web);
  stage.settle();
  stage.cluster.crash(1);
  stage.run(seconds(20));
  stage.toolstack.shutdown(0, "web", true);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
}

TEST_CASE("what one guest had while the peer is dead is not given to another") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.crash(1);
  stage.run(seconds(20));
  stage.toolstack.shutdown(0, "web");
  stage.settle();
  Guest copy = stage.web;
  copy.name = "copy";
  copy.uuid = "uuid-copy";
  stage.toolstack.create(0, copy);
  stage.settle();
  CHECK(stage.runs_on() == "nowhere");
  CHECK(stage.roles() == "Secondary/Secondary");
}

TEST_CASE("what a guest had while its peer was away is over when the peer was there again") {
  Stage stage(shape_of(GENERATE(8, 9)));
  for (const int node : {0, 1})
    stage.cluster.drbd().notices_after[node] = seconds(1);
  stage.cut();
  stage.run(seconds(3));
  stage.toolstack.shutdown(0, "web");
  stage.run(seconds(3));
  stage.restore();
  stage.run(seconds(5));
  stage.toolstack.create(1, stage.web);
  stage.run(seconds(3));
  REQUIRE(stage.runs_on() == "node1");
  stage.cut();
  stage.run(seconds(3));
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
}

TEST_CASE("a guest does not start while an earlier one's device is still open") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.closes_after[0] = seconds(60);
  stage.toolstack.shutdown(0, "web");
  stage.run(seconds(45));
  REQUIRE(stage.roles() == "Primary/Secondary");
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK((stage.runs_on() == "nowhere" || !stage.cluster.is_open(0, 1, 51712)));
}

TEST_CASE("twenty starts wait for an absent peer once") {
  Stage stage(shape_of(8), false);
  stage.cluster.crash(1);
  stage.run(seconds(20));
  stage.toolstack.create(0, stage.web);
  stage.run(seconds(5));
  CHECK(stage.toolstack.calls.empty());
  stage.settle();
  CHECK(stage.said("is not connected to"));
  const std::size_t before = stage.toolstack.calls.size();
  stage.toolstack.create(0, stage.web);
  stage.run(seconds(3));
  CHECK(stage.toolstack.calls.size() > before);
}

TEST_CASE("both nodes start the guest at the same moment: one gets it") {
  DrbdShape shape = shape_of(GENERATE(8, 9));
  shape.configured_two_primaries = GENERATE(false, true);
  Stage stage(shape, false);
  stage.toolstack.create(0, stage.web);
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK((stage.runs_on() == "node0" || stage.runs_on() == "node1"));
  CHECK((stage.roles() == "Primary/Secondary" || stage.roles() == "Secondary/Primary"));
  stage.check_at_rest();
}

TEST_CASE("volumes that are removed at the same moment give the role back") {
  DrbdShape shape = shape_of(GENERATE(8, 9));
  shape.volumes = 2;
  Stage stage(shape);
  stage.toolstack.shutdown(0, "web");
  stage.settle();
  CHECK(stage.roles() == "Secondary/Secondary");
  stage.check_at_rest();
}

TEST_CASE("a guest that another script attached gives the role back") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.node(0).claims.clear();
  stage.toolstack.shutdown(0, "web");
  stage.settle();
  CHECK(stage.roles() == "Secondary/Secondary");
  stage.check_at_rest();
}

TEST_CASE("a bootloader's look at the disk is followed by the guest's own use") {
  Stage stage(shape_of(GENERATE(8, 9)), false);
  stage.web.boots_from_disk = true;
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
}

TEST_CASE("a guest that reboots before its source let go waits, and starts") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.closes_after[0] = seconds(5);
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(5, [&] { stage.toolstack.shutdown(1, "web", true); });
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary");
  CHECK(stage.two_primaries() == "no/no");
}

TEST_CASE("a guest that ends here and starts there at once waits, and starts") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.closes_after[0] = seconds(5);
  stage.toolstack.shutdown(0, "web");
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary");
}

TEST_CASE("a start right after the peer died is refused, and the role is not kept") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.drbd().notices_after[1] = seconds(9);
  stage.cluster.crash(0);
  stage.run(seconds(2));
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "nowhere");
  CHECK(stage.said("is not connected to"));
  CHECK(stage.roles() == "Secondary/Secondary");
}

TEST_CASE(
    "the target loses power in the window: the guest runs on, and the nodes find each other") {
  Stage stage(shape_of(GENERATE(8, 9)));
  const Time delay = milliseconds(GENERATE(20, 25, 30, 35, 40, 50));  // `add` takes 45
  const Time off = seconds(GENERATE(2, 20));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(2, [&] { stage.world.scheduler().after(delay, [&] { stage.cluster.crash(1); }); });
  stage.run(off);
  stage.cluster.boot(1);
  stage.settle();
  stage.run(seconds(30));
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.two_primaries() == "no/no");
  CHECK(stage.connected());
  stage.check_at_rest();
}

TEST_CASE(
    "the source loses power before GO: no role is left behind, and the nodes find each other") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(3, [&] { stage.cluster.crash(0); });
  stage.run(seconds(20));
  stage.cluster.boot(0);
  stage.settle();
  stage.run(seconds(30));
  CHECK(stage.runs_on() == "nowhere");
  CHECK(stage.roles() == "Secondary/Secondary");
  CHECK(stage.two_primaries() == "no/no");
  CHECK(stage.connected());
  stage.check_at_rest();
}

TEST_CASE("nodes that differ in a setting and in their data: a person decides about the data") {
  DrbdShape shape = shape_of(GENERATE(8, 9));
  shape.resources = 2;
  Stage stage(shape);
  stage.isolate(1);
  stage.cluster.drbd().set_two_primaries(0, 0, 1, true);
  REQUIRE(stage.cluster.drbd().try_promote(0, 1, 0)->ok());
  stage.cluster.drbd().wrote(0, 1);
  REQUIRE(stage.cluster.drbd().demote(0, 1, 0).ok());
  stage.restore();
  stage.run(seconds(60));
  stage.part_by_settings(1);
  stage.run(seconds(60));
  CHECK(stage.connected(1));
  for (const int node : {0, 1}) {
    CHECK(stage.cluster.drbd().link(0, node, 1 - node) == Link::StandAlone);
    const std::string& log = stage.cluster.drbd().kernel_log(node);
    CHECK(log.find("allow-two-primaries") != std::string::npos);
    CHECK(log.find("allow-two-primaries") < log.find("Split-Brain"));
  }
  CHECK(stage.runs_on() == "node0");
}

TEST_CASE("what a person has disconnected stays so") {
  DrbdShape shape = shape_of(GENERATE(8, 9));
  shape.resources = 2;
  Stage stage(shape);
  stage.part_by_settings(0);
  stage.run(seconds(20));
  REQUIRE(stage.connected());
  stage.cluster.drbd().disconnect(0, 1);
  stage.part_by_settings(1);
  stage.run(seconds(60));
  CHECK(stage.connected(1));
  CHECK(stage.cluster.drbd().link(0, 1, 0) == Link::StandAlone);
}

TEST_CASE(
    "parted nodes wait for a drbdadm that can read the configuration, and for their healers") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(3, [&] { stage.cluster.crash(1); });
  stage.run(seconds(20));
  stage.world.faults.broken_drbdadm = GENERATE(false, true);
  for (int i = 0; i < 20; ++i)
    stage.world.scheduler().after(seconds(i), [&] {
      stage.world.scheduler().kill_one(0, "heal");
      stage.world.scheduler().kill_one(1, "heal");
    });
  stage.cluster.boot(1);
  stage.run(seconds(120));
  if (stage.world.faults.broken_drbdadm)
    CHECK_FALSE(stage.connected());
  stage.world.faults.broken_drbdadm = false;
  for (const int node : {0, 1})
    stage.cluster.lost_healer(node);
  stage.run(seconds(100));
  CHECK(stage.connected());
  CHECK(stage.two_primaries() == "no/no");
}

TEST_CASE("the source loses power after GO: the guest runs, and the nodes find each other") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(5, [&] { stage.cluster.crash(0); });
  stage.run(seconds(30));
  stage.cluster.boot(0);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary");
  CHECK(stage.two_primaries() == "no/no");
  CHECK(stage.connected());
}

TEST_CASE("an adjust closes the window before the promotion: it is opened again") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  bool adjusted = false;
  stage.at_stage(2, [&] {
    // As soon as the window is open.
    std::function<void()> look = [&] {
      if (stage.cluster.drbd().two_primaries(0, 1, 0) && !adjusted) {
        adjusted = true;
        stage.cluster.drbd().adjust(0, 0);
      }
    };
    for (int i = 0; i < 200; ++i)
      stage.world.scheduler().after(milliseconds(i), look);
  });
  stage.settle();
  CHECK(adjusted);
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.two_primaries() == "no/no");
}

TEST_CASE("where two primaries are configured they stay allowed after a migration") {
  DrbdShape shape = shape_of(GENERATE(8, 9));
  shape.configured_two_primaries = true;
  Stage stage(shape);
  // Without drbdadm nobody knows, and nothing is forbidden.
  stage.world.faults.broken_drbdadm = GENERATE(false, true);
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.two_primaries() == "yes/yes");
  stage.world.faults.broken_drbdadm = false;
  stage.world.scheduler().run_until(stage.world.now() + seconds(60));
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary");
  CHECK(stage.two_primaries() == "yes/yes");
  stage.check_at_rest();
}

TEST_CASE("the keepers are killed: the next remove goes on with their work") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  for (int i = 0; i < 3000; ++i)
    stage.world.scheduler().after(milliseconds(i), [&] {
      stage.world.scheduler().kill_one(0, "keep r0");
      stage.world.scheduler().kill_one(1, "keep r0");
    });
  stage.settle();
  REQUIRE(stage.runs_on() == "node1");
  REQUIRE(stage.two_primaries() == "yes/yes");
  stage.toolstack.shutdown(1, "web");
  stage.settle();
  CHECK(stage.two_primaries() == "no/no");
  CHECK(stage.roles() == "Secondary/Secondary");
}

TEST_CASE("remove is killed at the source: the role is given back when the disk is gone") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.loses({"remove 1/a"});
  stage.settle();
  REQUIRE(stage.lost == 1);
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary");
  stage.check_at_rest();
}

TEST_CASE("remove and gone are killed at the source: the next call there gives the role back") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.loses({"remove 1/a", "gone 1/a"});
  stage.settle();
  REQUIRE(stage.runs_on() == "node1");
  REQUIRE(stage.roles() == "Primary/Primary");
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary");
  CHECK(stage.two_primaries() == "no/no");
  stage.check_at_rest();
}

TEST_CASE("a role that was left behind is no person's decision") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.loses({"remove 1/a", "gone 1/a"});
  stage.settle();
  REQUIRE(stage.roles() == "Primary/Primary");
  stage.cut();
  stage.run(seconds(20));
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
}

TEST_CASE("a device that is closed after remove's time is given back by the keeper") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.toolstack.closes_after[0] = seconds(50);
  stage.toolstack.shutdown(0, "web");
  stage.run(seconds(45));
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.said("is still Primary on this node"));
  stage.settle();
  CHECK(stage.roles() == "Secondary/Secondary");
  stage.check_at_rest();
}

TEST_CASE("a shared disk is not handed over") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.web.disks.front().mode = GENERATE("w!", "r");
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.said("two primaries are configured"));
  CHECK(stage.two_primaries() == "no/no");
  CHECK(stage.roles() == "Primary/Secondary");
}

TEST_CASE("another guest with the same disk is refused, here and there") {
  Stage stage(shape_of(GENERATE(8, 9)));
  Guest copy = stage.web;
  copy.name = "copy";
  copy.uuid = "uuid-copy";
  stage.toolstack.create(0, copy);
  stage.toolstack.create(1, copy);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.said("is already in use on this node: guest web"));
  CHECK(stage.said("is Primary on"));
  CHECK(stage.roles() == "Primary/Secondary");
}

TEST_CASE("three nodes: on from the second to the third while the first hand-over is not over") {
  DrbdShape shape = shape_of(9);
  shape.nodes = 3;
  Stage stage(shape);
  stage.toolstack.closes_after[0] = milliseconds(GENERATE(0, 500, 4000));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(5, [&] { stage.toolstack.migrate(stage.web, 1, 2); });
  stage.settle();
  CHECK((stage.runs_on() == "node1" || stage.runs_on() == "node2"));
  CHECK((stage.roles() == "Secondary/Primary/Secondary" ||
         stage.roles() == "Secondary/Secondary/Primary"));
  stage.check_at_rest();
}

TEST_CASE("three nodes: the third comes back while the hand-over between the others is not over") {
  Stage stage(three_nodes(GENERATE("off", "majority")));
  stage.cluster.crash(2);
  stage.run(seconds(20));
  stage.toolstack.closes_after[0] = seconds(8);
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(5, [&] { stage.cluster.boot(2); });
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary/Secondary");
  stage.check_at_rest();
  // DRBD may have refused it for the two that were Primary.
  for (const int node : {0, 1, 2})
    stage.cluster.drbd().adjust(0, node);
  stage.run(seconds(60));
  for (const int node : {0, 1})
    CHECK(stage.cluster.drbd().sees_each_other(0, node, 2));
}

TEST_CASE("a person decides that the guest starts without its peer") {
  Stage stage(shape_of(GENERATE(8, 9)), false);
  stage.cluster.crash(1);
  stage.run(seconds(20));
  REQUIRE(stage.cluster.drbd().try_promote(0, 0, 0)->ok());
  stage.web.boots_from_disk = GENERATE(false, true);
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  stage.toolstack.shutdown(0, "web");
  stage.settle();
  CHECK(stage.roles() == "Secondary/Secondary");
}

TEST_CASE("where it is configured, a guest starts without its peer") {
  Stage stage(shape_of(GENERATE(8, 9)), false);
  stage.cluster.configured.starts_unseen = true;
  stage.cluster.crash(1);
  stage.run(seconds(20));
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
}

TEST_CASE("a guest that may start without its peer is refused beside a Primary that is seen") {
  Stage stage(shape_of(GENERATE(8, 9)));
  stage.cluster.configured.starts_unseen = true;
  // DRBD would not refuse it.
  stage.cluster.drbd().set_two_primaries(0, 0, 1, true);
  stage.cluster.drbd().set_two_primaries(0, 1, 0, true);
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.said("is Primary on"));
}

// DRBD 9: nodes without disks.

TEST_CASE("a guest starts on a node without disk, and migrates from it and back") {
  Stage stage(three_nodes(GENERATE("off", "majority"), {0}));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.roles() == "Secondary/Primary/Secondary");
  stage.toolstack.migrate(stage.web, 1, 0);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary/Secondary");
  CHECK(stage.two_primaries() == "no/no");
  stage.check_at_rest();
}

TEST_CASE("a guest migrates from one node without disk to another") {
  Stage stage(three_nodes(GENERATE("off", "majority"), {0, 1}));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Secondary/Primary/Secondary");
  stage.check_at_rest();
}

TEST_CASE("a guest does not start on a node without disk that sees no data") {
  Stage stage(three_nodes("off", {2}), false);
  stage.cluster.crash(0);
  stage.cluster.drbd().invalidate(0, 1);
  stage.run(seconds(20));
  REQUIRE(stage.cluster.drbd().try_promote(0, 2, 0)->code == block_drbd::drbd::code::no_up_to_date);
  stage.toolstack.create(2, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "nowhere");
}

TEST_CASE("a node without disk loses those that have one: its guest writes no more") {
  Stage stage(three_nodes(GENERATE("off", "majority"), {0}));
  const bool by_quorum = stage.cluster.drbd().shape().quorum != "off";
  stage.isolate(0);
  CHECK_FALSE(stage.writes(0));
  stage.toolstack.create(1, stage.web);
  stage.run(seconds(20));
  CHECK(stage.runs_on() == (by_quorum ? "node0 node1" : "node0"));
  CHECK_FALSE(stage.writes(0));
}

TEST_CASE("two nodes without disks behind one that has one: the guest starts on one of them only") {
  DrbdShape shape = three_nodes("majority", {0, 1});
  shape.configured_two_primaries = GENERATE(false, true);
  Stage stage(shape);
  stage.cut();
  stage.run(seconds(15));
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary/Secondary");
}

// DRBD 9: quorum.

TEST_CASE("a node that has lost quorum writes no more, and the guest may start where quorum is") {
  DrbdShape shape = three_nodes("majority");
  shape.suspends_io = GENERATE(false, true);
  Stage stage(shape);
  stage.isolate(0);
  REQUIRE_FALSE(stage.writes(0));
  stage.toolstack.create(1, stage.web);
  stage.run(seconds(20));
  REQUIRE(stage.runs_on() == "node0 node1");
  REQUIRE(stage.writes(1));
  // They refuse each other when they meet again, and node0 goes on without writing.
  stage.restore();
  stage.cluster.drbd().restore(0, 2);
  stage.run(seconds(60));
  CHECK_FALSE(stage.writes(0));
  CHECK(stage.writes(1));
}

TEST_CASE("a guest that is cut off is not taken for the one that was started once more") {
  Stage stage(three_nodes("majority"));
  stage.isolate(0);
  stage.toolstack.create(2, stage.web);
  stage.run(seconds(20));
  REQUIRE(stage.runs_on() == "node0 node2");
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.settle();
  CHECK(stage.said("which is not connected, was Primary when it was lost"));
  CHECK(stage.runs_on() == "node0 node2");
  // Nor can it be told which of the two comes.
  stage.toolstack.migrate(stage.web, 2, 1);
  stage.settle();
  CHECK(stage.runs_on() == "node0 node2");
  CHECK(stage.roles() == "Primary/Secondary/Primary");
  // When the first is gone, and its node back, it can.
  stage.cluster.crash(0);
  stage.restore();
  stage.cluster.drbd().restore(0, 2);
  stage.cluster.boot(0);
  stage.run(seconds(60));
  REQUIRE(stage.roles() == "Secondary/Secondary/Primary");
  stage.toolstack.migrate(stage.web, 2, 1);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
}

TEST_CASE("the source of an earlier migration is not taken for that of the next") {
  Stage stage(three_nodes());
  stage.toolstack.closes_after[0] = seconds(30);
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(5, [&] { stage.isolate(1); });
  stage.run(seconds(20));
  REQUIRE(stage.runs_on() == "node1");
  REQUIRE(stage.roles() == "Primary/Primary/Secondary");
  stage.toolstack.migrate(stage.web, 1, 2);
  stage.settle();
  CHECK(stage.said("which is not connected, was Primary when it was lost"));
  CHECK(stage.runs_on() == "node1");
}

TEST_CASE("a start beside a Primary that only a third node sees is refused, also when that ends") {
  Stage stage(three_nodes("majority"));
  stage.cluster.drbd().cut(0, 2);
  stage.run(seconds(15));
  stage.toolstack.create(2, stage.web);
  stage.run(seconds(12));  // of which it waits ten for the link
  stage.toolstack.shutdown(0, "web");
  stage.settle();
  CHECK(stage.said("most likely one that this node does not see"));
  CHECK(stage.runs_on() == "nowhere");
  CHECK(stage.roles() == "Secondary/Secondary/Secondary");
}

TEST_CASE("no guest starts or reboots without quorum") {
  DrbdShape shape = three_nodes("majority");
  shape.suspends_io = false;
  Stage stage(shape);
  stage.isolate(0);
  stage.toolstack.shutdown(0, "web", true);
  stage.settle();
  CHECK(stage.said("too few nodes are connected for a majority"));
  CHECK(stage.runs_on() == "nowhere");
  CHECK(stage.roles() == "Secondary/Secondary/Secondary");
  stage.toolstack.create(2, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node2");
}

TEST_CASE("what a guest holds open without quorum is given back when quorum is there again") {
  Stage stage(three_nodes("majority"));
  stage.isolate(0);
  stage.toolstack.destroy(0, "web");
  stage.settle();
  REQUIRE(stage.roles() == "Primary/Secondary/Secondary");
  CHECK(stage.said("is still Primary on this node"));
  stage.restore();
  stage.settle();
  CHECK(stage.roles() == "Secondary/Secondary/Secondary");
}

TEST_CASE("a quorum that one node has alone is no ground for a start") {
  Stage stage(three_nodes("1"));
  stage.isolate(0);
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  CHECK(stage.roles() == "Primary/Secondary/Secondary");
}

TEST_CASE("a node without disk breaks the tie of two that have one") {
  Stage stage(three_nodes("majority", {2}));
  stage.isolate(0);
  CHECK_FALSE(stage.writes(0));
  stage.toolstack.create(1, stage.web);
  stage.run(seconds(20));
  CHECK(stage.runs_on() == "node0 node1");
  CHECK(stage.writes(1));
}

TEST_CASE("power is lost in a majority: the rest does not start the guest") {
  Stage stage(three_nodes("majority"));
  stage.cluster.crash(0);
  stage.cluster.crash(1);
  stage.run(seconds(15));
  stage.toolstack.create(2, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "nowhere");
  CHECK(stage.said("too few nodes are connected for a majority"));
  stage.cluster.boot(1);
  stage.run(seconds(15));
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node1");
}

// DRBD 9: who opens the device gets the role.

TEST_CASE("somebody writes by hand on another node: a start waits for him") {
  DrbdShape shape = shape_of(9);
  shape.configured_two_primaries = GENERATE(false, true);
  Stage stage(shape, false);
  const Time duration = seconds(GENERATE(5, 60));
  stage.open_by_hand(1, true, duration);
  REQUIRE(stage.roles() == "Secondary/Primary");
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == (duration > seconds(30) ? "nowhere" : "node0"));
  stage.run(seconds(60));
  CHECK(stage.roles() == (duration > seconds(30) ? "Secondary/Secondary" : "Primary/Secondary"));
}

TEST_CASE("somebody writes by hand here: a start waits for him, and leaves him the role") {
  Stage stage(shape_of(9), false);
  const Time duration = seconds(GENERATE(5, 60));
  stage.open_by_hand(0, true, duration);
  stage.toolstack.create(0, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == (duration > seconds(30) ? "nowhere" : "node0"));
  CHECK(stage.roles() == "Primary/Secondary");
  if (duration > seconds(30)) {
    CHECK(stage.said("is held open on this node"));
    stage.run(seconds(60));
    CHECK(stage.roles() == "Secondary/Secondary");
  }
}

TEST_CASE("what somebody gave up while a start waited is the start's own to give back") {
  Stage stage(shape_of(9), false);
  stage.open_by_hand(0, true, seconds(5));
  stage.toolstack.create(0, stage.web);
  for (int i = 0; i < 3000; ++i)  // as soon as it has the role
    stage.world.scheduler().after(seconds(5) + milliseconds(1 + i), [&] {
      if (stage.cluster.drbd().is_primary(0, 0))
        stage.world.scheduler().kill_one(0, "add 1/a");
    });
  stage.settle();
  CHECK(stage.runs_on() == "nowhere");
  CHECK(stage.roles() == "Secondary/Secondary");
  stage.check_at_rest();
}

TEST_CASE("what somebody opens by hand without its peer is no decision for a start") {
  Stage stage(shape_of(9));
  stage.cut();
  stage.run(seconds(15));
  const Time duration = seconds(GENERATE(5, 12, 60));
  stage.open_by_hand(1, true, duration);
  REQUIRE(stage.roles() == "Primary/Primary");
  stage.toolstack.create(1, stage.web);
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  stage.run(seconds(60));
  CHECK(stage.roles() == "Primary/Secondary");
}

TEST_CASE("what somebody closes while a start looks was nobody's decision") {
  // A process that ends can be seen no more while it writes its last pages: newer tools tell.
  DrbdShape shape = shape_of(9);
  shape.tells_open = GENERATE(false, true);
  const Time last_pages_take = shape.tells_open ? seconds(11) : 0;
  for (int moment = 0; moment < 400; ++moment) {
    Stage stage(shape);
    stage.cluster.last_pages_take = last_pages_take;
    stage.cut();
    stage.run(seconds(15));
    stage.open_by_hand(1, true, seconds(12) - last_pages_take + milliseconds(moment));
    if (last_pages_take > 0)
      stage.run(seconds(2));  // while it ends already
    stage.toolstack.create(1, stage.web);
    stage.settle();
    INFO("closed " << moment << " ms later");
    REQUIRE(stage.runs_on() == "node0");
  }
}

TEST_CASE("who became Primary when it was away already is not known to be so") {
  Stage stage(three_nodes("majority"), false);
  stage.cluster.drbd().cut(0, 1);
  stage.run(seconds(15));
  stage.toolstack.create(0, stage.web);
  stage.run(seconds(25));
  REQUIRE(stage.runs_on() == "node0");
  stage.cluster.drbd().cut(0, 2);
  stage.run(seconds(15));
  stage.toolstack.migrate(stage.web, 0, 2);  // which has lost it as Primary
  stage.settle();
  CHECK(stage.runs_on() == "node0");
  // On node1 a second one that was started on node2 would be taken for its source: README says so.
  CHECK(block_drbd::drbd::lost_as_primary(stage.cluster.drbd().kernel_log(1),
                                          stage.cluster.drbd().status(0, 1))
            .empty());
}

TEST_CASE("somebody opens the target's device by hand before the guest arrives: it stays") {
  Stage stage(shape_of(9));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(2, [&] {
    for (int i = 0; i < 2000; ++i)  // as soon as the window is open
      stage.world.scheduler().after(milliseconds(i), [&] {
        if (stage.cluster.drbd().two_primaries(0, 1, 0) && !stage.cluster.drbd().is_primary(0, 1))
          stage.open_by_hand(1, true, seconds(60));
      });
  });
  stage.settle();
  stage.run(seconds(90));
  // It may have been opened after the promotion: beside a guest that has it, anybody can.
  CHECK((stage.runs_on() == "node0" || stage.runs_on() == "node1"));
  CHECK((stage.roles() == "Primary/Secondary" || stage.roles() == "Secondary/Primary"));
  CHECK(stage.two_primaries() == "no/no");
  stage.check_at_rest();
}

TEST_CASE("somebody opens the source's device by hand in the window: it is closed after him") {
  Stage stage(shape_of(9));
  stage.toolstack.migrate(stage.web, 0, 1);
  stage.at_stage(5, [&] { stage.open_by_hand(0, true, seconds(60)); });
  stage.settle();
  REQUIRE(stage.runs_on() == "node1");
  CHECK(stage.roles() == "Primary/Primary");
  CHECK(stage.two_primaries() == "yes/yes");
  stage.run(seconds(60));
  CHECK(stage.roles() == "Secondary/Primary");
  CHECK(stage.two_primaries() == "no/no");
  stage.check_at_rest();
}

TEST_CASE("somebody reads by hand on another node: a start waits for him") {
  DrbdShape shape = three_nodes();
  shape.auto_promote = GENERATE(true, false);
  Stage stage(shape, false);
  const Time duration = seconds(GENERATE(5, 60));
  stage.open_by_hand(2, false, duration);
  stage.toolstack.create(0, stage.web);
  stage.settle();
  const bool starts = !shape.auto_promote || duration < seconds(30);
  CHECK(stage.runs_on() == (starts ? "node0" : "nowhere"));
  CHECK(stage.said("something there has the device open") == !starts);
}

TEST_CASE("somebody holds the device by hand when its guest ends: the role follows him") {
  Stage stage(shape_of(9));
  stage.open_by_hand(0, true, seconds(60));
  stage.toolstack.shutdown(0, "web");
  stage.settle();
  CHECK(stage.roles() == "Primary/Secondary");
  CHECK(stage.said("is still Primary on this node"));
  stage.run(seconds(60));
  CHECK(stage.roles() == "Secondary/Secondary");
  stage.check_at_rest();
}
