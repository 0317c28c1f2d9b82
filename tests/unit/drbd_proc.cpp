// The readers of /proc/drbd.
#include "capture.h"
#include "catch.h"
#include "drbd/readers.h"
#include "drbd_render.h"

using namespace block_drbd::drbd;
using block_drbd::test::read_capture;
using block_drbd::test::render;
using Roles = std::map<int, Role>;

namespace {

const std::string both_secondary = "drbd84/S01-both-secondary-uptodate/";

/// What `drbdsetup status --verbose` printed of one resource.
Resource status_in(const std::string& capture) {
  const auto resources = read_status_text(read_capture(capture).out);
  REQUIRE(resources);
  REQUIRE(resources->size() == 1);
  return resources->front();
}

/// Of r1, which has the minors 10 and 11.
std::optional<Resource> r1_again(const std::string& minor_10, const std::string& minor_11) {
  return read_again(
      status_in(both_secondary + "drbdsetup-status-verbose-r1.alpha.txt"),
      "version: 8.4.11 (api:1/proto:86-101)\n10: " + minor_10 + "\n11: " + minor_11 + '\n');
}

}  // namespace

TEST_CASE("the generation is the first number of the version", "[drbd][proc]") {
  CHECK(read_generation("version: 8.4.11 (api:1/proto:86-101)\n") == Generation::V8);
  CHECK(read_generation("version: 8.3.13 (api:88/proto:86-96)\n") == Generation::V8);
  CHECK(read_generation("version: 9.2.16 (api:2/proto:118-123)\n") == Generation::V9);
  CHECK(read_generation("version: 10.0.0 (api:3)\n") == Generation::V9);
  for (const char* text : {"", "\n", "version:", "version: x", "version: 0.7.25 (api:79)",
                           "\nversion: 9.2.16", "drbd: 9"})
    CHECK(read_generation(text) == Generation::Absent);
}

TEST_CASE("each minor of 8.4 has its own role", "[drbd][proc]") {
  CHECK(read_minor_roles(
            read_capture("drbd84/D11-link-lost-in-dual-window/23-cat__proc_drbd.alpha.txt").out) ==
        Roles{{0, Role::Secondary}, {10, Role::Secondary}, {11, Role::Secondary}});
  CHECK(read_minor_roles(read_capture("drbd84/S02-local-primary/proc.alpha.txt").out) ==
        Roles{{0, Role::Primary}, {10, Role::Primary}, {11, Role::Primary}});
  // A resource of two volumes, half promoted.
  CHECK(read_minor_roles("version: 8.4.11 (api:1/proto:86-101)\n"
                         "10: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n"
                         "11: cs:Connected ro:Secondary/Primary ds:UpToDate/UpToDate C r-----\n") ==
        Roles{{10, Role::Primary}, {11, Role::Secondary}});
}

TEST_CASE("an unconfigured minor has no role", "[drbd][proc]") {
  CHECK(read_minor_roles(read_capture("drbd84/S09-diskless/25-cat__proc_drbd.bravo.txt").out) ==
        Roles{{10, Role::Secondary}, {11, Role::Secondary}});
}

TEST_CASE("8.3 and its predecessors", "[drbd][proc]") {
  CHECK(read_minor_roles(
            "version: 8.3.13 (api:88/proto:86-96)\n"
            "srcversion: 697DE8B1973B1D8914F04DB \n"
            " 0: cs:SyncSource ro:Primary/Secondary ds:UpToDate/Inconsistent C r-----\n"
            "    ns:19456 nr:0 dw:0 dr:27040 al:0 bm:1 lo:1 pe:0 ua:64 ap:0 ep:1 wo:b oos:505600\n"
            "\t[>...................] sync'ed:  4.1% (505600/524236)K\n"
            "\tfinish: 0:01:12 speed: 6,912 (6,912) K/sec\n"
            " 1: cs:Unconfigured\n") == Roles{{0, Role::Primary}});
  CHECK(read_minor_roles("version: 8.0.16 (api:86/proto:86)\n"
                         " 2: cs:Connected st:Secondary/Primary ds:UpToDate/UpToDate C r---\n"
                         "    resync: used:0/61 hits:0 misses:0 starving:0 dirty:0 changed:0\n") ==
        Roles{{2, Role::Secondary}});
}

TEST_CASE("9 prints no roles", "[drbd][proc]") {
  CHECK(read_minor_roles(read_capture("drbd9/primary-here.proc-drbd.txt").out).empty());
}

TEST_CASE("a role that is not known is Unknown", "[drbd][proc]") {
  CHECK(read_minor_roles("0: ro:Tertiary/Primary\n1: ro:\n2: ro:Primary\n") ==
        Roles{{0, Role::Unknown}, {1, Role::Unknown}, {2, Role::Primary}});
}

TEST_CASE("the state again is what status says of the same moment", "[drbd][proc]") {
  const std::string primary_there = "drbd84/D11-link-lost-in-dual-window/";
  const std::string waiting = "drbd84/S11a-WFConnection/";
  for (const auto& [status, proc] :
       {std::pair(both_secondary + "drbdsetup-status-verbose-r0.alpha.txt",
                  both_secondary + "proc-drbd.alpha.txt"),
        std::pair(both_secondary + "drbdsetup-status-verbose-r1.alpha.txt",
                  both_secondary + "proc-drbd.alpha.txt"),
        std::pair(waiting + "16-drbdsetup_status___verbose_r0.alpha.txt",
                  waiting + "14-cat__proc_drbd.alpha.txt"),
        std::pair(primary_there + "21-drbdsetup_status___verbose_r0.alpha.txt",
                  primary_there + "23-cat__proc_drbd.alpha.txt")}) {
    Resource expected = status_in(status);
    Resource known = expected;
    known.role = known.peers.front().role = Role::Unknown;
    known.peers.front().connection = Connection::Unknown;
    for (Volume& volume : known.volumes)
      volume.disk = Disk::Unknown;
    for (PeerVolume& volume : known.peers.front().volumes) {
      volume.disk = Disk::Unknown;
      volume.replication = Replication::Unknown;
    }
    for (Volume& volume : expected.volumes)
      volume.role = Role::Secondary;
    const auto again = read_again(known, read_capture(proc).out);
    REQUIRE(again);
    CHECK(render(*again) == render(expected));
  }
  // Where status lists no peer any more, there is one that is not connected.
  const auto alone =
      read_again(status_in(both_secondary + "drbdsetup-status-verbose-r0.alpha.txt"),
                 read_capture("drbd84/S11b-StandAlone/05-cat__proc_drbd.bravo.txt").out);
  REQUIRE(alone);
  CHECK(alone->peers.front().connection == Connection::StandAlone);
  CHECK_FALSE(sees_any_peer(*alone));
}

TEST_CASE("roles again, of each volume and of the resource", "[drbd][proc]") {
  const std::string both = "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----";
  const std::string here = "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----";
  const std::string there = "cs:SyncSource ro:Secondary/Primary ds:UpToDate/Inconsistent C r-----";
  const auto half = r1_again(both, here);
  REQUIRE(half);
  CHECK(half->role == Role::Primary);
  CHECK(half->volumes[0].role == Role::Secondary);
  CHECK(half->volumes[1].role == Role::Primary);
  CHECK(half->peers.front().role == Role::Secondary);
  const auto taken = r1_again(there, both);
  REQUIRE(taken);
  CHECK(taken->role == Role::Secondary);
  CHECK(taken->peers.front().role == Role::Primary);
  CHECK(taken->peers.front().volumes[0].replication == Replication::SyncSource);
  CHECK(taken->peers.front().volumes[0].disk == Disk::Inconsistent);
  CHECK(is_settled(taken->peers.front()));
  // A peer that is not known, of one volume, is not settled.
  const auto unknown = r1_again("cs:Connected ro:Secondary/Unknown ds:UpToDate/DUnknown", both);
  REQUIRE(unknown);
  CHECK(unknown->peers.front().role == Role::Unknown);
}

TEST_CASE("what /proc/drbd does not tell is not made up", "[drbd][proc]") {
  const std::string connected = "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----";
  REQUIRE(r1_again(connected, connected));
  for (const char* other :
       {"cs:Unconfigured", "cs:WFReportParams ro:Primary/Unknown ds:UpToDate/DUnknown C r-----",
        "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r-----",
        "cs:Tomorrow ro:Primary/Secondary ds:UpToDate/UpToDate", "ro:Primary/Secondary",
        "cs:Connected ds:UpToDate/UpToDate", "cs:Connected ro:/Secondary", ""})
    CHECK_FALSE(r1_again(connected, other));
  Resource known = status_in(both_secondary + "drbdsetup-status-verbose-r0.alpha.txt");
  const std::string proc = read_capture(both_secondary + "proc-drbd.alpha.txt").out;
  REQUIRE(read_again(known, proc));
  CHECK_FALSE(read_again(known, ""));
  known.peers.clear();
  CHECK_FALSE(read_again(known, proc));
}

TEST_CASE("how long a resync takes", "[drbd][proc]") {
  CHECK(
      read_resync_times("version: 8.4.11 (api:1/proto:86-101)\n"
                        " 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n"
                        "    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n"
                        " 3: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n"
                        "\t[>...................] sync'ed:  4.1% (505600/524236)K\n"
                        "\tfinish: 1:01:12 speed: 6,912 (6,912) K/sec\n"
                        " 4: cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----\n"
                        "\tfinish: soon speed: 0 (0) K/sec\n") == std::map<int, int>{{3, 3672}});
  for (const char* time : {"999999999:00:00", "-1:00:00", "0:1:-2147483648", "1:1:1:1:1:1:1:1:1"})
    CHECK(read_resync_times(" 0: cs:SyncTarget\n\tfinish: " + std::string(time) + '\n').empty());
}

TEST_CASE("the version of the module", "[drbd][proc]") {
  CHECK(read_version("version: 8.4.11 (api:1/proto:86-101)\n") == "8.4.11");
  CHECK(read_version("") == "");
  CHECK(read_version("DRBD is loaded\n") == "");
}

TEST_CASE("the state by the settings is what status says of the same moment", "[drbd][proc]") {
  const auto shown = read_show(read_capture(both_secondary + "drbdsetup-show.alpha.txt").out);
  REQUIRE(shown);
  const auto resources =
      read_proc(*shown, read_capture(both_secondary + "proc-drbd.alpha.txt").out);
  REQUIRE(resources.size() == 2);
  for (const auto& resource : resources) {
    REQUIRE(resource);
    Resource expected =
        status_in(both_secondary + "drbdsetup-status-verbose-" + resource->name + ".alpha.txt");
    for (Volume& volume : expected.volumes)
      volume.role = Role::Secondary;
    CHECK(render(*resource) == render(expected));
  }
}

TEST_CASE("the state by the settings, of r1 in each of its states", "[drbd][proc]") {
  const auto r1 = [](const std::string& minor_10, const std::string& minor_11, bool alone = false) {
    Settings settings{.resource = "r1", .volumes = {{0, 10}, {1, 11}}, .connections = {}};
    if (!alone)
      settings.connections.emplace_back();
    return read_proc({settings}, "10: " + minor_10 + "\n11: " + minor_11 + '\n').front();
  };
  const std::string well = "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----";
  REQUIRE(r1(well, well));

  SECTION("it waits for its peer") {
    const std::string waits = "cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r-----";
    const auto resource = r1(waits, waits);
    REQUIRE(resource);
    CHECK(resource->role == Role::Primary);
    CHECK(resource->peers.front().connection == Connection::Connecting);
    CHECK(resource->peers.front().role == Role::Unknown);
    CHECK(resource->peers.front().volumes[1].replication == Replication::Off);
  }
  SECTION("it is alone") {
    const auto resource =
        r1("cs:StandAlone ro:Secondary/Unknown ds:UpToDate/DUnknown   r-----",
           "cs:StandAlone ro:Primary/Unknown ds:Outdated/DUnknown   r-----", true);
    REQUIRE(resource);
    CHECK(resource->role == Role::Primary);
    CHECK(resource->peers.empty());
    CHECK(resource->volumes[0].role == Role::Secondary);
    CHECK(resource->volumes[1].disk == Disk::Outdated);
  }
  SECTION("status has more to say, or something else") {
    for (const char* line : {"cs:SyncTarget ro:Secondary/Primary ds:Inconsistent/UpToDate C r-----",
                             "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C s-----",
                             "cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r---d-",
                             "cs:Connected ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----",
                             "cs:WFConnection ro:Secondary/Secondary ds:UpToDate/UpToDate C r-----",
                             "cs:WFReportParams ro:Secondary/Unknown ds:UpToDate/DUnknown C r-----",
                             "cs:StandAlone ro:Secondary/Unknown ds:UpToDate/DUnknown   r-----",
                             "cs:Unconfigured", "cs:Connected", ""}) {
      INFO(line);
      CHECK_FALSE(r1(line, line));
      CHECK_FALSE(r1(well, line));
    }
    CHECK_FALSE(r1(well, well, true));
    CHECK_FALSE(r1("cs:Unconfigured", "cs:Unconfigured", true));
    CHECK_FALSE(read_proc({Settings{.resource = "r1", .connections = {}}}, "").front());
  }
}
