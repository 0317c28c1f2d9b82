// Every state of a node that `block-drbd test` tells apart, and what an administrator reads: one
// file in tests/data/test for each. After a change that is meant, UPDATE_EXPECTED=1 writes them
// anew; the run fails all the same: read the difference, then run again without it.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "capture.h"
#include "catch.h"
#include "device/devices.h"
#include "diagnose/json.h"
#include "diagnose/text.h"

using namespace block_drbd;
using namespace block_drbd::diagnose;
namespace fs = std::filesystem;

namespace {

const fs::path directory = fs::path(TEST_DATA_DIR) / "test";

/// A node of two with DRBD 8.4 and the resource Wheezy, in the best of states; what differs is set
/// by each test.
struct State {
  State() {
    facts.node = "node1";
    facts.script = Script::Ours;
    facts.program = "/usr/sbin/block-drbd";
    facts.drbd.generation = drbd::Generation::V8;
    facts.drbd.version = "8.4.11";
    facts.configured = {"Wheezy"};
    facts.records.healer = 401;
    add_resource("Wheezy", 1);
  }

  /// Connected, Secondary and UpToDate on both nodes.
  void add_resource(const std::string& name, int minor) {
    drbd::Resource resource{.name = name,
                            .role = drbd::Role::Secondary,
                            .volumes = {volume(0, minor)},
                            .peers = {peer()}};
    facts.drbd.resources.push_back(resource);
    facts.drbd.settings.push_back({.resource = name,
                                   .connections = {{.peer = "",
                                                    .node_id = {},
                                                    .local_address = "ipv4:10.0.0.1:7789",
                                                    .peer_address = "ipv4:10.0.0.2:7789"}}});
  }

  static drbd::Volume volume(int number, int minor) {
    return {.number = number,
            .minor = minor,
            .disk = drbd::Disk::UpToDate,
            .role = drbd::Role::Secondary};
  }

  void has_second_volume() {
    resource().volumes.push_back(volume(1, 2));
    resource().peers.front().volumes.push_back(
        {.number = 1, .replication = drbd::Replication::Established, .disk = drbd::Disk::UpToDate});
  }

  void is_half_primary() {
    has_second_volume();
    resource().role = drbd::Role::Primary;
    resource().volumes.front().role = drbd::Role::Primary;
  }

  static drbd::Peer peer() {
    return {.name = "peer",
            .node_id = {},
            .connection = drbd::Connection::Connected,
            .role = drbd::Role::Secondary,
            .volumes = {{.number = 0,
                         .replication = drbd::Replication::Established,
                         .disk = drbd::Disk::UpToDate}}};
  }

  static drbd::Peer unseen_peer() {
    return {.name = "peer",
            .node_id = {},
            .connection = drbd::Connection::Connecting,
            .role = drbd::Role::Unknown,
            .volumes = {}};
  }

  void has_drbd_9() {
    facts.drbd.generation = drbd::Generation::V9;
    facts.drbd.version = "9.2.16";
  }

  drbd::Resource& resource() { return facts.drbd.resources.front(); }
  drbd::ConnectionSettings& connection() { return facts.drbd.settings.front().connections.front(); }

  void is_primary() {
    resource().role = drbd::Role::Primary;
    for (drbd::Volume& volume : resource().volumes)
      volume.role = drbd::Role::Primary;
  }

  /// The guest has the volume of this minor.
  void has_guest(unsigned domain, const std::string& name, int minor = 1) {
    is_primary();
    facts.attachments.push_back(
        {.backend = {.path = {"vbd", domain, 51712},
                     .params = "Wheezy",
                     .mode = "w",
                     .dev = "xvda",
                     .state = xenstore::State::Other,
                     .physical_device = device::physical_device(minor)},
         .domain = {
             .id = domain, .exists = true, .name = name, .vm = name + "-uuid", .target = {}}});
    facts.records.claims.push_back(claim(domain, name));
  }

  static record::Claim claim(unsigned domain, const std::string& name) {
    return {.backend = {"vbd", domain, 51712},
            .resource = "Wheezy",
            .volume = 0,
            .minor = 1,
            .phase = record::Phase::Attached,
            .domain = name,
            .vm = name + "-uuid"};
  }

  /// node2 is connected and Primary, node3 is not.
  void has_lost_third_node() {
    has_drbd_9();
    auto& peers = resource().peers;
    peers.front().name = "node2";
    peers.front().node_id = connection().node_id = 1;
    peers.front().role = drbd::Role::Primary;
    peers.push_back(unseen_peer());
    peers.back().name = "node3";
    peers.back().node_id = 2;
    resource().volumes.front().role.reset();
  }

  void parted(const std::string& kernel_log) {
    resource().peers.clear();  // 8.4 shows no peer then, and no connection
    facts.drbd.settings.front().connections.clear();
    facts.kernel_log = kernel_log;
  }

  void has_window() {
    facts.records.windows.push_back(
        {.resource = "Wheezy", .peer = {}, .backend = {"vbd", 7, 51712}});
  }

  Facts facts;
  std::vector<Target> asked;
};

using Make = void (*)(State&);

const std::vector<std::pair<std::string, Make>> states = {
    {"healthy", [](State&) {}},
    {"asked-by-disk-line",
     [](State& state) { state.asked.push_back(*target_from("drbd:Wheezy,xvda,w")); }},
    {"guest-here", [](State& state) { state.has_guest(7, "web01"); }},
    {"guest-here-asked-for-another",
     [](State& state) {
       state.has_guest(7, "web01");
       state.asked.push_back(*target_from("Wheezy"));
       state.asked.front().guest = "mail";
       state.asked.front().vdev = "xvdb";
     }},
    {"guest-there",
     [](State& state) { state.resource().peers.front().role = drbd::Role::Primary; }},
    {"guest-there-two-primaries-configured",
     [](State& state) {
       state.resource().peers.front().role = drbd::Role::Primary;
       state.connection().two_primaries = true;
       state.facts.two_primaries_configured["Wheezy"] = true;
     }},
    {"guest-there-protocol-a",
     [](State& state) {
       state.resource().peers.front().role = drbd::Role::Primary;
       state.connection().protocol = 'A';
     }},
    {"unknown",
     [](State& state) {
       state.asked.push_back(*target_from("Wheezie"));
       state.facts.why_not_up["Wheezie"] =
           "there is no DRBD resource Wheezie in this node's configuration: compare the name in "
           "the guest's disk line with `drbdadm sh-resources`";
     }},
    {"no-such-volume", [](State& state) { state.asked.push_back(*target_from("drbd:Wheezy/3")); }},
    {"not-up",
     [](State& state) {
       state.facts.configured = {"Wheezy", "Jessie"};
     }},
    {"nothing-up",
     [](State& state) {
       state.facts.drbd.resources.clear();
       state.facts.drbd.settings.clear();
     }},
    {"one-of-two-volumes-in-use",
     [](State& state) {
       state.facts.drbd.generation = drbd::Generation::V9;
       state.has_second_volume();
       state.has_guest(7, "web01");
       for (drbd::Volume& volume : state.resource().volumes)
         volume.role.reset();
     }},
    {"both-volumes-asked-for",
     [](State& state) {
       state.has_second_volume();
       state.asked.push_back(*target_from("Wheezy"));
     }},
    {"volume-missing-in-line",
     [](State& state) {
       state.resource().volumes.push_back(State::volume(1, 2));
       state.asked.push_back(*target_from("drbd:Wheezy,xvda,w"));
     }},
    {"idle-primary", [](State& state) { state.is_primary(); }},
    {"idle-primary-of-a-guest",
     [](State& state) {
       state.is_primary();
       state.facts.records.claims.push_back(State::claim(7, "web01"));
     }},
    {"held-open",
     [](State& state) {
       state.is_primary();
       state.facts.openers[1] = {"dd (pid 812)", "qemu-system-i38 (pid 940)"};
     }},
    {"mounted",
     [](State& state) {
       state.is_primary();
       state.facts.host_uses[1] = {"mounted on /srv"};
     }},
    {"half-promoted", [](State& state) { state.is_half_primary(); }},
    {"half-promoted-held-open",
     [](State& state) {
       state.is_half_primary();
       state.facts.openers[1] = {"rsync (4711)"};
     }},
    {"one-of-two-disks-gone",
     [](State& state) {
       state.has_second_volume();
       state.resource().volumes.back().disk = drbd::Disk::Diskless;
       state.resource().peers.front().volumes.back().disk = drbd::Disk::Diskless;
     }},
    {"both-primary",
     [](State& state) {
       state.has_guest(7, "web01");
       state.resource().peers.front().role = drbd::Role::Primary;
       state.connection().two_primaries = true;
       state.facts.two_primaries_configured["Wheezy"] = true;
     }},
    {"window-open",
     [](State& state) {
       state.has_guest(7, "web01");
       state.connection().two_primaries = true;
       state.facts.two_primaries_configured["Wheezy"] = false;
     }},
    {"two-primaries-allowed", [](State& state) { state.connection().two_primaries = true; }},
    {"hand-over",
     [](State& state) {
       state.has_guest(7, "web01--incoming");
       state.resource().peers.front().role = drbd::Role::Primary;
       state.connection().two_primaries = true;
       state.facts.two_primaries_configured["Wheezy"] = false;
       state.has_window();
       state.facts.records.keepers["Wheezy"] = 4711;
     }},
    {"keeper-gives-the-role-back",
     [](State& state) {
       state.is_primary();
       state.facts.records.claims.push_back(State::claim(7, "web01"));
       state.facts.records.keepers["Wheezy"] = 4711;
       state.facts.records.locks["Wheezy"] = 4711;
       state.facts.openers[1] = {"dd (pid 812)"};
     }},
    {"locked",
     [](State& state) {
       state.is_primary();
       state.facts.records.locks["Wheezy"] = 815;
     }},
    {"not-connected", [](State& state) { state.resource().peers.front() = State::unseen_peer(); }},
    {"link-of-many-is-down",
     [](State& state) {
       for (int minor = 2; minor <= 30; ++minor)
         state.add_resource("M" + std::to_string(minor), minor);
       for (drbd::Resource& resource : state.facts.drbd.resources)
         resource.peers.front() = State::unseen_peer();
     }},
    {"standalone",
     [](State& state) {
       state.parted(
           "1,812,99,-;block drbd1: Split-Brain detected but unresolved, dropping connection!\n"
           "6,813,99,-;drbd Wheezy: conn( StandAlone -> Unconnected )\n"
           "6,999,99,-;drbd Wheezy: conn( Disconnecting -> StandAlone )\n");
     }},
    {"standalone-unseen-log",
     [](State& state) {
       state.parted("");
       state.facts.kernel_log_trouble = "cannot open /dev/kmsg: Operation not permitted";
     }},
    {"split-brain",
     [](State& state) {
       state.parted(
           "4,1,2,-;drbd Wheezy: incompatible allow-two-primaries settings\n"
           "1,812,99,-;block drbd1: Split-Brain detected but unresolved, dropping connection!\n"
           "4,813,99,-;drbd Wheezy2: incompatible allow-two-primaries settings\n");
     }},
    {"settings-differ",
     [](State& state) {
       state.parted("3,812,99,-;drbd Wheezy: incompatible allow-two-primaries settings\n");
     }},
    {"settings-differ-without-healer",
     [](State& state) {
       state.parted("3,812,99,-;drbd Wheezy: incompatible allow-two-primaries settings\n");
       state.facts.records.healer.reset();
     }},
    {"no-healer", [](State& state) { state.facts.records.healer.reset(); }},
    {"secrets-differ",
     [](State& state) {
       state.parted(
           "4,812,99,-;drbd Wheezy: expected AuthChallenge packet, received: ReportProtocol\n"
           "3,813,99,-;drbd Wheezy: Authentication of peer failed\n");
     }},
    {"other-settings-differ",
     [](State& state) {
       state.parted("3,812,99,-;drbd Wheezy: incompatible protocol settings\n");
     }},
    {"drbdadm-missing",
     [](State& state) {
       state.facts.configured.reset();
       state.facts.has_drbdadm = false;
       state.facts.configuration_trouble =
           "the tool drbdadm is not installed on this node, or cannot be executed";
     }},
    {"disk-gone-alone",
     [](State& state) {
       state.parted("");
       state.resource().volumes.front().disk = drbd::Disk::Diskless;
     }},
    {"unrelated-data",
     [](State& state) { state.parted("1,812,99,-;block drbd1: Unrelated data, aborting!\n"); }},
    {"disk-gone",
     [](State& state) { state.resource().volumes.front().disk = drbd::Disk::Diskless; }},
    {"peer-disk-gone",
     [](State& state) {
       state.has_guest(7, "web01");
       state.resource().peers.front().volumes.front().disk = drbd::Disk::Diskless;
     }},
    {"disk-outdated",
     [](State& state) {
       state.resource().volumes.front().disk = drbd::Disk::Outdated;
       state.resource().peers.front() = State::unseen_peer();
     }},
    {"left-guest", [](State& state) { state.has_guest(7, "web01--incoming"); }},
    {"named-twice",
     [](State& state) {
       for (const char* vdev : {"xvda", "xvdb"}) {
         state.asked.push_back(*target_from("Wheezy"));
         state.asked.back().guest = "web01";
         state.asked.back().vdev = vdev;
       }
     }},
    {"idle-primary-by-decision",
     [](State& state) {
       state.is_primary();
       state.resource().peers.front() = State::unseen_peer();
     }},
    {"keeper-waits-for-an-answer",
     [](State& state) {
       state.facts.records.claims.push_back(State::claim(7, "web01"));
       state.facts.records.claims.back().unanswered = true;
       state.facts.records.keepers["Wheezy"] = 4711;
     }},
    {"suspended-and-unused",
     [](State& state) {
       state.resource().suspended = true;
       state.resource().suspended_by = "user";
     }},
    {"disk-not-good",
     [](State& state) {
       state.resource().volumes.front().disk = drbd::Disk::Inconsistent;
       state.resource().peers.front().volumes.front().disk = drbd::Disk::Inconsistent;
     }},
    {"resync-to-here",
     [](State& state) {
       state.resource().volumes.front().disk = drbd::Disk::Inconsistent;
       state.resource().peers.front().role = drbd::Role::Primary;
       auto& there = state.resource().peers.front().volumes.front();
       there.replication = drbd::Replication::SyncTarget;
       there.in_sync = 28.78;
       there.seconds_left = 95;
     }},
    {"resync-to-there",
     [](State& state) {
       auto& there = state.resource().peers.front().volumes.front();
       there.replication = drbd::Replication::SyncSource;
       there.disk = drbd::Disk::Inconsistent;
       there.in_sync = 99.99;
       there.seconds_left = 7500;
     }},
    {"resync-paused",
     [](State& state) {
       state.resource().volumes.front().disk = drbd::Disk::Inconsistent;
       auto& there = state.resource().peers.front().volumes.front();
       there.replication = drbd::Replication::PausedSyncT;
       there.paused_by = "user";
     }},
    {"resync-paused-there",
     [](State& state) {
       auto& there = state.resource().peers.front().volumes.front();
       there.replication = drbd::Replication::PausedSyncS;
       there.paused_by = "peer,dependency";
     }},
    {"resync-after-another",
     [](State& state) {
       auto& there = state.resource().peers.front().volumes.front();
       there.replication = drbd::Replication::PausedSyncS;
       there.paused_by = "dependency";
     }},
    {"suspended",
     [](State& state) {
       state.has_guest(7, "web01");
       state.resource().suspended = true;
       state.resource().suspended_by = "user";
     }},
    {"suspended-by-fencing",
     [](State& state) {
       state.has_guest(7, "web01");
       state.resource().suspended = true;
       state.resource().suspended_by = "fencing";
       state.resource().peers.front() = State::unseen_peer();
     }},
    {"suspended-without-data",
     [](State& state) {
       state.has_guest(7, "web01");
       state.resource().suspended = true;
       state.resource().suspended_by = "no-data";
       state.resource().volumes.front().disk = drbd::Disk::Diskless;
       state.resource().peers.front().volumes.front().disk = drbd::Disk::Diskless;
     }},
    {"suspended-without-quorum",
     [](State& state) {
       state.has_drbd_9();
       state.has_guest(7, "web01");
       state.resource().suspended = true;
       state.resource().suspended_by = "quorum";
       state.resource().volumes.front().quorum = false;
       state.resource().volumes.front().role.reset();
     }},
    {"intentionally-diskless",
     [](State& state) {
       state.has_drbd_9();
       state.resource().volumes.front().disk = drbd::Disk::Diskless;
       state.resource().volumes.front().is_client = true;
       state.resource().volumes.front().role.reset();
     }},
    {"many-not-up",
     [](State& state) {
       state.facts.configured = {"Wheezy", "Jessie", "Buster"};
     }},
    {"stale-claim",
     [](State& state) { state.facts.records.claims.push_back(State::claim(7, "web01")); }},
    {"forgotten-guest",
     [](State& state) {
       state.has_guest(7, "web01");
       policy::Attachment& attachment = state.facts.attachments.front();
       attachment.backend.mode = attachment.backend.dev = "";
       attachment.backend.state = xenstore::State::Unknown;
       state.facts.forgotten.push_back(attachment.backend.path);
     }},
    {"backend-without-guest",
     [](State& state) {
       state.has_guest(7, "web01");
       state.facts.attachments.front().domain.exists = false;
     }},
    {"record-unreadable",
     [](State& state) {
       state.facts.records.unreadable = {
           {"/run/block-drbd/vbd-7-51712@Wheezy.claim", "not a JSON object"}};
     }},
    {"no-drbd",
     [](State& state) {
       state.facts.drbd = {};
       state.asked.push_back(*target_from("Wheezy"));
       state.facts.why_not_up["Wheezy"] =
           "DRBD is not loaded in this node's kernel: run `modprobe drbd` and `drbdadm up Wheezy`, "
           "and enable drbd.service so that it is up after a boot";
     }},
    {"drbd-unreadable",
     [](State& state) {
       state.facts.drbd = {};
       state.facts.drbd_trouble = "the tool drbdsetup is not installed on this node";
       state.asked.push_back(*target_from("Wheezy"));
     }},
    {"configuration-broken",
     [](State& state) {
       state.facts.configured.reset();
       state.facts.configuration_trouble =
           "`drbdadm sh-resources` says: /etc/drbd.d/web.res:7: Parse error";
     }},
    {"own-configuration",
     [](State& state) {
       state.facts.config_trouble =
           "the configuration /etc/xen/block-drbd.json cannot be read: \"windows\" is unknown; "
           "there are \"when-peer-unreachable\", \"window\", \"resources\". Mend it, or move it "
           "away: without it all is as by default";
     }},
    {"guest-there-window-never",
     [](State& state) {
       state.resource().peers.front().role = drbd::Role::Primary;
       state.facts.config.is_set = true;
       state.facts.config.general.opens_windows = false;
     }},
    {"starts-unseen",
     [](State& state) {
       state.facts.config.resources["Wheezy"].starts_unseen = true;
       state.resource().peers.front() = State::unseen_peer();
     }},
    {"no-xenstore",
     [](State& state) {
       state.facts.xenstore_trouble = "cannot reach xenstored: No such file or directory";
       state.is_primary();
     }},
    {"ordinary-user",
     [](State& state) {
       state.facts.is_root = false;
       state.facts.xenstore_trouble = "cannot reach xenstored: Permission denied";
       state.facts.records_trouble = "cannot look into /run/block-drbd: Permission denied";
       state.facts.configured.reset();
       state.facts.configuration_trouble =
           "`drbdadm sh-resources` says: open(\".\") failed: Permission denied";
     }},
    {"choice-without-resource",
     [](State& state) {
       state.facts.config.is_set = true;
       state.facts.config.resources["Wheezie"].starts_unseen = true;
     }},
    {"in-a-driver-domain",
     [](State& state) {
       state.asked.push_back(
           *target_from("vdev=xvda,access=rw,script=block-drbd,backend=storage,target=Wheezy"));
     }},
    {"script-other", [](State& state) { state.facts.script = Script::Other; }},
    {"script-not-executable", [](State& state) { state.facts.script = Script::NotExecutable; }},
    {"script-missing", [](State& state) { state.facts.script = Script::Missing; }},
    {"three-nodes", [](State& state) { state.has_lost_third_node(); }},
    {"three-nodes-lost-primary",
     [](State& state) {
       state.has_lost_third_node();
       state.facts.kernel_log =
           "6,812,99,-;drbd Wheezy node3: conn( Connected -> NetworkFailure ) "
           "peer( Primary -> Unknown )\n";
     }},
    {"three-nodes-unseen-log",
     [](State& state) {
       state.has_lost_third_node();
       state.facts.kernel_log_trouble = "cannot open /dev/kmsg: Operation not permitted";
     }},
    {"split-brain-with-one-of-two",
     [](State& state) {
       state.has_drbd_9();
       auto& peers = state.resource().peers;
       peers.front().name = "node2";
       peers.push_back({.name = "node3",
                        .node_id = 2,
                        .connection = drbd::Connection::StandAlone,
                        .role = drbd::Role::Unknown,
                        .volumes = {}});
       state.resource().volumes.front().role.reset();
       state.facts.kernel_log =
           "1,812,99,-;drbd Wheezy/0 drbd1 node3: Split-Brain detected but unresolved, dropping "
           "connection!\n"
           "4,813,99,-;drbd Wheezy node2: incompatible allow-two-primaries settings\n";
     }},
    {"no-quorum",
     [](State& state) {
       state.has_drbd_9();
       state.resource().volumes.front().quorum = false;
       state.resource().volumes.front().role.reset();
       state.facts.drbd.settings.front().quorum = "majority";
     }},
};

std::string answer_in(const std::string& name, Make make) {
  State state;
  make(state);
  const Examination examination = examine(state.facts, state.asked);
  const auto [exit_code, line] = for_monitoring(state.facts, examination);
  // As a person sees it who names a disk; the many are told together where nobody does.
  const bool every_verdict = examination.disks.size() < 10;
  return "# " + name + "\n\n" +
         in_words(state.facts, examination, {.every_verdict = every_verdict}) + "\nexit code " +
         (examination.is_fine() ? "0" : "1") + "; --monitoring: exit code " +
         std::to_string(exit_code) + ", " + line;
}

}  // namespace

TEST_CASE("what an administrator reads", "[diagnose]") {
  const bool update = std::getenv("UPDATE_EXPECTED") != nullptr;
  for (const auto& [name, make] : states) {
    INFO(name);
    const std::string answer = answer_in(name, make);
    if (update) {
      fs::create_directories(directory);
      std::ofstream(directory / (name + ".txt")) << answer;
      continue;
    }
    CHECK(answer == test::read_data("test/" + name + ".txt"));
    std::istringstream lines(answer.substr(0, answer.find("\nexit code")));
    for (std::string line; std::getline(lines, line);)
      CHECK((line.size() <= 80 || line.starts_with("drbd")));  // a table is as wide as its names
  }
  if (update)
    FAIL("tests/data/test was written anew: read the difference, then run without UPDATE_EXPECTED");
}

TEST_CASE("every answer that is kept belongs to a state", "[diagnose]") {
  std::set<std::string> known;
  for (const auto& [name, make] : states)
    known.insert(name + ".txt");
  CHECK(known.size() == states.size());
  for (const auto& entry : fs::directory_iterator(directory))
    CHECK(known.contains(entry.path().filename().string()));
}
