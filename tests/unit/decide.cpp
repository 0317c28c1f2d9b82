// The decision for every combination of what it takes, held against the rules that must never
// break.
#include "policy/decide.h"

#include "capture.h"
#include "catch.h"
#include "drbd/readers.h"

using namespace block_drbd;
using namespace block_drbd::policy;
using drbd::Connection;
using drbd::Disk;
using drbd::Replication;
using drbd::Role;

namespace {

enum class PeerLooks { Secondary, Primary, InHandshake, Connecting, StandAlone, Absent };

drbd::Peer peer(PeerLooks looks) {
  drbd::Peer peer{
      .name = "peer",
      .node_id = std::nullopt,
      .connection = Connection::Connected,
      .role = Role::Secondary,
      .volumes = {{.number = 0, .replication = Replication::Established, .disk = Disk::UpToDate}}};
  if (looks == PeerLooks::Primary)
    peer.role = Role::Primary;
  if (looks == PeerLooks::InHandshake || looks == PeerLooks::Connecting ||
      looks == PeerLooks::StandAlone) {
    peer.role = Role::Unknown;
    peer.volumes.front() = {.number = 0, .replication = Replication::Off, .disk = Disk::Unknown};
  }
  if (looks == PeerLooks::Connecting)
    peer.connection = Connection::Connecting;
  if (looks == PeerLooks::StandAlone)
    peer.connection = Connection::StandAlone;
  return peer;
}

User user(Relation relation, bool read_only = false) {
  return {.relation = relation,
          .physical_device = relation == Relation::Host ? "" : "93:2",
          .read_only = read_only,
          .guest = relation == Relation::SameVm ? "web" : "somebody",
          .description = "somebody"};
}

Request request(Purpose purpose, Access access = Access::ReadWrite) {
  return {.resource = "Wheezy",
          .volume = 0,
          .physical_device = "93:1",
          .purpose = purpose,
          .access = access,
          .guest = "web"};
}

Situation situation(std::vector<PeerLooks> peers, Role own = Role::Secondary) {
  Situation situation;
  situation.resource = {.name = "Wheezy",
                        .role = own,
                        .suspended = false,
                        .volumes = {{.number = 0, .minor = 1, .disk = Disk::UpToDate, .role = own}},
                        .peers = {}};
  for (const PeerLooks looks : peers)
    if (looks != PeerLooks::Absent)
      situation.resource.peers.push_back(peer(looks));
  situation.settings = drbd::Settings{.resource = "Wheezy",
                                      .connections = {{.peer = {},
                                                       .node_id = std::nullopt,
                                                       .local_address = "ipv4:10.0.0.1:7789",
                                                       .peer_address = "ipv4:10.0.0.2:7789",
                                                       .two_primaries = false,
                                                       .protocol = 'C',
                                                       .fencing = "dont-care"}},
                                      .quorum = "off"};
  return situation;
}

void patience_is_over(Situation& situation) {
  situation.waited_for_peer = patience_for_peer;
  situation.waited_for_link = patience_for_link;
  situation.waited_for_data = patience_for_data;
}

bool takes_the_role(Action action) {
  return action == Action::Promote || action == Action::HandOver || action == Action::Share;
}

bool waits(Action action) {
  return action == Action::WaitForPeer || action == Action::WaitForLink ||
         action == Action::WaitForData;
}

}  // namespace

TEST_CASE("every combination keeps the rules") {
  const std::vector<std::vector<User>> everybody = {
      {},
      {user(Relation::OwnDomain)},
      {user(Relation::OwnStubDomain)},
      {user(Relation::SameVm)},

      {user(Relation::OtherVm)},
      {user(Relation::OtherVm, true)},
      {user(Relation::Host)},
      {user(Relation::OwnDomain), user(Relation::OtherVm)},
  };
  const PeerLooks looks[] = {PeerLooks::Secondary,  PeerLooks::Primary,    PeerLooks::InHandshake,
                             PeerLooks::Connecting, PeerLooks::StandAlone, PeerLooks::Absent};
  int combinations = 0;

  for (const Purpose purpose : {Purpose::Start, Purpose::Incoming})
    for (const Access access : {Access::ReadOnly, Access::ReadWrite, Access::Shared})
      for (const Role own : {Role::Secondary, Role::Primary})
        for (const PeerLooks first : looks)
          for (const PeerLooks second : looks)
            for (const auto& users : everybody)
              for (const Disk disk : {Disk::UpToDate, Disk::Inconsistent, Disk::Diskless})
                for (const bool two_primaries : {false, true})
                  for (const bool fencing : {false, true})
                    for (const bool over : {false, true})
                      for (const auto& [by_person, held] :
                           {std::pair(false, false), std::pair(true, false),
                            std::pair(false, true)}) {
                        if (by_person && own != Role::Primary)
                          continue;
                        ++combinations;
                        const Request asked = request(purpose, access);
                        Situation now = situation({first, second}, own);
                        now.users = users;
                        now.primary_by_person = by_person;
                        now.held = held;
                        now.resource.volumes.front().disk = disk;
                        now.settings->connections.front().two_primaries = two_primaries;
                        now.settings->connections.front().fencing =
                            fencing ? "resource-only" : "dont-care";
                        if (over)
                          patience_is_over(now);
                        const Decision decision = decide(asked, now);
                        const Action action = decision.action;
                        INFO("action " << static_cast<int>(action) << ": " << decision.because);

                        const bool start = purpose == Purpose::Start;
                        const int primaries =
                            int(first == PeerLooks::Primary) + int(second == PeerLooks::Primary);
                        const auto seen = [](PeerLooks each) {
                          return each == PeerLooks::Secondary || each == PeerLooks::Primary ||
                                 each == PeerLooks::Absent;
                        };
                        const bool somebody_seen =
                            first != PeerLooks::Absent || second != PeerLooks::Absent;
                        const bool all_seen = seen(first) && seen(second) && somebody_seen;
                        const auto has = [&](Relation relation) {
                          return std::any_of(users.begin(), users.end(), [&](const User& each) {
                            return each.relation == relation;
                          });
                        };
                        const bool stranger_writes =
                            has(Relation::Host) ||
                            std::any_of(users.begin(), users.end(), [](const User& each) {
                              return each.relation == Relation::OtherVm && !each.read_only;
                            });
                        const bool stranger = has(Relation::Host) || has(Relation::OtherVm);

                        // A refusal and a wait say why; nothing else does.
                        REQUIRE(decision.because.empty() == takes_the_role(action));
                        if (action == Action::Refuse)
                          REQUIRE(decision.because.find("DRBD resource Wheezy") !=
                                  std::string::npos);
                        // When patience is over, nothing waits any more.
                        if (over)
                          REQUIRE_FALSE(waits(action));
                        // Somebody else's disk is nobody's, unless the administrator vouches for
                        // it.
                        if (access != Access::Shared && stranger_writes)
                          REQUIRE(action == Action::Refuse);
                        if (access == Access::ReadWrite && stranger)
                          REQUIRE(action == Action::Refuse);
                        // A start beside a Primary peer: never, whatever is configured, not even
                        // as an attempt.
                        if (start && primaries > 0)
                          REQUIRE((action == Action::WaitForPeer || action == Action::Refuse));
                        // A hand-over: from the one peer that is Primary, onto good data.
                        if (action == Action::HandOver) {
                          REQUIRE_FALSE(start);
                          REQUIRE(primaries == 1);
                          if (access != Access::ReadOnly)
                            REQUIRE(disk != Disk::Inconsistent);
                        }
                        // Two instances of one guest only while it migrates within this node.
                        if (has(Relation::SameVm) && takes_the_role(action) &&
                            access != Access::Shared) {
                          REQUIRE_FALSE(start);
                          REQUIRE(action == Action::Share);
                          REQUIRE(primaries == 0);
                          REQUIRE(own == Role::Primary);
                        }
                        // Nobody takes an unseen peer's word for it.
                        if (start && primaries == 0 && !all_seen && takes_the_role(action))
                          REQUIRE((by_person || held || fencing ||
                                   (own == Role::Primary && action == Action::Share)));
                        if (!start && primaries == 0 && !all_seen && !has(Relation::SameVm))
                          REQUIRE(action == Action::Refuse);
                        // And it is not all refusals.
                        if (users.empty() && primaries == 0 && all_seen)
                          REQUIRE(action == Action::Promote);
                        if (!start && primaries == 1 && users.empty() && disk == Disk::UpToDate)
                          REQUIRE(action == Action::HandOver);
                      }
  CHECK(combinations == 2 * 3 * (2 + 3) * 6 * 6 * 8 * 3 * 2 * 2 * 2);
}

TEST_CASE("which replication can be handed over") {
  const std::pair<Replication, bool> rows[] = {
      {Replication::Established, true}, {Replication::VerifyS, true},
      {Replication::VerifyT, true},     {Replication::SyncSource, true},
      {Replication::SyncTarget, false}, {Replication::WFBitMapT, false},
      {Replication::Ahead, false},      {Replication::Behind, false},
      {Replication::Unknown, false},    {Replication::PausedSyncT, false},
  };
  for (const auto& [replication, fit] : rows) {
    Situation now = situation({PeerLooks::Primary});
    now.resource.peers.front().volumes.front().replication = replication;
    CAPTURE(to_string(replication));
    CHECK((decide(request(Purpose::Incoming), now).action == Action::HandOver) == fit);
  }
}

TEST_CASE("a diskless target takes over only beside good data") {
  Situation now = situation({PeerLooks::Primary});
  now.resource.volumes.front().disk = Disk::Diskless;
  CHECK(decide(request(Purpose::Incoming), now).action == Action::HandOver);
  now.resource.peers.front().volumes.front().disk = Disk::Failed;
  CHECK(decide(request(Purpose::Incoming), now).action == Action::WaitForData);
}

TEST_CASE("a diskless target needs not its source's data, but anybody's") {
  Situation now = situation({PeerLooks::Primary, PeerLooks::Secondary});
  now.resource.volumes.front().disk = Disk::Diskless;
  now.resource.peers.front().volumes.front().disk = Disk::Diskless;
  CHECK(decide(request(Purpose::Incoming), now).action == Action::HandOver);
  now.resource.peers.back() = peer(PeerLooks::Connecting);
  CHECK(decide(request(Purpose::Incoming), now).action == Action::WaitForData);
}

TEST_CASE("a guest does not arrive while a node is away that was Primary when it was lost") {
  Situation now = situation({PeerLooks::Primary, PeerLooks::Connecting});
  CHECK(decide(request(Purpose::Incoming), now).action == Action::HandOver);
  now.resource.peers.back().name = "node3";
  now.resource.peers.back().node_id = 2;
  now.lost_primaries = {"node3"};
  const Decision refused = decide(request(Purpose::Incoming), now);
  CHECK(refused.action == Action::Refuse);
  CHECK(refused.because.find("node node3, which is not connected, was Primary when it was lost") !=
        std::string::npos);
  // With resource-only, a Primary that is cut off goes on writing.
  now.settings->connections.front().fencing = "resource-only";
  CHECK(decide(request(Purpose::Incoming), now).action == Action::Refuse);
  now.settings->connections.front().fencing = "resource-and-stonith";
  CHECK(decide(request(Purpose::Incoming), now).action == Action::HandOver);
}

TEST_CASE("an unknown setting is not a permission to try") {
  Situation now = situation({PeerLooks::Primary});
  now.settings.reset();
  CHECK(decide(request(Purpose::Start), now).action == Action::WaitForPeer);
  now.settings.emplace();
  CHECK(decide(request(Purpose::Start), now).action == Action::WaitForPeer);
}

TEST_CASE("who chose to start without the peer waits for it, and then starts, but not beside it") {
  Request chosen = request(Purpose::Start);
  chosen.choices.starts_unseen = true;
  Situation now = situation({PeerLooks::Connecting});
  CHECK(decide(chosen, now).action == Action::WaitForLink);
  now.waited_for_link = patience_for_link;
  CHECK(decide(chosen, now).action == Action::Promote);
  CHECK(decide(chosen, situation({PeerLooks::StandAlone})).action == Action::Promote);
  CHECK(decide(chosen, situation({PeerLooks::Primary})).action == Action::WaitForPeer);
  chosen.purpose = Purpose::Incoming;
  CHECK(decide(chosen, situation({PeerLooks::StandAlone})).action == Action::Refuse);
}

TEST_CASE("no wait for a link that nobody makes") {
  CHECK(decide(request(Purpose::Start), situation({PeerLooks::StandAlone})).action ==
        Action::Refuse);
  CHECK(decide(request(Purpose::Start), situation({})).action == Action::Refuse);
  CHECK(decide(request(Purpose::Start), situation({PeerLooks::Connecting})).action ==
        Action::WaitForLink);
  CHECK(decide(request(Purpose::Start), situation({PeerLooks::InHandshake})).action ==
        Action::WaitForLink);
  CHECK(decide(request(Purpose::Start), situation({PeerLooks::Connecting})).because ==
        "the other node (ipv4:10.0.0.2:7789) (Connecting) is not connected");
}

TEST_CASE("modes of the disk line") {
  CHECK(access_from("r") == Access::ReadOnly);
  CHECK(access_from("ro") == Access::ReadOnly);
  CHECK(access_from("") == Access::ReadOnly);
  CHECK(access_from("w") == Access::ReadWrite);
  CHECK(access_from("rw") == Access::ReadWrite);
  CHECK(access_from("w!") == Access::Shared);
}

TEST_CASE("the peer is named as well as DRBD knows it") {
  const Situation now = situation({PeerLooks::Primary});
  CHECK(name_of(now.resource.peers.front(), std::nullopt) == "the other node");
  CHECK(name_of(now.resource.peers.front(), now.settings) == "the other node (ipv4:10.0.0.2:7789)");
  drbd::Peer named = now.resource.peers.front();
  named.name = "bravo";
  named.node_id = 1;
  CHECK(name_of(named, now.settings) == "node bravo");
}

TEST_CASE("fencing counts when it covers every connection, and on 8.4 without one") {
  Situation now = situation({PeerLooks::StandAlone});
  auto& settings = *now.settings;
  settings.connections.push_back(settings.connections.front());
  settings.connections.front().fencing = "resource-only";
  CHECK(decide(request(Purpose::Start), now).action == Action::Refuse);
  settings.connections.back().fencing = "resource-and-stonith";
  CHECK(decide(request(Purpose::Start), now).action == Action::Promote);
  settings.connections.clear();
  CHECK(decide(request(Purpose::Start), now).action == Action::Refuse);
  settings.fencing = "resource-only";
  CHECK(decide(request(Purpose::Start), now).action == Action::Promote);
}

TEST_CASE("a quorum counts when not both halves can have it") {
  Situation now = situation({PeerLooks::StandAlone, PeerLooks::StandAlone});
  const std::pair<const char*, Action> rows[] = {
      {"majority", Action::Promote}, {"all", Action::Promote}, {"2", Action::Promote},
      {"1", Action::Refuse},         {"off", Action::Refuse},  {"new-word", Action::Refuse},
  };
  for (const auto& [quorum, action] : rows) {
    now.settings->quorum = quorum;
    CAPTURE(quorum);
    CHECK(decide(request(Purpose::Start), now).action == action);
  }
}

TEST_CASE("a quorum does not keep two diskless nodes apart where two primaries are allowed") {
  Situation now = situation({PeerLooks::StandAlone, PeerLooks::Secondary});
  now.settings->quorum = "majority";
  now.resource.volumes.front().disk = Disk::Diskless;
  CHECK(decide(request(Purpose::Start), now).action == Action::Promote);
  now.settings->connections.front().two_primaries = true;
  CHECK(decide(request(Purpose::Start), now).action == Action::Refuse);
  now.resource.volumes.front().disk = Disk::UpToDate;
  CHECK(decide(request(Purpose::Start), now).action == Action::Promote);
}

TEST_CASE("what DRBD 9 said is decided") {
  const std::pair<const char*, Action> rows[] = {
      {"secondary-connected", Action::Promote},
      {"diskless-secondary", Action::Promote},
      {"peer-diskless-or-attached", Action::Promote},
      {"three-nodes-all-connected-primary-here", Action::Promote},
      {"auto-promoted-open", Action::Promote},  // whether it is still open, DRBD tells later
      {"primary-on-peer", Action::WaitForPeer},
      {"both-primary", Action::WaitForPeer},
      {"connecting-primary-linkcut", Action::WaitForLink},
      {"standalone-secondary", Action::Refuse},
  };
  for (const auto& [name, action] : rows) {
    CAPTURE(name);
    const std::string path = std::string("drbd9/") + name + ".status-json.txt";
    const auto resources = drbd::read_status_json(test::read_capture(path).out);
    REQUIRE(resources);
    Situation now = situation({});
    now.resource = resources->front();
    CHECK(decide(request(Purpose::Start), now).action == action);
  }
}

TEST_CASE("an incoming guest shares with its own source only") {
  Situation now = situation({PeerLooks::Secondary}, Role::Primary);
  now.users = {user(Relation::SameVm)};
  CHECK(decide(request(Purpose::Incoming), now).action == Action::Share);
  now.users.front().guest = "web--incoming";
  CHECK(decide(request(Purpose::Incoming), now).action == Action::Refuse);
}

TEST_CASE("what xl has kept of a guest after a crash is told apart from another guest") {
  Situation now = situation({PeerLooks::Secondary}, Role::Primary);
  now.users = {user(Relation::OtherVm)};
  const auto says_destroy = [&] {
    const Decision decision = decide(request(Purpose::Start), now);
    REQUIRE(decision.action == Action::Refuse);
    return decision.because.find("`xl destroy " + now.users.front().guest + '`') !=
           std::string::npos;
  };
  CHECK_FALSE(says_destroy());
  now.users.front().guest = "web-20261124T1718Z";
  CHECK(says_destroy());
}
