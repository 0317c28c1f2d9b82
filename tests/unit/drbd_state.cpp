#include "catch.h"
#include "drbd/state.h"

using namespace block_drbd::drbd;

namespace {

Peer settled_peer() {
  return {"node2",
          1,
          Connection::Connected,
          Role::Secondary,
          {{0, Replication::Established, Disk::UpToDate}, {1, Replication::SyncSource, {}}}};
}

}  // namespace

TEST_CASE("DRBD's words and our values are one to one", "[drbd]") {
  for (const char* word : {"Primary", "Secondary"})
    CHECK(to_string(role_from(word)) == word);
  for (const char* word : {"Diskless", "Attaching", "Detaching", "Failed", "Negotiating",
                           "Inconsistent", "Outdated", "Consistent", "UpToDate"})
    CHECK(to_string(disk_from(word)) == word);
  for (const char* word :
       {"StandAlone", "Disconnecting", "Unconnected", "Timeout", "BrokenPipe", "NetworkFailure",
        "ProtocolError", "TearDown", "Connecting", "Connected"})
    CHECK(to_string(connection_from(word)) == word);
  for (const char* word : {"Off", "Established", "StartingSyncS", "StartingSyncT", "WFBitMapS",
                           "WFBitMapT", "WFSyncUUID", "SyncSource", "SyncTarget", "VerifyS",
                           "VerifyT", "PausedSyncS", "PausedSyncT", "Ahead", "Behind"})
    CHECK(to_string(replication_from(word)) == word);
}

TEST_CASE("a word that is not known is Unknown", "[drbd]") {
  for (const char* word : {"", "Unknown", "DUnknown", "primary", "Primary ", "Tertiary"}) {
    CHECK(role_from(word) == Role::Unknown);
    CHECK(disk_from(word) == Disk::Unknown);
    CHECK(connection_from(word) == Connection::Unknown);
    CHECK(replication_from(word) == Replication::Unknown);
  }
  CHECK(to_string(Role::Unknown) == "Unknown");
  CHECK(to_string(Disk::Unknown) == "Unknown");
  CHECK(to_string(Connection::Unknown) == "Unknown");
  CHECK(to_string(Replication::Unknown) == "Unknown");
}

TEST_CASE("a volume is found by its number", "[drbd]") {
  Resource resource;
  resource.volumes = {{0, 10, {}, true, {}}, {7, 11, {}, true, {}}};
  REQUIRE(resource.volume(7));
  CHECK(resource.volume(7)->minor == 11);
  CHECK(resource.volume(0)->minor == 10);
  CHECK_FALSE(resource.volume(1));
}

TEST_CASE("a peer is settled when all of it is known", "[drbd]") {
  CHECK(is_settled(settled_peer()));

  Peer peer = settled_peer();
  SECTION("but not while its role is unknown") {
    peer.role = Role::Unknown;
  }
  SECTION("but not while it is not connected") {
    peer.connection = Connection::Connecting;
  }
  SECTION("but not while the connection is unknown") {
    peer.connection = Connection::Unknown;
  }
  SECTION("but not while one volume is not replicated") {
    peer.volumes[1].replication = Replication::Off;
  }
  SECTION("but not while the replication of one volume is unknown") {
    peer.volumes[1].replication = Replication::Unknown;
  }
  SECTION("but not without volumes") {
    peer.volumes.clear();
  }
  CHECK_FALSE(is_settled(peer));
}
