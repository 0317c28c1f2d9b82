// The readers of `drbdsetup status`: what decisions hang on, said once more and aloud.
#include "capture.h"
#include "catch.h"
#include "drbd/readers.h"
#include "drbd_render.h"

using namespace block_drbd;
using namespace block_drbd::drbd;
using block_drbd::test::read_capture;
using block_drbd::test::render;

namespace {

Resource only(const Result<std::vector<Resource>>& resources) {
  REQUIRE(resources);
  REQUIRE(resources->size() == 1);
  return resources->front();
}

Resource from_text(const std::string& path) {
  return only(read_status_text(read_capture(path).out));
}

Resource from_json(const std::string& path) {
  return only(read_status_json(read_capture(path).out));
}

}  // namespace

TEST_CASE("8.4 shows no peer while it is StandAlone", "[drbd][status]") {
  const Resource resource =
      from_text("drbd84/S11b-StandAlone/10-drbdsetup_status___verbose_r0.bravo.txt");
  CHECK(resource.role == Role::Secondary);
  CHECK(resource.volumes.size() == 1);
  CHECK(resource.peers.empty());
}

TEST_CASE("9 shows a peer while it is StandAlone", "[drbd][status]") {
  for (const Resource& resource : {from_text("drbd9/standalone-secondary.status-verbose.txt"),
                                   from_json("drbd9/standalone-secondary.status-json.txt")}) {
    REQUIRE(resource.peers.size() == 1);
    CHECK(resource.peers[0].connection == Connection::StandAlone);
    CHECK(resource.peers[0].role == Role::Unknown);
    CHECK_FALSE(is_settled(resource.peers[0]));
    CHECK(resource.volumes[0].disk == Disk::Outdated);
  }
}

TEST_CASE("a peer that is not there", "[drbd][status]") {
  for (const Resource& resource :
       {from_text("drbd84/S11a-WFConnection/16-drbdsetup_status___verbose_r0.alpha.txt"),
        from_json("drbd9/connecting-primary.status-json.txt")}) {
    REQUIRE(resource.peers.size() == 1);
    CHECK(resource.peers[0].connection == Connection::Connecting);
    CHECK(resource.peers[0].role == Role::Unknown);
    CHECK(resource.peers[0].volumes[0].replication == Replication::Off);
    CHECK(resource.peers[0].volumes[0].disk == Disk::Unknown);
    CHECK_FALSE(is_settled(resource.peers[0]));
  }
}

TEST_CASE("a handshake on 8.4 looks Connected but is not settled", "[drbd][status]") {
  const Resource resource =
      only(read_status_text("r0 role:Secondary suspended:no\n"
                            "  volume:0 minor:0 disk:UpToDate blocked:no\n"
                            "  peer connection:Connected role:Unknown congested:no\n"
                            "    volume:0 replication:Off peer-disk:DUnknown resync-suspended:no\n"
                            "\n"));
  CHECK(resource.peers[0].connection == Connection::Connected);
  CHECK_FALSE(is_settled(resource.peers[0]));
}

TEST_CASE("both Primary", "[drbd][status]") {
  for (const Resource& resource : {from_text("drbd9/both-primary.status-verbose.txt"),
                                   from_json("drbd9/both-primary.status-json.txt")}) {
    CHECK(resource.role == Role::Primary);
    CHECK(resource.peers[0].role == Role::Primary);
    CHECK(is_settled(resource.peers[0]));
  }
}

TEST_CASE("diskless here, the data at the peer", "[drbd][status]") {
  for (const Resource& resource : {from_text("drbd9/diskless-primary.status-verbose.txt"),
                                   from_json("drbd9/diskless-primary.status-json.txt")}) {
    CHECK(resource.volumes[0].disk == Disk::Diskless);
    CHECK(resource.peers[0].volumes[0].disk == Disk::UpToDate);
  }
  const Resource older =
      from_text("drbd84/S09b-diskless-connected/05-drbdsetup_status_r1.bravo.txt");
  CHECK(older.volume(0)->disk == Disk::UpToDate);
  CHECK(older.volume(1)->disk == Disk::Diskless);
}

// No capture: made from those of a disk that was detached, which say client:no.
TEST_CASE("a node that has no disk on purpose", "[drbd][status]") {
  const Resource resource = only(
      read_status_text("r0 node-id:0 role:Primary suspended:no force-io-failures:no\n"
                       "  volume:0 minor:0 disk:Diskless client:yes backing_dev:none quorum:yes\n"
                       "      blocked:no\n"
                       "  node2 node-id:1 connection:Connected role:Secondary congested:no\n"
                       "      ap-in-flight:0 rs-in-flight:0\n"
                       "    volume:0 replication:Established peer-disk:Diskless peer-client:yes\n"
                       "        resync-suspended:no\n"
                       "\n"));
  CHECK(resource.volumes[0].disk == Disk::Diskless);
  CHECK(resource.volumes[0].is_client);
  CHECK(only(read_status_json(
                 R"([{"name": "r0", "devices": [{"disk-state": "Diskless", "client": true}]}])"))
            .volumes[0]
            .is_client);
  CHECK(resource.volumes[0].quorum);
  CHECK(resource.peers[0].volumes[0].disk == Disk::Diskless);
  CHECK(is_settled(resource.peers[0]));
}

TEST_CASE("Primary by a command or by whoever opened it: status does not tell", "[drbd][status]") {
  const Resource opened = from_json("drbd9/auto-promoted-open.status-json.txt");
  CHECK(render(opened) == render(from_json("drbd9/primary-here.status-json.txt")));
  CHECK(opened.role == Role::Primary);
  CHECK(from_text("drbd9/auto-promoted-open.status-after-close-no-explicit.txt").role ==
        Role::Secondary);
  CHECK(from_text("drbd9/auto-promoted-open.status-after-explicit-primary-and-close.txt").role ==
        Role::Primary);
  CHECK(from_text("drbd9/autopromote-no.status-after-close.txt").role == Role::Primary);
}

TEST_CASE("the target of a resync", "[drbd][status]") {
  for (const Resource& resource : {from_text("drbd9/synctarget.status-verbose.txt"),
                                   from_json("drbd9/synctarget.status-json.txt")}) {
    REQUIRE(resource.volumes.size() == 2);
    CHECK(resource.volume(0)->minor == 10);
    CHECK(resource.volume(1)->minor == 11);
    CHECK(resource.volume(1)->disk == Disk::Inconsistent);
    REQUIRE(resource.peers.size() == 1);
    REQUIRE(resource.peers[0].volumes.size() == 2);
    CHECK(resource.peers[0].volumes[1].number == 1);
    CHECK(resource.peers[0].volumes[1].replication == Replication::SyncTarget);
    CHECK(resource.peers[0].volumes[1].disk == Disk::UpToDate);
  }
}

TEST_CASE("three nodes", "[drbd][status]") {
  const auto path = "drbd9/three-nodes-all-connected-primary-here.status-";
  for (const Resource& resource :
       {from_text(path + std::string("verbose.txt")), from_json(path + std::string("json.txt"))}) {
    REQUIRE(resource.peers.size() == 2);
    CHECK(resource.peers[0].name == "node2");
    CHECK(resource.peers[0].node_id == 1);
    CHECK(resource.peers[1].name == "node3");
    CHECK(resource.peers[1].node_id == 2);
  }
}

TEST_CASE("the two forms of DRBD 9 say the same", "[drbd][status]") {
  for (const char* situation : {"auto-promoted-open",
                                "both-primary",
                                "both-primary-peer",
                                "connecting-primary",
                                "connecting-primary-linkcut",
                                "diskless-primary",
                                "diskless-secondary",
                                "forced-secondary",
                                "held-open-primary",
                                "inconsistent-connected",
                                "peer-diskless-or-attached",
                                "primary-here",
                                "primary-on-peer",
                                "secondary-connected",
                                "standalone-secondary",
                                "syncsource",
                                "synctarget",
                                "three-nodes-all-connected-primary-here",
                                "two-volumes-primary-here",
                                "two-volumes-primary-on-peer"}) {
    const std::string path = std::string("drbd9/") + situation + ".status-";
    CHECK(render(from_text(path + "verbose.txt")) == render(from_json(path + "json.txt")));
  }
}

TEST_CASE("9 with newer tools: somebody has the device open", "[drbd][status]") {
  // drbd-utils 9.29 and later (device_status, device_status_json in drbdsetup.c).
  const auto text = [](const std::string& open) {
    return only(
        read_status_text("r0 node-id:0 role:Primary suspended:no\n"
                         "  volume:0 minor:0 disk:UpToDate open:" +
                         open + " quorum:yes blocked:no\n\n"));
  };
  CHECK(text("yes").volumes.front().is_open);
  CHECK_FALSE(text("no").volumes.front().is_open);
  CHECK_FALSE(text("unknown").volumes.front().is_open);
  for (const bool open : {false, true})
    CHECK(only(read_status_json(
                   R"([{"name":"r0","role":"Primary","devices":[{"volume":0,"minor":0,)"
                   R"("disk-state":"UpToDate","client":false,"open":)" +
                   std::string(open ? "true" : "false") + R"(,"quorum":true}],"connections":[]}])"))
              .volumes.front()
              .is_open == open);
}

TEST_CASE("suspended I/O and a lost quorum", "[drbd][status]") {
  const Resource text = only(read_status_text(
      "r0 node-id:0 role:Primary suspended:user,quorum force-io-failures:no\n"
      "  volume:0 minor:0 disk:UpToDate backing_dev:/dev/vda quorum:no blocked:upper\n"
      "\n"));
  const Resource json = only(read_status_json(
      R"([{"name": "r0", "role": "Primary", "suspended": true, "suspended-user": true,
           "suspended-quorum": true, "suspended-fencing": false,
           "devices": [{"volume": 0, "minor": 0, "disk-state": "UpToDate", "quorum": false}]}])"));
  CHECK(text.suspended);
  CHECK(text.suspended_by == "user,quorum");
  CHECK(json.suspended_by == text.suspended_by);
  CHECK_FALSE(text.volumes[0].quorum);
  CHECK(render(text) == render(json));
  CHECK_FALSE(from_text("drbd9/primary-here.status-verbose.txt").suspended);
  CHECK(from_text("drbd9/primary-here.status-verbose.txt").volumes[0].quorum);
}

TEST_CASE("nothing configured is no error", "[drbd][status]") {
  CHECK(read_status_text("")->empty());
  CHECK(read_status_text("# No currently configured DRBD found.\n")->empty());
  CHECK(read_status_json("[\n]\n\n")->empty());
}

TEST_CASE("what comes after a line of exactly 80 columns is no continuation", "[drbd][status]") {
  // The peer's line is indented like a continuation, and nothing follows the second resource's
  // disk.
  const auto resources = read_status_text(
      "r1 node-id:0 role:Secondary suspended:no force-io-failures:no\n"
      "  volume:0 minor:10 disk:Inconsistent backing_dev:/dev/vdb quorum:yes blocked:no\n"
      "      node2 node-id:1 connection:Connected role:Primary congested:no\n"
      "    volume:0 replication:Established peer-disk:UpToDate resync-suspended:no\n"
      "\n"
      "r2 node-id:0 role:Secondary suspended:no force-io-failures:no\n"
      "  volume:0 minor:20 disk:Inconsistent backing_dev:/dev/vdc quorum:yes blocked:no\n"
      "      \n"
      "r3 node-id:0 role:Primary suspended:no force-io-failures:no\n"
      "\n");
  CHECK(render(resources) ==
        "r1 Secondary\n"
        "  volume 0 minor 10 Inconsistent\n"
        "  peer node2 node-id 1 Connected Primary settled\n"
        "    volume 0 Established UpToDate\n"
        "r2 Secondary\n"
        "  volume 0 minor 20 Inconsistent\n"
        "r3 Primary\n");
}

TEST_CASE("unknown words and keys are passed over", "[drbd][status]") {
  const Resource text =
      only(read_status_text("r0 role:Tertiary suspended:no mood:fine\n"
                            "  volume:0 minor:0 disk:Shiny colour:blue path:/dev/a:b\n"
                            "  node2 node-id:1 connection:Flying role:Secondary tls:no\n"
                            "    volume:0 replication:Quantum peer-disk:UpToDate\n"
                            "\n"));
  CHECK(render(text) ==
        "r0 Unknown\n"
        "  volume 0 minor 0 Unknown\n"
        "  peer node2 node-id 1 Unknown Secondary\n"
        "    volume 0 Unknown UpToDate\n");
  const Resource json = only(read_status_json(
      R"([{"name": "r0", "role": "Tertiary", "mood": {"deep": [1, {}]}, "devices": [
             {"volume": 0, "minor": 0, "disk-state": "Shiny"}],
           "connections": [{"name": "node2", "peer-node-id": 1, "connection-state": "Flying",
             "peer-role": "Secondary", "paths": [{"established": true}], "peer_devices": [
               {"volume": 0, "replication-state": "Quantum", "peer-disk-state": "UpToDate"}]}]}])"));
  CHECK(render(json) == render(text));
}

TEST_CASE("every key may be absent or of another type", "[drbd][status]") {
  CHECK(render(read_status_json("[{}]")) == " Unknown\n");
  CHECK(render(read_status_json(
            R"([{"name": 1, "role": 2, "suspended": "x", "devices": [{"volume": "0", "minor": 1e300,
                 "disk-state": null, "quorum": 3}], "connections": [{"name": [], "peer-node-id": {},
                 "connection-state": true, "peer-role": [], "peer_devices": null}]}])")) ==
        " Unknown\n"
        "  volume 0 minor -1 Unknown\n"
        "  peer  Unknown Unknown\n");
  // Volumes and peers that cannot be listed are another matter: one of the peers may be Primary.
  CHECK_FALSE(read_status_json(R"([{"name": "r0", "connections": {"node2": {}}}])"));
  CHECK_FALSE(read_status_json(R"([{"name": "r0", "connections": [7]}])"));
  CHECK_FALSE(read_status_json(R"([{"name": "r0", "devices": "none"}])"));
  CHECK_FALSE(read_status_json(R"([{"name": "r0", "connections": [{"peer_devices": 1}]}])"));
}

TEST_CASE("the errors of the status readers", "[drbd][status]") {
  const auto message = [](const Result<std::vector<Resource>>& result) {
    REQUIRE_FALSE(result);
    return result.error().message;
  };
  CHECK(message(read_status_json("")) ==
        "what `drbdsetup status --json` printed breaks off in the middle");
  CHECK(message(read_status_json("[\n{\n  \"name\": \"r0\",")) ==
        "what `drbdsetup status --json` printed breaks off in the middle");
  CHECK(message(read_status_json("status: oh no\n")) ==
        "`drbdsetup status --json` printed what this program does not understand: 'status: oh no'");
  CHECK(message(read_status_json("{}")) ==
        "`drbdsetup status --json` printed what this program does not understand: '{}'");
  CHECK(message(read_status_json("[{\"minor\": 1e999}]")) ==
        "`drbdsetup status --json` printed what this program does not understand: "
        "'[{\"minor\": 1e999}]'");
  CHECK(message(read_status_text("\nUSAGE: drbdsetup command\n")) ==
        "`drbdsetup status` printed what this program does not understand: "
        "'USAGE: drbdsetup command'");
  CHECK(message(read_status_text("  disk:UpToDate\n")) ==
        "`drbdsetup status` printed what this program does not understand: '  disk:UpToDate'");
  CHECK(message(read_status_text("  node2 role:Primary\n\n")) ==
        "`drbdsetup status` printed what this program does not understand: '  node2 role:Primary'");
  CHECK(message(read_status_text("r0 role:Primary\n  volume:x disk:UpToDate\n\n")) ==
        "`drbdsetup status` printed what this program does not understand: "
        "'  volume:x disk:UpToDate'");
  CHECK(message(read_status_text("r0 role:Secondary\n  disk:UpToDate\n")) ==
        "what `drbdsetup status` printed breaks off in the middle");
}

TEST_CASE("what holds a resync up", "[drbd][status]") {
  const auto paused_by = [](const Result<std::vector<Resource>>& resources) {
    REQUIRE(resources);
    return resources->front().peers.front().volumes.front().paused_by;
  };
  const auto text = [&](const std::string& word) {
    return paused_by(read_status_text(
        "r0 role:Secondary\n  volume:0 minor:1 disk:Inconsistent\n  peer connection:Connected\n    "
        "volume:0 replication:PausedSyncT peer-disk:UpToDate resync-suspended:" +
        word + "\n\n"));
  };
  const auto json = [&](const std::string& word) {
    return paused_by(read_status_json(
        R"([{"name":"r0","role":"Secondary","devices":[],"connections":[{"peer-node-id":1,)"
        R"("name":"b","connection-state":"Connected","peer-role":"Secondary","peer_devices":[)"
        R"({"volume":0,"replication-state":"PausedSyncT","resync-suspended":")" +
        word + "\"}]}]}]"));
  };
  for (const char* word : {"user", "peer,dependency"}) {
    CHECK(text(word) == word);
    CHECK(json(word) == word);
  }
  CHECK(text("no").empty());
  CHECK(json("no").empty());
}

TEST_CASE("how much of a resync is done", "[drbd][status]") {
  const auto done = [](const std::string& word) {
    const auto resources = read_status_text(
        "r0 role:Secondary\n  volume:0 minor:1 disk:Inconsistent\n  peer connection:Connected\n    "
        "volume:0 replication:SyncTarget peer-disk:UpToDate done:" +
        word + "\n\n");
    REQUIRE(resources);
    return resources->front().peers.front().volumes.front().in_sync;
  };
  CHECK(done("28.78") == 28.78);
  CHECK(done("0.00") == 0);
  CHECK(done("100") == 100);
  for (const char* word : {"", ".", "nan", "inf", "-1", "+1", "1e5", "0x10", "1.2.3", "28.78%"}) {
    INFO(word);
    CHECK_FALSE(done(word));
  }
}
