// How the facts of a node come together. What they mean is in diagnose.cpp.
#include "diagnose/gather.h"

#include "catch.h"
#include "fakes.h"
#include "record/records.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::diagnose;

namespace {

/// A node with DRBD 8.4 and Wheezy, Primary. `at_status` happens while DRBD is asked.
class ToolsOfWheezy final : public process::Processes {
 public:
  Result<process::Output> run(const std::vector<std::string>& argv, Duration /*limit*/) override {
    const bool of_one = argv.size() > 2 && !argv[2].starts_with("--");
    if (argv[0] == "drbdsetup" && of_one && argv[2] != "Wheezy")
      return process::Output{.exit_code = 10, .out = {}, .err = argv[2] + ": No such resource\n"};
    if (argv[0] != "drbdsetup" || argv[1] != "status")
      return process::Output{};
    ++(of_one ? looks_at_one : looks);
    if (at_status)
      at_status();
    return process::Output{.exit_code = 0,
                           .out =
                               "Wheezy role:Primary suspended:no\n"
                               "  volume:0 minor:1 disk:UpToDate\n\n",
                           .err = {}};
  }

  Result<std::unique_ptr<process::Stream>> follow(const std::vector<std::string>&) override {
    return failure("nothing is followed here");
  }

  int looks = 0;
  int looks_at_one = 0;
  std::function<void()> at_status;
};

struct NodeWithTools {
  Facts facts(const std::set<std::string>& asked = {}) {
    test::FakeNode node;
    return gather(
        {.processes = tools,
         .drbd = node.drbd,
         .devices = devices,
         .connect = [] { return std::make_unique<test::FakeStore>(); },
         .proc_drbd = directory.write("proc/drbd", "version: 8.4.11 (api:1/proto:86-101)\n"),
         .proc_locks = directory / "locks",
         .kernel_log = directory / "log",
         .records = directory / "records",
         .script = directory / "script",
         .config = directory / "config",
         .own_program = directory / "program"},
        asked);
  }

  /// What an `add` leaves behind, or a `remove` takes away.
  void claim_is_written() {
    const auto records = record::open_records(directory / "records", directory / "xen");
    REQUIRE(records);
    REQUIRE((*records)->write(record::Claim{.backend = {"vbd", 7, 51712},
                                            .resource = "Wheezy",
                                            .minor = 1,
                                            .phase = record::Phase::Attached,
                                            .domain = "web",
                                            .vm = ""}));
  }

  ToolsOfWheezy tools;
  test::FakeDevices devices;
  test::TempDir directory;
};

}  // namespace

TEST_CASE("a node that is still is looked at once", "[diagnose]") {
  NodeWithTools node;
  const Facts facts = node.facts();
  CHECK(node.tools.looks == 1);
  CHECK(facts.drbd.resource("Wheezy") != nullptr);
  CHECK(facts.records.claims.empty());
}

TEST_CASE("what starts or ends while it is looked is looked at again", "[diagnose]") {
  NodeWithTools node;
  node.tools.at_status = [&] {
    if (node.tools.looks == 1)
      node.claim_is_written();
  };
  CHECK(node.facts().records.claims.size() == 1);
  CHECK(node.tools.looks == 2);
}

TEST_CASE("a guest that xenstore has forgotten has its disk as long as the kernel serves it",
          "[diagnose]") {
  NodeWithTools node;
  node.claim_is_written();
  CHECK(node.facts().attachments.empty());
  node.devices.served = {{7, 51712}};
  const Facts facts = node.facts();
  REQUIRE(facts.attachments.size() == 1);
  CHECK(facts.attachments.front().domain.name == "web");
  CHECK(facts.forgotten == std::vector{xenstore::BackendPath{"vbd", 7, 51712}});
  CHECK(users_of(facts, *facts.drbd.resource("Wheezy")).size() == 1);
}

TEST_CASE("a node that is never still is not looked at for ever", "[diagnose]") {
  NodeWithTools node;
  node.tools.at_status = [&] {
    node.directory.write("records/" + std::to_string(node.tools.looks) + ".claim", "half");
  };
  node.facts();
  CHECK(node.tools.looks == 3);
}

TEST_CASE("who asks about one resource is not kept waiting for all", "[diagnose]") {
  NodeWithTools node;
  CHECK(node.facts({"Wheezy"}).drbd.resource("Wheezy") != nullptr);
  CHECK(node.tools.looks_at_one == 1);
  CHECK(node.tools.looks == 0);
  // One that is not up: what else is up is told.
  const Facts facts = node.facts({"Jessie"});
  CHECK(facts.drbd.resource("Jessie") == nullptr);
  CHECK(facts.drbd.resource("Wheezy") != nullptr);
  CHECK(facts.drbd_trouble.empty());
}
