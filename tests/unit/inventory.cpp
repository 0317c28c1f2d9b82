// What is remembered, looked at without a change.
#include "record/inventory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "catch.h"
#include "fd.h"
#include "record/records.h"

using namespace block_drbd;
using namespace block_drbd::record;
namespace fs = std::filesystem;

namespace {

struct Directory {
  Directory() : path(fs::temp_directory_path() / ("inventory." + std::to_string(::getpid()))) {
    fs::remove_all(path);
  }
  ~Directory() { fs::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const fs::path path;
};

Claim kept_claim() {
  return {
      .backend = {"vbd", 7, 51712}, .resource = "Wheezy", .minor = 1, .domain = "web", .vm = ""};
}

}  // namespace

TEST_CASE("claims, windows, locks, keepers and the healer are found", "[record][inventory]") {
  const Directory directory;
  const auto records = open_records(directory.path, directory.path / "xen");
  REQUIRE(records);
  REQUIRE((*records)->write(kept_claim()));
  REQUIRE(
      (*records)->write(Window{.resource = "Wheezy", .peer = {}, .backend = {"vbd", 7, 51712}}));
  const auto lock = (*records)->try_lock("Wheezy");
  const auto keeper = (*records)->try_lock_keeper("Jessie");
  REQUIRE((lock && *lock));
  REQUIRE((keeper && *keeper));
  CHECK_FALSE(take_inventory(directory.path, "/proc/locks")->healer);
  const auto healer = (*records)->try_lock_healer();
  REQUIRE((healer && *healer));
  CHECK(*(*records)->try_lock_healer() == nullptr);
  static_cast<void>((*records)->try_lock("Jessie"));  // and let go: the file stays
  std::ofstream(directory.path / "vbd-8-51712@Wheezy.claim") << "half a J";

  const auto found = take_inventory(directory.path, "/proc/locks");
  REQUIRE(found);
  REQUIRE(found->claims.size() == 1);
  CHECK(found->claims.front().domain == "web");
  REQUIRE(found->window_of("Wheezy") != nullptr);
  CHECK(found->window_of("Jessie") == nullptr);
  CHECK(found->locks == std::map<std::string, pid_t>{{"Wheezy", ::getpid()}});
  CHECK(found->keepers == std::map<std::string, pid_t>{{"Jessie", ::getpid()}});
  CHECK(found->healer == ::getpid());
  REQUIRE(found->unreadable.size() == 1);
  CHECK(found->unreadable.begin()->first.ends_with("/vbd-8-51712@Wheezy.claim"));
  CHECK_FALSE(found->can_be_read_of("Wheezy"));
  CHECK(found->can_be_read_of("Jessie"));
}

TEST_CASE("nothing is made by looking", "[record][inventory]") {
  const Directory directory;
  const auto found = take_inventory(directory.path, "/proc/locks");
  REQUIRE(found);
  CHECK(found->claims.empty());
  CHECK_FALSE(fs::exists(directory.path));
  // Not through a link: somebody else's directory is not ours.
  fs::create_directory(directory.path);
  fs::create_directory_symlink(directory.path, directory.path / "link");
  CHECK_FALSE(take_inventory(directory.path / "link", "/proc/locks"));
}
