// What is typed behind `block-drbd test`.
#include <filesystem>
#include <fstream>

#include "capture.h"
#include "catch.h"
#include "diagnose/target.h"

using namespace block_drbd;
using namespace block_drbd::diagnose;

namespace {

/// xl, as it answers `create --dryrun`.
class FakeXl : public process::Processes {
 public:
  Result<process::Output> run(const std::vector<std::string>& argv, Duration /*limit*/) override {
    asked = argv;
    return answer;
  }
  Result<std::unique_ptr<process::Stream>> follow(const std::vector<std::string>&) override {
    return failure("not asked for");
  }

  process::Output answer;
  std::vector<std::string> asked;
};

/// A file that is there, so that xl can be asked about it.
const std::string some_file = TEST_DATA_DIR "/xl/create-dryrun.txt";

}  // namespace

TEST_CASE("a disk in every spelling", "[diagnose][target]") {
  struct {
    const char* text;
    std::optional<int> volume;
    policy::Access access;
    const char* vdev;
  } const spellings[] = {
      {"Wheezy", {}, policy::Access::ReadWrite, ""},
      {" Wheezy/1 ", 1, policy::Access::ReadWrite, ""},
      {"drbd:Wheezy/1", 1, policy::Access::ReadWrite, ""},
      {"drbd:Wheezy,xvda,w", {}, policy::Access::ReadWrite, "xvda"},
      {"drbd:Wheezy, xvdb, r", {}, policy::Access::ReadOnly, "xvdb"},
      {"drbd:Wheezy/1,hda,w!", 1, policy::Access::Shared, "hda"},
      {"vdev=xvda,access=rw,script=block-drbd,target=Wheezy",
       {},
       policy::Access::ReadWrite,
       "xvda"},
      {"vdev=xvda, access=ro, script=block-drbd, target=drbd:Wheezy/1 ", 1,
       policy::Access::ReadOnly, "xvda"},
      {"format=raw,vdev=sda,script=/etc/xen/scripts/block-drbd,target=Wheezy",
       {},
       policy::Access::ReadWrite,
       "sda"},
      {"Wheezy,raw,xvda,rw,script=block-drbd", {}, policy::Access::ReadWrite, "xvda"},
  };
  for (const auto& each : spellings) {
    INFO(each.text);
    const auto target = target_from(each.text);
    REQUIRE(target);
    CHECK(target->spec.resource == "Wheezy");
    CHECK(target->spec.volume == each.volume);
    CHECK(target->access == each.access);
    CHECK(target->vdev == each.vdev);
  }
}

TEST_CASE("a disk of a driver domain", "[diagnose][target]") {
  const auto of = [](const std::string& backend) {
    const auto target =
        target_from("vdev=xvda,script=block-drbd,backend=" + backend + ",target=Wheezy");
    REQUIRE(target);
    return target->driver_domain;
  };
  CHECK(of("storage") == "storage");
  CHECK(of("0").empty());
  CHECK(of("Domain-0").empty());
  CHECK(target_from("Wheezy")->driver_domain.empty());
}

TEST_CASE("what is no DRBD disk is said so", "[diagnose][target]") {
  for (const char* text : {"phy:/dev/vg/web,xvda,w", "vdev=xvda,target=/dev/vg/web", ",", "=",
                           "--force", "drbd:,xvda,w", "drbd:a/b/c,xvda,w", "a b"}) {
    INFO(text);
    CHECK_FALSE(target_from(text));
  }
}

TEST_CASE("a guest's configuration is read by xl", "[diagnose][target]") {
  FakeXl xl;
  xl.answer.out = test::read_data("xl/create-dryrun.txt");
  const auto targets = targets_in_configuration(xl, some_file);
  REQUIRE(targets);
  CHECK(xl.asked == std::vector<std::string>{"xl", "create", "--dryrun",
                                             std::filesystem::canonical(some_file).string()});
  REQUIRE(targets->size() == 2);  // of three: the other is a file
  CHECK(targets->front().spec.resource == "Wheezy");
  CHECK(targets->front().guest == "web01");
  CHECK(targets->front().vdev == "xvda");
  CHECK(targets->front().access == policy::Access::ReadWrite);
  CHECK(targets->back().spec.volume == 1);
  CHECK(targets->back().access == policy::Access::ReadOnly);
}

TEST_CASE("a configuration that xl cannot read", "[diagnose][target]") {
  FakeXl xl;
  xl.answer = {.exit_code = 1,
               .out = "",
               .err = "Parsing config from web.cfg\nweb.cfg:3: config parsing error near `disk'\n"};
  const auto refused = targets_in_configuration(xl, some_file);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("config parsing error near `disk'") != std::string::npos);
  xl.answer.err = "web.cfg:1: near `\x1b[2J'\nweb.cfg:3: no\n";
  CHECK(targets_in_configuration(xl, some_file)
            .error()
            .message.ends_with("web.cfg:1: near `?[2J'\nweb.cfg:3: no"));
  for (const char* garbage : {"", "{", "7", R"({"disks": 7})", R"({"disks": [7]})",
                              R"({"disks": [{"script": "block-drbd", "pdev_path": "--force"}]})"}) {
    xl.answer = {.exit_code = 0, .out = garbage, .err = ""};
    CHECK_FALSE(targets_in_configuration(xl, some_file));
  }
  CHECK_FALSE(targets_in_configuration(xl, "/nowhere.cfg"));
}

TEST_CASE("a file is told from a resource", "[diagnose][target]") {
  CHECK(is_configuration("/etc/xen/web.cfg"));
  CHECK(is_configuration("./web.cfg"));
  CHECK(is_configuration(some_file));
  CHECK(is_configuration("web.cfg"));  // which is not there, and is said so
  CHECK_FALSE(is_configuration("Wheezy"));
  CHECK_FALSE(is_configuration("Wheezy/1"));
  CHECK_FALSE(is_configuration("drbd:Wheezy/1,xvda,w"));
}
