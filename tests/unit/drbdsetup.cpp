// DRBD through drbdsetup: what is run, and what is made of the answers that were captured.
#include "drbd/drbdsetup.h"

#include <cerrno>
#include <deque>

#include "capture.h"
#include "catch.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::drbd;
using namespace block_drbd::test;
using namespace std::chrono_literals;
using process::Output;
using Commands = std::vector<std::string>;

namespace {

constexpr const char* proc_84 = "drbd84/S02-local-primary/proc.alpha.txt";
constexpr const char* proc_9 = "drbd9/primary-here.proc-drbd.txt";

std::string joined(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words)
    line += (line.empty() ? "" : " ") + word;
  return line;
}

/// Answers one command after the other.
class FakeProcesses : public process::Processes {
 public:
  Result<Output> run(const std::vector<std::string>& argv, Duration limit) override {
    commands.push_back(joined(argv));
    last_limit = limit;
    if (answers.empty())
      return failure("nothing was to be run, but: " + joined(argv));
    auto answer = std::move(answers.front());
    answers.pop_front();
    return answer;
  }

  Result<std::unique_ptr<process::Stream>> follow(const std::vector<std::string>& argv) override {
    commands.push_back(joined(argv));
    if (streams.empty())
      return failure("nothing was to be followed, but: " + joined(argv));
    auto stream = std::move(streams.front());
    streams.pop_front();
    return stream;
  }

  std::deque<Result<Output>> answers;
  std::deque<Result<std::unique_ptr<process::Stream>>> streams;
  Commands commands;
  Duration last_limit{0};
};

/// A tool that runs on until it is told that it ended.
class FakeStream : public process::Stream {
 public:
  FakeStream(std::vector<Duration>& waits, bool& ended) : waits_(waits), ended_(ended) {}
  void wait(Duration limit) override { waits_.push_back(limit); }
  bool has_ended() const override { return ended_; }

 private:
  std::vector<Duration>& waits_;
  bool& ended_;
};

struct Node {
  explicit Node(const std::string& proc_text) { proc.write("drbd", proc_text); }
  /// Without a /proc/drbd: the module is not loaded.
  Node() = default;

  static Node v84() { return Node(read_capture(proc_84).out); }
  static Node v9() { return Node(read_capture(proc_9).out); }

  void answer(const std::string& capture) {
    const Capture captured = read_capture(capture);
    answer(captured.exit_code, captured.out, captured.err);
  }
  void answer(int exit_code, std::string out, std::string err) {
    processes.answers.emplace_back(
        Output{.exit_code = exit_code, .out = std::move(out), .err = std::move(err)});
  }
  void fails(const std::string& message, int code) {
    processes.answers.emplace_back(failure(message, code));
  }

  FakeProcesses processes;
  TempDir proc;
  std::unique_ptr<Drbd> drbd = drbdsetup(processes, proc / "drbd");
};

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  return text.find(words) != std::string::npos;
}

Resource resource(const std::string& name) {
  return {.name = name, .role = Role::Unknown, .suspended = false, .volumes = {}, .peers = {}};
}

Volume volume(int minor) {
  Volume volume;
  volume.minor = minor;
  return volume;
}

}  // namespace

TEST_CASE("on 8.4 the state is read from text, and each volume's role from /proc/drbd",
          "[drbdsetup]") {
  Node node = Node::v84();
  node.answer("drbd84/S01-both-secondary-uptodate/drbdsetup-status-verbose-r1.alpha.txt");
  const auto state = node.drbd->status("r1", 3s);
  REQUIRE(state);
  CHECK(node.processes.commands == Commands{"drbdsetup status r1 --verbose"});
  CHECK(node.processes.last_limit == 3s);
  CHECK(state->name == "r1");
  REQUIRE(state->volumes.size() == 2);
  CHECK(state->volumes[0].minor == 10);
  CHECK(state->volumes[0].role == Role::Primary);
  CHECK(state->volumes[1].minor == 11);
  CHECK(state->volumes[1].role == Role::Primary);
  REQUIRE(state->peers.size() == 1);
  CHECK(state->peers[0].role == Role::Secondary);
}

TEST_CASE("on 8.4 a resource may be half promoted", "[drbdsetup]") {
  Node node(
      "version: 8.4.11 (api:1/proto:86-101)\n"
      "10: cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----\n"
      "11: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n");
  node.answer("drbd84/S01-both-secondary-uptodate/drbdsetup-status-verbose-r1.alpha.txt");
  const auto state = node.drbd->status("r1", 3s);
  REQUIRE(state);
  CHECK(state->volumes[0].role == Role::Secondary);
  CHECK(state->volumes[1].role == Role::Primary);
}

TEST_CASE("on 8.4 a minor that /proc/drbd does not know has no role of its own", "[drbdsetup]") {
  Node node("version: 8.4.11 (api:1/proto:86-101)\n10: cs:Unconfigured\n");
  node.answer("drbd84/S01-both-secondary-uptodate/drbdsetup-status-verbose-r1.alpha.txt");
  const auto state = node.drbd->status("r1", 3s);
  REQUIRE(state);
  CHECK_FALSE(state->volumes[0].role);
  CHECK_FALSE(state->volumes[1].role);
}

TEST_CASE("on 8.4 the state again needs no tool", "[drbdsetup]") {
  Node node(read_capture("drbd84/S01-both-secondary-uptodate/proc-drbd.alpha.txt").out);
  node.answer("drbd84/S01-both-secondary-uptodate/drbdsetup-status-verbose-r1.alpha.txt");
  const auto known = node.drbd->status("r1", 3s);
  REQUIRE(known);
  CHECK(known->role == Role::Secondary);
  node.proc.write("drbd", read_capture(proc_84).out);
  const auto again = node.drbd->status_again(*known, 3s);
  REQUIRE(again);
  CHECK(again->role == Role::Primary);
  CHECK(again->volumes[1].role == Role::Primary);
  CHECK(node.processes.commands == Commands{"drbdsetup status r1 --verbose"});
}

TEST_CASE("where /proc/drbd does not tell the state again, status does", "[drbdsetup]") {
  Node node = Node::v84();
  const Resource known = resource("r0");  // without a peer
  node.answer("drbd84/S01-both-secondary-uptodate/drbdsetup-status-verbose-r0.alpha.txt");
  CHECK(node.drbd->status_again(known, 3s)->peers.size() == 1);
  node.proc.write("drbd", read_capture(proc_9).out);
  node.answer("drbd9/primary-here.status-json.txt");
  CHECK(node.drbd->status_again(known, 3s));
  CHECK(node.processes.commands ==
        Commands{"drbdsetup status r0 --verbose", "drbdsetup status r0 --json"});
}

TEST_CASE("on 9 the state is read from JSON, and the role is the resource's", "[drbdsetup]") {
  Node node = Node::v9();
  node.answer("drbd9/two-volumes-primary-here.status-json.txt");
  const auto state = node.drbd->status("r1", 3s);
  REQUIRE(state);
  CHECK(node.processes.commands == Commands{"drbdsetup status r1 --json"});
  CHECK(state->role == Role::Primary);
  REQUIRE(state->volumes.size() == 2);
  CHECK(state->volumes[1].minor == 11);
  CHECK_FALSE(state->volumes[1].role);
}

TEST_CASE("what 9 says beside its answer changes nothing", "[drbdsetup]") {
  Node node = Node::v9();
  node.answer(0, read_capture("drbd9/two-volumes-primary-here.status-json.txt").out,
              "DRBD module version: 9.2.16\nDRBDSETUP: No such resource\n");
  CHECK(node.drbd->status("r1", 3s));
}

TEST_CASE("the generation is asked for anew: a module can be replaced", "[drbdsetup]") {
  Node node = Node::v84();
  node.answer("drbd84/S01-both-secondary-uptodate/drbdsetup-status-verbose-r0.alpha.txt");
  CHECK(node.drbd->status("r0", 3s));
  node.proc.write("drbd", read_capture(proc_9).out);
  node.answer("drbd9/primary-here.status-json.txt");
  CHECK(node.drbd->status("r0", 3s));
  CHECK(node.processes.commands ==
        Commands{"drbdsetup status r0 --verbose", "drbdsetup status r0 --json"});
}

TEST_CASE("without the module no tool is run: it would load it", "[drbdsetup]") {
  Node node;
  const auto state = node.drbd->status("r0", 3s);
  REQUIRE_FALSE(state);
  CHECK(state.error().code == ENOENT);
  CHECK(node.processes.commands.empty());
  CHECK(says(node.drbd->why_not_up("r0", 3s), "modprobe drbd"));
  CHECK(node.processes.commands.empty());
}

TEST_CASE("a resource that the kernel does not have is ENOENT", "[drbdsetup]") {
  SECTION("8.4, not up") {
    Node node = Node::v84();
    node.answer("drbd84/S10-unknown-and-down/24-drbdsetup_status_r2.alpha.txt");
    CHECK(node.drbd->status("r2", 3s).error().code == ENOENT);
  }
  SECTION("8.4, unknown") {
    Node node = Node::v84();
    node.answer("drbd84/S10-unknown-and-down/25-drbdsetup_status_nosuch.alpha.txt");
    const auto state = node.drbd->status("nosuch", 3s);
    CHECK(state.error().code == ENOENT);
    CHECK(says(state.error().message, "nosuch"));
  }
  SECTION("9, not up") {
    Node node = Node::v9();
    node.answer("drbd9/not-up.status-json.txt");
    CHECK(node.drbd->status("down0", 3s).error().code == ENOENT);
  }
  SECTION("9, unknown") {
    Node node = Node::v9();
    node.answer("drbd9/unknown.status-json.txt");
    CHECK(node.drbd->status("nosuch", 3s).error().code == ENOENT);
  }
}

TEST_CASE("any other failure to read the state is not a resource that is down", "[drbdsetup]") {
  const auto check = [](Node& node, const std::string& words) {
    const auto state = node.drbd->status("r0", 3s);
    REQUIRE_FALSE(state);
    CHECK(state.error().code != ENOENT);
    CHECK(says(state.error().message, words));
    CHECK(says(state.error().message, "r0"));
  };
  SECTION("the module went meanwhile") {
    Node node = Node::v84();
    node.answer("drbd84/S10c-module-not-loaded/11-drbdsetup_status_r0.bravo.txt");
    check(node, "modprobe: FATAL");
  }
  SECTION("no answer in time") {
    Node node = Node::v84();
    node.fails("`drbdsetup status r0` was stopped: no answer within 3000 ms", ETIMEDOUT);
    check(node, "no answer within");
    CHECK(node.processes.commands.size() == 1);
  }
  SECTION("an answer that breaks off") {
    const std::string whole = read_capture("drbd9/primary-here.status-json.txt").out;
    Node node = Node::v9();
    node.answer(0, whole.substr(0, whole.size() / 2), "");
    check(node, "breaks off");
  }
  SECTION("an answer that is something else") {
    Node node = Node::v9();
    node.answer(0, "r0 role:Primary\n", "");
    check(node, "does not understand");
  }
  SECTION("an answer beside an exit code that says it is none") {
    Node node = Node::v9();
    node.answer(20, read_capture("drbd9/primary-here.status-json.txt").out, "netlink: \x1b[2J\n");
    check(node, "netlink: ?[2J");
  }
  SECTION("only others are listed") {
    Node node = Node::v9();
    node.answer("drbd9/two-volumes-primary-here.status-json.txt");
    check(node, "does not tell of it");
  }
  SECTION("nothing is listed, and that is no failure") {
    Node node = Node::v84();
    node.answer(0, "", "");
    check(node, "does not tell of it");
  }
  SECTION("no word") {
    Node node = Node::v84();
    node.answer(137, "", "");
    check(node, "`drbdsetup status r0` says: exit code 137");
  }
}

TEST_CASE("a /proc/drbd that cannot be read is not an absent DRBD", "[drbdsetup]") {
  Node node;
  std::filesystem::create_directory(node.proc / "drbd");  // opens, and fails to be read
  const auto state = node.drbd->status("r0", 1s);
  REQUIRE_FALSE(state);
  CHECK(state.error().code == EISDIR);
  CHECK(node.processes.commands.empty());
}

TEST_CASE("a missing tool is passed on as it is", "[drbdsetup]") {
  Node node = Node::v84();
  node.fails("the tool drbdsetup is not installed on this node", ENOENT);
  const auto state = node.drbd->status("r0", 3s);
  REQUIRE_FALSE(state);
  CHECK(says(state.error().message, "drbdsetup is not installed"));
  // Not the code of a resource that is down: asking why it is down would not help.
  CHECK(state.error().code != ENOENT);
}

TEST_CASE("on 8.4 the role is changed by minor", "[drbdsetup]") {
  Node node = Node::v84();
  node.answer(0, "", "");
  const auto promoted = node.drbd->promote(resource("r1"), volume(11), 7s);
  REQUIRE(promoted);
  CHECK(promoted->ok());
  CHECK(node.processes.last_limit == 7s);
  node.answer(0, "", "");
  CHECK(node.drbd->demote(resource("r1"), volume(10), 7s)->ok());
  CHECK(node.processes.commands == Commands{"drbdsetup primary 11", "drbdsetup secondary 10"});
}

TEST_CASE("on 8.4 a volume without a minor is not changed", "[drbdsetup]") {
  Node node = Node::v84();
  CHECK_FALSE(node.drbd->demote(resource("r0"), volume(-1), 1s));
  CHECK(node.processes.commands.empty());
}

TEST_CASE("on 9 the role is changed by resource", "[drbdsetup]") {
  Node node = Node::v9();
  node.answer(0, "", "");
  CHECK(node.drbd->promote(resource("r1"), volume(11), 7s)->ok());
  node.answer(0, "", "");
  CHECK(node.drbd->demote(resource("r1"), volume(11), 7s)->ok());
  CHECK(node.processes.commands == Commands{"drbdsetup primary r1", "drbdsetup secondary r1"});
}

TEST_CASE("a refusal is an answer with DRBD's number", "[drbdsetup]") {
  SECTION("8.4") {
    Node node = Node::v84();
    node.answer("drbd84/S10-unknown-and-down/30-drbdsetup_primary_20.alpha.txt");
    const auto answer = node.drbd->promote(resource("r2"), volume(20), 7s);
    REQUIRE(answer);
    CHECK_FALSE(answer->ok());
    CHECK(answer->code == code::minor_unknown);
  }
  SECTION("9") {
    Node node = Node::v9();
    node.answer("drbd9/held-open-primary.setup-secondary.txt");
    const auto answer = node.drbd->demote(resource("r0"), volume(0), 7s);
    REQUIRE(answer);
    CHECK_FALSE(answer->ok());
    CHECK(answer->code == code::held_open);
  }
}

TEST_CASE("no answer to a change is an error", "[drbdsetup]") {
  Node node = Node::v84();
  node.fails("`drbdsetup primary 1` hangs in the kernel", ETIMEDOUT);
  const auto answer = node.drbd->promote(resource("r0"), volume(1), 7s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ETIMEDOUT);
}

TEST_CASE("the settings in force are read as each generation shows them", "[drbdsetup]") {
  SECTION("8.4") {
    Node node = Node::v84();
    node.answer("drbd84/S01-both-secondary-uptodate/drbdsetup-show-r0.alpha.txt");
    const auto settings = node.drbd->settings("r0", 2s);
    REQUIRE(settings);
    CHECK(node.processes.commands == Commands{"drbdsetup show r0 --show-defaults"});
    CHECK(node.processes.last_limit == 2s);
    REQUIRE(settings->connections.size() == 1);
    CHECK(settings->connections[0].peer_address == "ipv4:10.0.0.2:7790");
  }
  SECTION("9") {
    Node node = Node::v9();
    node.answer("drbd9/two-volumes-primary-here.show-text-defaults.txt");
    const auto settings = node.drbd->settings("r1", 2s);
    REQUIRE(settings);
    CHECK(node.processes.commands == Commands{"drbdsetup show r1 --show-defaults"});
    REQUIRE(settings->connections.size() == 1);
    CHECK(settings->connections[0].peer == "node2");
  }
}

TEST_CASE("settings that cannot be read are an error", "[drbdsetup]") {
  SECTION("8.4, not up") {
    Node node = Node::v84();
    node.answer("drbd84/S10-unknown-and-down/26-drbdsetup_show_r2.alpha.txt");
    const auto settings = node.drbd->settings("r2", 2s);
    REQUIRE_FALSE(settings);
    CHECK(says(settings.error().message, "No such device"));
  }
  SECTION("9, unknown: drbdsetup itself does not fail") {
    Node node = Node::v9();
    node.answer(0, "", "");
    CHECK_FALSE(node.drbd->settings("nosuch", 2s));
  }
  SECTION("no answer in time") {
    Node node = Node::v9();
    node.fails("no answer within 2000 ms", ETIMEDOUT);
    CHECK(node.drbd->settings("r0", 2s).error().code == ETIMEDOUT);
  }
}

TEST_CASE("two primaries are allowed and forbidden on one connection", "[drbdsetup]") {
  ConnectionSettings connection;
  SECTION("8.4: by its addresses") {
    connection.local_address = "ipv4:10.0.0.2:7790";
    connection.peer_address = "ipv4:10.0.0.1:7790";
    Node node = Node::v84();
    node.answer(
        "drbd84/D9-drbdsetup-syntax/"
        "01-drbdsetup_net_options_ipv4_10_0_0_2_7790_ipv4_10_0_0_1_7790_.bravo.txt");
    node.answer(0, "", "");
    const auto allowed = node.drbd->set_two_primaries(resource("r0"), connection, true, 4s);
    REQUIRE(allowed);
    CHECK(allowed->ok());
    CHECK(node.processes.last_limit == 4s);
    CHECK(node.drbd->set_two_primaries(resource("r0"), connection, false, 4s)->ok());
    CHECK(node.processes.commands ==
          Commands{"drbdsetup net-options ipv4:10.0.0.2:7790 ipv4:10.0.0.1:7790 "
                   "--allow-two-primaries=yes",
                   "drbdsetup net-options ipv4:10.0.0.2:7790 ipv4:10.0.0.1:7790 "
                   "--allow-two-primaries=no"});
  }
  SECTION("9: by the resource and the peer's number") {
    connection.node_id = 0;
    connection.local_address = "ipv4:10.9.0.2:7000";
    connection.peer_address = "ipv4:10.9.0.1:7000";
    Node node = Node::v9();
    node.answer("drbd9/dual-window.11-setup-set-yes-node2.txt");
    node.answer("drbd9/dual-window.05b-setup-reset-no-both-primary-node2.txt");
    CHECK(node.drbd->set_two_primaries(resource("r0"), connection, true, 4s)->ok());
    const auto refused = node.drbd->set_two_primaries(resource("r0"), connection, false, 4s);
    REQUIRE(refused);
    CHECK(refused->code == code::both_primary);
    CHECK(node.processes.commands ==
          Commands{"drbdsetup net-options r0 0 --allow-two-primaries=yes",
                   "drbdsetup net-options r0 0 --allow-two-primaries=no"});
  }
  SECTION("8.4, StandAlone") {
    connection.local_address = "ipv4:10.0.0.2:7792";
    connection.peer_address = "ipv4:10.0.0.1:7792";
    Node node = Node::v84();
    node.answer(
        "drbd84/D9-drbdsetup-syntax/10-drbdadm_net_options___allow_two_primaries=yes_r2.bravo.txt");
    const auto refused = node.drbd->set_two_primaries(resource("r2"), connection, true, 4s);
    REQUIRE(refused);
    CHECK(refused->code == code::connection_unknown);
  }
  SECTION("no answer") {
    connection.node_id = 1;
    Node node = Node::v9();
    node.fails("no answer within 4000 ms", ETIMEDOUT);
    CHECK(node.drbd->set_two_primaries(resource("r0"), connection, true, 4s).error().code ==
          ETIMEDOUT);
  }
}

TEST_CASE("a connection that DRBD does not name is not guessed at", "[drbdsetup]") {
  ConnectionSettings connection;
  connection.local_address = "ipv4:10.0.0.2:7790";
  Node node84 = Node::v84();
  CHECK_FALSE(node84.drbd->set_two_primaries(resource("r0"), connection, true, 1s));
  CHECK(node84.processes.commands.empty());
  connection.peer_address = "ipv4:10.0.0.1:7790";
  Node node9 = Node::v9();
  CHECK_FALSE(node9.drbd->set_two_primaries(resource("r0"), connection, true, 1s));
  CHECK(node9.processes.commands.empty());
}

TEST_CASE("no word of DRBD's becomes an option of a tool", "[drbdsetup]") {
  ConnectionSettings connection;
  connection.node_id = -1;
  connection.local_address = "ipv4:10.0.0.2:7790";
  connection.peer_address = "-f:10.0.0.1:7790";
  Node node84 = Node::v84();
  CHECK_FALSE(node84.drbd->set_two_primaries(resource("r0"), connection, true, 1s));
  CHECK(node84.processes.commands.empty());
  Node node9 = Node::v9();
  CHECK_FALSE(node9.drbd->set_two_primaries(resource("r0"), connection, true, 1s));
  CHECK_FALSE(node9.drbd->connect(resource("r0"), -1, 1s));
  CHECK(node9.processes.commands.empty());
}

TEST_CASE("without the module no setting is changed", "[drbdsetup]") {
  Node node;
  ConnectionSettings connection;
  connection.node_id = 1;
  connection.local_address = connection.peer_address = "ipv4:10.0.0.1:7790";
  const auto answer = node.drbd->set_two_primaries(resource("r0"), connection, false, 1s);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == ENOENT);
  CHECK(node.processes.commands.empty());
}

TEST_CASE("what is configured about two primaries is asked of drbdadm", "[drbdsetup]") {
  const std::string dump = read_capture("drbd9/primary-here.dump.txt").out;
  Node node = Node::v9();
  SECTION("no") {
    node.answer(0, dump, "");
    const auto configured = node.drbd->configured_two_primaries("r0", 6s);
    REQUIRE(configured);
    CHECK_FALSE(*configured);
    CHECK(node.processes.commands == Commands{"drbdadm dump r0"});
    CHECK(node.processes.last_limit == 6s);
  }
  SECTION("yes") {
    const std::string no = "allow-two-primaries  no;";
    node.answer(0, std::string(dump).replace(dump.find(no), no.size(), "allow-two-primaries yes;"),
                "");
    CHECK(node.drbd->configured_two_primaries("r0", 6s).value());
  }
  SECTION("drbdadm fails") {
    node.answer("drbd9/unknown.dump.txt");
    const auto configured = node.drbd->configured_two_primaries("nosuch", 6s);
    REQUIRE_FALSE(configured);
    CHECK(says(configured.error().message, "nosuch"));
    CHECK(says(configured.error().message, "not defined in your config"));
  }
  SECTION("drbdadm fails beside an answer") {
    node.answer(10, dump, "oops\n");
    CHECK(says(node.drbd->configured_two_primaries("r0", 6s).error().message, "oops"));
  }
  SECTION("drbdadm prints something else") {
    node.answer(0, "", "");
    CHECK_FALSE(node.drbd->configured_two_primaries("r0", 6s));
    node.answer(0, "no resources defined!\n", "");
    CHECK(says(node.drbd->configured_two_primaries("r0", 6s).error().message, "breaks off"));
    node.answer(0, dump, "");
    CHECK(says(node.drbd->configured_two_primaries("r1", 6s).error().message,
               "does not understand in line"));
  }
  SECTION("drbdadm does not answer") {
    node.fails("no answer within 6000 ms", ETIMEDOUT);
    CHECK(node.drbd->configured_two_primaries("r0", 6s).error().code == ETIMEDOUT);
  }
}

TEST_CASE("events are followed, and again when they end, but once a wait", "[drbdsetup]") {
  Node node = Node::v84();
  std::vector<Duration> first;
  std::vector<Duration> second;
  bool first_ended = false;
  bool second_ended = false;
  node.processes.streams.emplace_back(std::make_unique<FakeStream>(first, first_ended));
  const auto watch = node.drbd->watch("r0");
  REQUIRE(watch);
  const Commands once{"drbdsetup events2 r0"};
  const Commands twice{"drbdsetup events2 r0", "drbdsetup events2 r0"};
  CHECK(node.processes.commands == once);
  (*watch)->wait(1s);
  (*watch)->wait(2s);
  CHECK(first == std::vector<Duration>{1s, 2s});
  CHECK(node.processes.commands == once);

  first_ended = true;
  (*watch)->wait(3s);  // it cannot be started: what has ended still lasts until the limit
  CHECK(first == std::vector<Duration>{1s, 2s, 3s});
  CHECK(node.processes.commands == twice);

  node.processes.commands.clear();
  node.processes.streams.emplace_back(std::make_unique<FakeStream>(second, second_ended));
  second_ended = true;  // and ends at once
  (*watch)->wait(4s);
  CHECK(second == std::vector<Duration>{4s});
  CHECK(node.processes.commands == once);

  node.proc.write("drbd", "");  // the module goes: a tool would load it again
  (*watch)->wait(5s);
  CHECK(second == std::vector<Duration>{4s, 5s});
  CHECK(node.processes.commands == once);
}

TEST_CASE("what cannot be followed is said", "[drbdsetup]") {
  Node absent;
  CHECK(absent.drbd->watch("r0").error().code == ENOENT);
  CHECK(absent.processes.commands.empty());
  Node node = Node::v9();
  node.processes.streams.emplace_back(
      failure("the tool drbdsetup is not installed on this node", ENOENT));
  const auto watch = node.drbd->watch("r0");
  REQUIRE_FALSE(watch);
  CHECK(says(watch.error().message, "not installed"));
  CHECK(watch.error().code != ENOENT);
}

TEST_CASE("why a resource is not up is told with what to run", "[drbdsetup]") {
  SECTION("configured, but not up") {
    Node node = Node::v84();
    node.answer(0, "r2\n", "");
    CHECK(says(node.drbd->why_not_up("r2", 5s), "run `drbdadm up r2`"));
    CHECK(node.processes.commands == Commands{"drbdadm sh-resource r2"});
    CHECK(node.processes.last_limit == 5s);
  }
  SECTION("stacked, and not up: 8.4 asks for --stacked") {
    Node node = Node::v84();
    node.answer(1, "", "'r2' is a stacked resource, and not available in normal mode.\n");
    const std::string why = node.drbd->why_not_up("r2", 5s);
    CHECK(says(why, "is stacked on another one"));
    CHECK(says(why, "`drbdadm --stacked up r2`"));
  }
  SECTION("not configured") {
    Node node = Node::v9();
    node.answer("drbd9/unknown.adm-status.txt");
    const std::string why = node.drbd->why_not_up("nosuch", 5s);
    CHECK(says(why, "there is no DRBD resource nosuch"));
    CHECK(says(why, "drbdadm sh-resources"));
  }
  SECTION("a broken configuration") {
    Node node = Node::v84();
    const Capture broken = read_capture("drbd84/S10b-bad-config/15-drbdadm_primary_r0.bravo.txt");
    node.answer(broken.exit_code, broken.out, broken.err);
    const std::string why = node.drbd->why_not_up("r0", 5s);
    CHECK(says(why, "drbdadm cannot tell why"));
    CHECK(says(why, broken.err.substr(0, broken.err.find('\n')).substr(0, 40)));
    CHECK(says(why, "run `drbdadm up r0`"));
  }
  SECTION("drbdadm does not answer") {
    Node node = Node::v84();
    node.fails("no answer within 5000 ms", ETIMEDOUT);
    CHECK(says(node.drbd->why_not_up("r0", 5s), "no answer within 5000 ms"));
  }
}

TEST_CASE("a connection that was given up is begun again", "[drbdsetup]") {
  SECTION("8.4: by drbdadm, which knows the addresses and settings") {
    Node node = Node::v84();
    node.answer(0, "", "");
    node.answer(10, "",
                "r0: Failure: (102) Local address(port) already in use.\n"
                "Command 'drbdsetup-84 connect r0 ...' terminated with exit code 10\n");
    CHECK(node.drbd->connect(resource("r0"), std::nullopt, 4s)->ok());
    CHECK(node.processes.last_limit == 4s);
    const auto refused = node.drbd->connect(resource("r0"), std::nullopt, 4s);
    REQUIRE(refused);
    CHECK(refused->code == 102);
    CHECK(node.processes.commands == Commands{"drbdadm connect r0", "drbdadm connect r0"});
  }
  SECTION("9: by the peer's number") {
    Node node = Node::v9();
    node.answer(0, "", "");
    CHECK(node.drbd->connect(resource("r0"), 2, 4s)->ok());
    CHECK(node.processes.commands == Commands{"drbdsetup connect r0 2"});
    CHECK_FALSE(node.drbd->connect(resource("r0"), std::nullopt, 4s));
  }
  SECTION("without DRBD nothing is run, which would load it") {
    Node node;
    CHECK_FALSE(node.drbd->connect(resource("r0"), std::nullopt, 4s));
  }
  SECTION("no answer") {
    Node node = Node::v84();
    node.fails("stopped", ETIMEDOUT);
    CHECK_FALSE(node.drbd->connect(resource("r0"), std::nullopt, 4s));
  }
}
