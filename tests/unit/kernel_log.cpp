// What the kernel says about nodes that have parted, and how it is followed.
#include "drbd/kernel_log.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>

#include "catch.h"
#include "fd.h"
#include "policy/reconnect.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::drbd;
using namespace block_drbd::test;
using namespace std::chrono_literals;

namespace {

using Parts = std::vector<std::optional<int>>;

Resource resource(std::vector<Peer> peers = {}) {
  Resource resource{.name = "Wheezy", .volumes = {Volume()}, .peers = std::move(peers)};
  resource.volumes.front().minor = 1;
  return resource;
}

Peer peer(const char* name, std::optional<int> node_id, Connection connection) {
  return {.name = name, .node_id = node_id, .connection = connection, .volumes = {}};
}

const std::string differ = ": incompatible allow-two-primaries settings\n";
const std::string split = ": Split-Brain detected but unresolved, dropping connection!\n";
const std::string begin = ": conn( StandAlone -> Unconnected ) \n";

/// In the place of /dev/kmsg: what is written there is read there, one write in one read.
struct Kmsg {
  Kmsg() {
    ::mkfifo(path.c_str(), 0600);
    end = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(end);
  }
  void says(const std::string& text) const {
    REQUIRE(::write(end.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }

  TempDir directory;
  const std::string path = directory / "kmsg";
  Fd end;
};

}  // namespace

TEST_CASE("8.4: a resource is parted by two primaries when that is the last word", "[kernel_log]") {
  const std::string wheezy = "3,812,99,-;drbd Wheezy";
  const auto parted = [&](const std::string& log) {
    return policy::parted_by_two_primaries(resource(), log);
  };
  CHECK(parted("").empty());
  CHECK(parted(wheezy + differ) == Parts{std::nullopt});
  CHECK(parted("3,1,1,-;drbd Wheezy2" + differ).empty());
  // A person, or somebody else, has tried again; DRBD then looks at the data.
  CHECK(parted(wheezy + differ + wheezy + begin).empty());
  CHECK(parted(wheezy + differ + wheezy + begin + "3,1,1,-;block drbd1" + split).empty());
  CHECK(parted(wheezy + differ + "3,1,1,-;block drbd1" + split).empty());
  CHECK(parted("3,1,1,-;block drbd1" + split + wheezy + begin + wheezy + differ) ==
        Parts{std::nullopt});
  // It shows the peer while it is not StandAlone.
  CHECK(policy::parted_by_two_primaries(resource({peer("peer", {}, Connection::Connecting)}),
                                        wheezy + differ)
            .empty());
}

TEST_CASE("9: each connection is parted for itself", "[kernel_log]") {
  const auto state =
      resource({peer("node2", 1, Connection::StandAlone), peer("node3", 2, Connection::StandAlone),
                peer("node4", 3, Connection::Connecting)});
  const std::string wheezy = "3,812,99,-;drbd Wheezy node";
  CHECK(policy::parted_by_two_primaries(state, wheezy + '2' + differ) == Parts{1});
  CHECK(policy::parted_by_two_primaries(state, wheezy + '2' + differ + wheezy + '3' + differ +
                                                   wheezy + '4' + differ) == Parts{1, 2});
  CHECK(policy::parted_by_two_primaries(state, wheezy + '2' + differ + wheezy + '3' + differ +
                                                   "3,1,1,-;drbd Wheezy/0 drbd1 node2" + split) ==
        Parts{2});
}

TEST_CASE("9: who cannot be seen and was Primary when it was lost", "[kernel_log]") {
  using Names = std::set<std::string>;
  const auto lost = [](const std::string& log) {
    auto state = resource({peer("node2", 1, Connection::Connecting),
                           peer("node2b", 2, Connection::StandAlone),
                           peer("node4", 3, Connection::Connected)});
    state.peers.back().role = Role::Secondary;
    state.peers.back().volumes = {
        {.number = 0, .replication = Replication::Established, .disk = Disk::UpToDate}};
    return lost_as_primary(log, state);
  };
  const std::string kernel = "6,812,99,-;drbd Wheezy ";
  const std::string gone = ": conn( Connected -> NetworkFailure ) peer( Primary -> Unknown )\n";
  CHECK(lost("").empty());
  CHECK(lost(kernel + "node2" + gone) == Names{"node2"});
  CHECK(lost(kernel + "node2" + gone + kernel + "node2b" + gone) == Names{"node2", "node2b"});
  CHECK(lost(kernel + "node2: peer( Unknown -> Primary )\n" + kernel +
             "node2: conn( Connected -> Timeout ) peer( Primary -> Unknown ) [disconnected]\n") ==
        Names{"node2"});
  // It was connected again since, and let go before it was lost.
  CHECK(lost(kernel + "node2" + gone + kernel +
             "node2: conn( Connecting -> Connected ) peer( Unknown -> Primary ) [connected]\n" +
             kernel + "node2: peer( Primary -> Secondary ) [peer-state]\n" + kernel +
             "node2: conn( Connected -> TearDown ) peer( Secondary -> Unknown ) [peer-state]\n")
            .empty());
  // Another resource's, one that can be seen, and what did not come to pass.
  CHECK(lost("6,1,1,-;drbd Wheezy2 node2" + gone + kernel + "node4" + gone + kernel +
             "node2: Failed: conn( Connected -> Disconnecting ) peer( Primary -> Unknown )\n")
            .empty());
}

TEST_CASE("the names of those that were ever parted by two primaries", "[kernel_log]") {
  using Names = std::set<std::string>;
  CHECK(ever_parted_by_two_primaries("").empty());
  CHECK(ever_parted_by_two_primaries("3,1,1,-;drbd Wheezy" + differ +
                                     "3,2,1,-;drbd web.example.org node2" + differ +
                                     "3,3,1,-;drbd Jessie" + begin + "3,4,1,-;drbd Wheezy" +
                                     begin) == Names{"Wheezy", "web.example.org"});
  CHECK(ever_parted_by_two_primaries("3,1,1,-;incompatible allow-two-primaries settings\n"
                                     "3,1,1,-;drbd --force" +
                                     differ + "3,1,1,-;drbd " + differ)
            .empty());
}

TEST_CASE("only the kernel itself is heard", "[kernel_log]") {
  const Kmsg kmsg;
  kmsg.says("3,812,99,-;drbd Wheezy: incompatible\n");
  CHECK(read_kernel_log(kmsg.path) == "3,812,99,-;drbd Wheezy: incompatible\n");
  for (const char* number : {"11", "30", "x", ""}) {  // facility 1 (user), 3 (daemon)
    kmsg.says(std::string(number) + ",812,99,-;drbd Wheezy: incompatible\n");
    CHECK(read_kernel_log(kmsg.path) == "");
  }
  CHECK_FALSE(read_kernel_log(kmsg.directory / "missing"));
  CHECK_FALSE(read_kernel_log(kmsg.directory / ""));  // half a log would be taken for all of it
}

TEST_CASE("a wait ends with the kernel's word, at its limit, or when we are asked to end",
          "[kernel_log]") {
  const Kmsg kmsg;
  const Fd interruption(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  const auto log = follow_kernel_log(interruption.get(), kmsg.path);
  REQUIRE(log);
  const auto waits = [&](Duration limit) {
    const auto begin = std::chrono::steady_clock::now();
    (*log)->wait(limit);
    return std::chrono::steady_clock::now() - begin;
  };
  CHECK(waits(30ms) >= 30ms);
  kmsg.says("6,1,1,-;drbd Wheezy: conn( Unconnected -> WFConnection )\n");
  CHECK(waits(30ms) >= 30ms);
  kmsg.says("3,1,1,-;drbd Wheezy" + differ);
  waits(1h);
  CHECK(waits(30ms) >= 30ms);
  kmsg.says("14,1,1,-;drbd Wheezy" + differ);  // a program
  CHECK(waits(30ms) >= 30ms);
  const std::uint64_t one = 1;
  REQUIRE(::write(interruption.get(), &one, sizeof one) == sizeof one);
  waits(1h);
}

TEST_CASE("a log that ends is waited for to the limit", "[kernel_log]") {
  const TempDir directory;
  const auto log = follow_kernel_log(-1, directory.write("log", "3,1,1,-;drbd Wheezy" + differ));
  REQUIRE(log);
  const auto begin = std::chrono::steady_clock::now();
  (*log)->wait(30ms);
  CHECK(std::chrono::steady_clock::now() - begin >= 30ms);
  CHECK((*log)->read() == "3,1,1,-;drbd Wheezy" + differ);
}
