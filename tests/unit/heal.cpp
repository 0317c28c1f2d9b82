// The healer, on a node in memory.
#include "hotplug/heal.h"

#include "catch.h"
#include "fakes.h"

using namespace block_drbd;
using namespace block_drbd::test;
using namespace std::chrono_literals;
using drbd::Connection;

namespace {

using Calls = std::vector<std::string>;

/// What the kernel says is heard at once.
class FakeKernelLog : public drbd::KernelLog {
 public:
  explicit FakeKernelLog(FakeClock& clock) : clock_(clock) {}

  Result<std::string> read() override {
    read_ = text.size();
    return text;
  }
  void wait(Duration limit) override {
    waits.push_back(limit);
    constexpr Duration step = 1s;
    for (Duration waited{0}; waited < limit && clock_.wait(std::min(step, limit - waited));
         waited += step)
      if (text.size() > read_)
        return;
  }

  std::string text;
  std::vector<Duration> waits;

 private:
  FakeClock& clock_;
  std::size_t read_ = 0;
};

struct PartedNode : FakeNode {
  explicit PartedNode(int generation) : FakeNode(generation), v9(generation == 9) {
    if (v9) {
      peer().name = "node2";
      peer().node_id = 1;
      drbd.in_force.connections.front().node_id = 1;
    }
    drbd.at_connect = [this] { connects(); };
  }

  void says(const std::string& text) {
    log.text += "3,1,1,-;drbd Wheezy" + std::string(v9 ? " node2" : "") + ": " + text + '\n';
  }
  /// As DRBD gives up a connection on this node: it says so first. It keeps the settings of one on
  /// 9 only.
  void parts() {
    begins_to_part();
    is_parted();
  }
  void begins_to_part() {
    says("incompatible allow-two-primaries settings");
    peer().connection = Connection::Disconnecting;
  }
  void is_parted() {
    if (v9) {
      peer().connection = Connection::StandAlone;
      drbd.in_force.connections.front().two_primaries = true;
    } else {
      drbd.state.peers.clear();
      drbd.in_force.connections.clear();
    }
  }
  void connects() {
    says("conn( StandAlone -> Unconnected )");
    if (drbd.state.peers.empty())
      drbd.state.peers.push_back(FakeNode().peer());
    peer().connection = Connection::Connecting;
  }

  /// Until `end`.
  Result<void> heals(Duration end) {
    clock.at(end, [this] { clock.asked_to_end = true; });
    hotplug::Ward ward{
        .drbd = drbd, .kernel_log = log, .records = records, .clock = clock, .report = report};
    return hotplug::heal(ward);
  }
  long connections() const { return drbd.count(v9 ? "connect 1" : "connect"); }

  bool v9;
  FakeKernelLog log{clock};
};

}  // namespace

TEST_CASE("nodes that differ in allow-two-primaries are connected again", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  node.parts();
  REQUIRE(node.heals(1h));
  CHECK(node.connections() == 1);
  CHECK_FALSE(node.drbd.two_primaries());
  if (node.v9)
    CHECK(node.drbd.calls == Calls{"status", "status", "dump", "status", "show", "two-primaries no",
                                   "connect 1", "status"});
  CHECK(node.report.said.empty());
  CHECK(node.report.logged.size() == 1);
  CHECK_FALSE(node.records.healer_locked);
  CHECK_FALSE(node.records.resource_locked);
}

TEST_CASE("as long as the kernel says nothing, nothing is done", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  REQUIRE(node.heals(30h));
  CHECK(node.drbd.calls.empty());
  CHECK(node.log.waits == std::vector<Duration>{24h, 24h});
}

TEST_CASE("what happens later is heard of", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  node.clock.at(3h, [&] { node.parts(); });
  REQUIRE(node.heals(3h + 30s));
  CHECK(node.connections() == 1);
}

TEST_CASE("the kernel says so some time before the nodes are parted", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  // As long as the handler runs that DRBD 9 calls in between.
  const Duration handler = GENERATE(40ms, 20s);
  node.clock.at(3h, [&] { node.begins_to_part(); });
  node.clock.at(3h + handler, [&] { node.is_parted(); });
  REQUIRE(node.heals(3h + handler + 20s));
  CHECK(node.connections() == 1);
}

TEST_CASE("it is tried again as long as the nodes part, ever more seldom", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  node.parts();
  node.drbd.at_connect = [&] {
    node.clock.at(1s + node.clock.elapsed(), [&] { node.parts(); }), node.connects();
  };
  REQUIRE(node.heals(10min));
  CHECK(node.connections() >= 8);  // after 5, 15, 35, 75, 155, 235 s ...
  CHECK(node.connections() <= 11);
}

TEST_CASE("what another event parts after a while is connected soon", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  node.parts();
  for (const Duration time : {1h, 2h})
    node.clock.at(time, [&] { node.parts(); });
  node.clock.at(1h + 10s, [&] { CHECK(node.connections() == 2); });
  node.clock.at(2h + 10s, [&] { CHECK(node.connections() == 3); });
  REQUIRE(node.heals(3h));
}

TEST_CASE("what else parts two nodes is a person's to mend", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  node.parts();
  SECTION("the data differs, too") {
    node.says("conn( StandAlone -> Unconnected )");
    node.says("Split-Brain detected but unresolved, dropping connection!");
  }
  SECTION("a person has connected and disconnected them") {
    node.says("conn( StandAlone -> Unconnected )");
  }
  SECTION("a person is at it") {
    node.clock.at(2s, [&] { node.connects(); });
  }
  SECTION("a person is at it, and drbdadm is slow") {
    node.drbd.before_dump = [&] { node.connects(); };
  }
  SECTION("two primaries are configured here") {
    node.drbd.configured = true;
  }
  SECTION("there is a healer") {
    node.records.healer_locked = true;
  }
  SECTION("the resource is not up") {
    node.drbd.state.name = "Jessie";
  }
  REQUIRE(node.heals(10min));
  CHECK(node.connections() == 0);
  CHECK(node.drbd.count("two-primaries no") == 0);
}

TEST_CASE("the kernel's log is overwritten before anybody has acted by it: nothing is done") {
  PartedNode node(GENERATE(8, 9));
  node.parts();
  std::size_t told = 1;
  SECTION("before it was read") {
    node.log.text.clear();
    told = 0;
  }
  SECTION("before the nodes are connected again") {
    node.clock.at(2s, [&] { node.log.text.clear(); });
  }
  REQUIRE(node.heals(2 * 24h));
  CHECK(node.connections() == 0);
  CHECK(node.drbd.count("two-primaries no") == 0);
  REQUIRE(node.report.said.size() == told);
  for (const std::string& said : node.report.said)
    CHECK(said.find("Wheezy: the kernel's log was overwritten") != std::string::npos);
}

TEST_CASE("nodes that only their data parts are left alone", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  node.parts();
  node.log.text.clear();
  node.says("Split-Brain detected but unresolved, dropping connection!");
  REQUIRE(node.heals(10min));
  CHECK(node.drbd.calls.empty());
}

TEST_CASE("what cannot be done now is done later, and told once", "[heal]") {
  PartedNode node(GENERATE(8, 9));
  node.parts();
  std::string words;
  SECTION("the configuration cannot be read") {
    node.drbd.configured = failure("line 7 of potato.res");
    node.clock.at(3min, [&] { node.drbd.configured = false; });
    words = "line 7 of potato.res";
  }
  const auto cannot_connect = [&](const drbd::Answer& answer) {
    node.drbd.connect_answer = answer;
    node.drbd.at_connect = nullptr;
    node.clock.at(3min, [&] {
      node.drbd.connect_answer = drbd::Answer{};
      node.drbd.at_connect = [&] { node.connects(); };
    });
  };
  SECTION("drbdadm cannot connect") {
    cannot_connect({.exit_code = 10, .code = 102, .text = "in use"});
    words = "in use";
  }
  SECTION("drbdadm dies") {
    cannot_connect({.exit_code = 137, .code = {}, .text = ""});
    words = "DRBD says exit code 137";
  }
  SECTION("DRBD does not answer") {
    node.drbd.takes = 1min;
    node.clock.at(3min, [&] { node.drbd.takes = 0s; });
    words = "was stopped";
  }
  SECTION("the resource is at work") {
    node.records.resource_locked = true;
    node.clock.at(3min, [&] { node.records.resource_locked = false; });
  }
  REQUIRE(node.heals(10min));
  CHECK(node.connections() >= 1);
  CHECK_FALSE(node.drbd.two_primaries());
  CHECK(node.report.said.size() == (words.empty() ? 0 : 1));
  for (const std::string& said : node.report.said)
    CHECK(said.find(words) != std::string::npos);
}

TEST_CASE("a setting that cannot be restored keeps the nodes apart", "[heal]") {
  PartedNode node(9);
  node.parts();
  node.drbd.window_answers = {FakeDrbd::refusal(-19, "Concurrent state changes")};
  node.clock.at(10s, [&] { CHECK(node.connections() == 0); });
  REQUIRE(node.heals(1min));
  CHECK(node.connections() == 1);
}
