// When two primaries may be allowed for a hand-over, and when no longer: every combination.
#include "catch.h"
#include "policy/window.h"

using namespace block_drbd;
using namespace block_drbd::policy;
using drbd::Connection;
using drbd::Disk;
using drbd::Replication;
using drbd::Role;

namespace {

record::Window window(std::optional<int> peer, bool arrived = false) {
  return {.resource = "Wheezy",
          .peer = peer,
          .backend = {"vbd", 5, 51712},
          .found_open = false,
          .unanswered = false,
          .arrived = arrived};
}

drbd::ConnectionSettings connection(std::optional<int> node_id, bool two_primaries, char protocol) {
  return {.peer = {},
          .node_id = node_id,
          .local_address = "ipv4:10.0.0.1:7789",
          .peer_address = "ipv4:10.0.0.2:7789",
          .two_primaries = two_primaries,
          .protocol = protocol};
}

drbd::Peer peer(std::optional<int> node_id, Connection connected, Role role) {
  const bool known = role != Role::Unknown;
  return {.name = "peer",
          .node_id = node_id,
          .connection = connected,
          .role = role,
          .volumes = {{.number = 0,
                       .replication = known ? Replication::Established : Replication::Off,
                       .disk = Disk::UpToDate}}};
}

}  // namespace

TEST_CASE("a window is opened from no, for one writer, towards one peer") {
  for (const Access access : {Access::ReadOnly, Access::ReadWrite, Access::Shared})
    for (const bool two_primaries : {false, true})
      for (const char protocol : {'A', 'B', 'C'})
        for (const int remembered : {0, 1, 2}) {  // none, towards the source, towards another
          const auto source = connection(1, two_primaries, protocol);
          const auto earlier =
              remembered == 0 ? std::nullopt : std::optional(window(remembered == 1 ? 1 : 7));
          const auto [opening, because] = decide_opening(access, {}, &source, earlier);
          INFO(static_cast<int>(opening) << ": " << because);

          REQUIRE(because.empty() == (opening != Opening::Refuse && opening != Opening::Wait));
          // Never a second one.
          REQUIRE((opening == Opening::Wait) == (remembered == 2));
          if (opening == Opening::Open) {
            REQUIRE_FALSE(two_primaries);
            REQUIRE(access == Access::ReadWrite);
            REQUIRE(protocol == 'C');
          }
          REQUIRE((opening == Opening::Adopt) == (two_primaries && remembered == 1));
          REQUIRE((opening == Opening::Allowed) == (two_primaries && remembered == 0));
          // Who wants no window gets none; one that is open serves all the same.
          const auto without = decide_opening(access, {.opens_windows = false}, &source, earlier);
          REQUIRE(without.opening == (opening == Opening::Open ? Opening::Refuse : opening));
          if (access == Access::ReadWrite && protocol == 'C')
            REQUIRE(opening != Opening::Refuse);
        }
  CHECK(decide_opening(Access::ReadWrite, {}, nullptr, std::nullopt).opening == Opening::Refuse);
}

TEST_CASE("DRBD 8.4: the one connection is the source's") {
  const auto source = connection(std::nullopt, true, 'C');
  CHECK(decide_opening(Access::ReadWrite, {}, &source, window(std::nullopt)).opening ==
        Opening::Adopt);
}

TEST_CASE("a window is closed when it is not needed, and never when that would part the nodes") {
  const Duration idle_for = GENERATE(Duration(0), seen_alive_after);
  for (const std::optional<int> id : {std::optional<int>(), std::optional(1)})
    for (const bool arrived : {false, true})
      for (const bool add_is_under_way : {false, true})
        for (const Role own : {Role::Secondary, Role::Primary})
          for (const Role role : {Role::Unknown, Role::Secondary, Role::Primary})
            for (const Connection connected : {Connection::Connected, Connection::Connecting,
                                               Connection::StandAlone, Connection::Unconnected}) {
              if (connected != Connection::Connected && role != Role::Unknown)
                continue;
              const drbd::Resource resource{
                  .name = "Wheezy",
                  .role = own,
                  .suspended = false,
                  .volumes = {{.number = 0, .minor = 1, .disk = Disk::UpToDate, .role = own}},
                  .peers = {peer(7, Connection::Connected, Role::Secondary),
                            peer(id, connected, role)}};
              const auto step =
                  next_step(window(id, arrived), resource, add_is_under_way, idle_for);
              const bool both = own == Role::Primary && role == Role::Primary;
              const bool handshake = connected == Connection::Connected && role == Role::Unknown;
              const bool seen = connected == Connection::Connected && !handshake;
              REQUIRE(step != WindowStep::Forget);
              const bool alive = arrived || idle_for == seen_alive_after;
              REQUIRE(is_idle(window(id, arrived), resource) == (seen && !both));
              REQUIRE((step == WindowStep::Close) ==
                      (!add_is_under_way &&
                       ((seen && !both && alive) || (!seen && !handshake && arrived))));
            }
}

TEST_CASE("a window ends with its connection") {
  const drbd::Resource alone{
      .name = "Wheezy", .role = Role::Primary, .suspended = false, .volumes = {}, .peers = {}};
  for (const bool add_is_under_way : {false, true})
    CHECK(next_step(window(std::nullopt), alone, add_is_under_way, Duration(0)) ==
          WindowStep::Forget);
}
