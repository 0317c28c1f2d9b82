// Which tools are asked about a whole node, and what comes of it.
#include "catch.h"
#include "drbd/overview.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::drbd;

namespace {

/// A node with DRBD 8.4 and resources m0, m1, ... that are connected, of which the first `sick` are
/// in resync.
class LargeNode final : public process::Processes {
 public:
  LargeNode(int resources, int sick) : resources_(resources), sick_(sick) {}

  Result<process::Output> run(const std::vector<std::string>& argv, Duration /*limit*/) override {
    const bool of_one = argv.size() > 2 && !argv[2].starts_with("--");
    asked.push_back(argv[1] + (of_one ? ' ' + argv[2] : ""));
    std::string text;
    for (int i = 0; i < resources_; ++i)
      if (!of_one || argv[2] == name(i))
        text += argv[1] == "show" ? shown(i) : status(i);
    if (of_one && text.empty())
      return process::Output{.exit_code = 10, .out = {}, .err = argv[2] + ": No such resource\n"};
    return process::Output{.exit_code = 0, .out = text, .err = {}};
  }

  Result<std::unique_ptr<process::Stream>> follow(const std::vector<std::string>&) override {
    return failure("nothing is followed here");
  }

  Result<Overview> overview(const std::string& only = "") {
    std::string proc = "version: 8.4.11 (api:1/proto:86-101)\n";
    for (int i = 0; i < resources_; ++i)
      proc += ' ' + std::to_string(i) + ": cs:" + (i < sick_ ? "SyncSource" : "Connected") +
              " ro:Primary/Secondary ds:UpToDate/" + (i < sick_ ? "Inconsistent" : "UpToDate") +
              " C r-----\n";
    return look_over(*this, directory_.write("drbd", proc), only, std::chrono::seconds(1));
  }

  std::vector<std::string> asked;
  std::string beginning = "m";  ///< of their names

 private:
  std::string name(int i) const { return beginning + std::to_string(i); }
  std::string shown(int i) const {
    return "resource " + name(i) +
           " {\n  _remote_host { address ipv4 10.0.0.2:7789; }\n  _this_host {\n    address ipv4 "
           "10.0.0.1:7789;\n    volume 0 { device minor " +
           std::to_string(i) + "; }\n  }\n}\n";
  }
  std::string status(int i) const {
    return name(i) + " role:Primary\n  volume:0 minor:" + std::to_string(i) +
           " disk:UpToDate\n  peer connection:Connected role:Secondary\n    volume:0 replication:" +
           (i < sick_ ? "SyncSource peer-disk:Inconsistent done:41.50\n\n"
                      : "Established peer-disk:UpToDate\n\n");
  }

  int resources_;
  int sick_;
  test::TempDir directory_;
};

using Asked = std::vector<std::string>;

}  // namespace

TEST_CASE("a node that is well: no status is asked for", "[drbd]") {
  LargeNode node(500, 0);
  const auto overview = node.overview();
  REQUIRE(overview);
  CHECK(node.asked == Asked{"show"});
  REQUIRE(overview->resources.size() == 500);
  CHECK(overview->resource("m499")->role == Role::Primary);
  CHECK(is_settled(overview->resource("m7")->peers.front()));
}

TEST_CASE("about a few that are not well each is asked", "[drbd]") {
  LargeNode node(500, 2);
  const auto overview = node.overview();
  REQUIRE(overview);
  CHECK(node.asked == Asked{"show", "status m0", "status m1"});
  REQUIRE(overview->resources.size() == 500);
  CHECK(overview->resource("m1")->peers.front().volumes.front().in_sync == 41.5);
  CHECK(overview->resource("m1")->volumes.front().role == Role::Primary);
}

TEST_CASE("about many that are not well all are asked at once", "[drbd]") {
  LargeNode node(500, 9);
  const auto overview = node.overview();
  REQUIRE(overview);
  CHECK(node.asked == Asked{"show", "status"});
  CHECK(overview->resources.size() == 500);
}

TEST_CASE("no name becomes an option", "[drbd]") {
  LargeNode node(500, 2);
  node.beginning = "-";
  CHECK(node.overview()->resources.size() == 500);
  CHECK(node.asked == Asked{"show", "status"});
}

TEST_CASE("a node without resources", "[drbd]") {
  LargeNode node(0, 0);
  CHECK(node.overview()->resources.empty());
}

TEST_CASE("one resource is asked for alone, and what is up where that one is not", "[drbd]") {
  LargeNode node(20, 0);
  CHECK(node.overview("m3")->resources.size() == 1);
  CHECK(node.asked == Asked{"status m3", "show m3"});
  CHECK(node.overview("m99")->resources.size() == 20);
}
