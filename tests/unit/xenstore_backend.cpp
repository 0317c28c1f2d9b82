// The backend's directory and the domains behind it, as they stand in xenstore.
#include <cerrno>

#include "catch.h"
#include "fakes.h"
#include "xenstore/backend.h"

using namespace block_drbd;
using namespace block_drbd::xenstore;
using test::FakeStore;
using namespace std::string_literals;

namespace {

Domain domain(DomId id, std::string vm) {
  return {.id = id, .exists = true, .name = {}, .vm = std::move(vm), .target = {}};
}

/// Fails every access to one path in a way that is not "may not be read".
class BrokenStore : public FakeStore {
 public:
  explicit BrokenStore(std::string path) : path_(std::move(path)) {}

  Result<std::optional<std::string>> read(const std::string& path) override {
    if (path == path_)
      return failure("xenstore: cannot read " + path, EIO);
    return FakeStore::read(path);
  }
  Result<std::vector<std::string>> list(const std::string& path) override {
    if (path == path_)
      return failure("xenstore: cannot list " + path, EIO);
    return FakeStore::list(path);
  }

 private:
  std::string path_;
};

void guest(FakeStore& store, DomId id, const std::string& name, const std::string& vm) {
  const std::string home = "/local/domain/" + std::to_string(id);
  store.domains.insert(id);
  store.values[home + "/name"] = name;
  store.values[home + "/vm"] = "/vm/" + vm;
}

}  // namespace

TEST_CASE("the path of a backend, relative as libxl gives it or absolute", "[xenstore]") {
  for (const char* text : {"backend/vbd/5/51712", "/local/domain/0/backend/vbd/5/51712",
                           "/local/domain/3/backend/vbd/5/51712"}) {
    const auto path = BackendPath::parse(text);
    REQUIRE(path);
    CHECK(path->text() == "backend/vbd/5/51712");
    CHECK(path->frontend() == 5);
    CHECK(path->device() == 51712);
    CHECK(*path == BackendPath("vbd", 5, 51712));
    CHECK(*path / "state" == "backend/vbd/5/51712/state");
  }
  CHECK(BackendPath::parse("backend/qdisk/0/1")->text() == "backend/qdisk/0/1");
  CHECK(BackendPath::parse("backend/vbd3/4294967295/0")->frontend() == 4294967295);
}

TEST_CASE("what is no path of a backend is refused", "[xenstore]") {
  for (const char* text : {"",
                           "/",
                           "backend",
                           "backend/vbd",
                           "backend/vbd/5",
                           "backend/vbd/5/",
                           "backend/vbd//51712",
                           "backend/vbd/5/51712/",
                           "backend/vbd/5/51712/state",
                           "/backend/vbd/5/51712",
                           "backend//5/51712",
                           "backend/../5/51712",
                           "backend/v-d/5/51712",
                           "backend/VBD/5/51712",
                           "backend/vbd/-5/51712",
                           "backend/vbd/5x/51712",
                           "backend/vbd/5/xvda",
                           "backend/vbd/ 5/51712",
                           "backend/vbd/4294967296/51712",
                           "frontend/vbd/5/51712",
                           "device/vbd/51712",
                           "local/domain/0/backend/vbd/5/51712",
                           "/local/domain/x/backend/vbd/5/51712",
                           "/local/domain//backend/vbd/5/51712",
                           "/local/domain/0/device/vbd/5/51712",
                           "/local/domain/0/local/domain/0/backend/vbd/5/51712",
                           "backend/vbd/5/51712\n"}) {
    INFO(text);
    const auto path = BackendPath::parse(text);
    REQUIRE_FALSE(path);
    CHECK(path.error().message.find("XENBUS_PATH") != std::string::npos);
  }
  CHECK(BackendPath::parse("backend/\x1b[2J").error().message.find('\x1b') == std::string::npos);
}

TEST_CASE("a backend's directory is read", "[xenstore]") {
  FakeStore store;
  const BackendPath path("vbd", 5, 51712);
  store.values = {{path / "params", "drbd:Wheezy"},
                  {path / "mode", "w!"},
                  {path / "dev", "xvda"},
                  {path / "state", "2"},
                  {path / "physical-device", "93:1"},
                  {path / "frontend", "/local/domain/5/device/vbd/51712"}};
  const auto backend = read_backend(store, path);
  REQUIRE(backend);
  REQUIRE(*backend);
  CHECK((*backend)->path == path);
  CHECK((*backend)->params == "drbd:Wheezy");
  CHECK((*backend)->mode == "w!");
  CHECK((*backend)->dev == "xvda");
  CHECK((*backend)->state == xenstore::State::InitWait);
  CHECK((*backend)->physical_device == "93:1");
}

TEST_CASE("a backend whose values are missing is there nevertheless", "[xenstore]") {
  FakeStore store;
  const BackendPath path("vbd", 5, 51712);
  store.values = {{path / "state", ""}};
  const auto backend = read_backend(store, path);
  REQUIRE(backend);
  REQUIRE(*backend);
  CHECK((*backend)->params.empty());
  CHECK((*backend)->physical_device.empty());
  CHECK((*backend)->state == xenstore::State::Unknown);
}

TEST_CASE("the states of a backend that are told apart", "[xenstore]") {
  FakeStore store;
  const BackendPath path("vbd", 5, 51712);
  const std::pair<const char*, xenstore::State> states[] = {
      {"1", xenstore::State::Initialising}, {"2", xenstore::State::InitWait},
      {"4", xenstore::State::Other},        {"6", xenstore::State::Other},
      {"x", xenstore::State::Other},        {"", xenstore::State::Unknown}};
  for (const auto& [text, state] : states) {
    store.values[path / "state"] = text;
    CHECK((*read_backend(store, path))->state == state);
  }
}

TEST_CASE("a backend without a state is gone", "[xenstore]") {
  FakeStore store;
  const BackendPath path("vbd", 5, 51712);
  CHECK_FALSE(read_backend(store, path)->has_value());
  store.values = {{path / "params", "Wheezy"}};  // half wiped
  CHECK_FALSE(read_backend(store, path)->has_value());
}

TEST_CASE("a backend that cannot be read is not one that is gone", "[xenstore]") {
  const BackendPath path("vbd", 5, 51712);
  for (const char* key : {"state", "params", "mode", "dev", "physical-device"}) {
    FakeStore store;
    store.values = {{path / "state", "2"}};
    store.forbidden = {path / key};
    const auto backend = read_backend(store, path);
    REQUIRE_FALSE(backend);
    CHECK(backend.error().code == EACCES);
  }
}

TEST_CASE("the backends that are attached to a resource's devices are found", "[xenstore]") {
  FakeStore store;
  const auto attach = [&](DomId id, unsigned device, const char* physical) {
    const BackendPath path("vbd", id, device);
    store.values[path / "state"] = "4";
    store.values[path / "physical-device"] = physical;
  };
  attach(5, 51712, "93:1");
  attach(5, 51728, "93:2");
  attach(6, 51712, "93:10");  // begins alike
  attach(7, 51712, "93:1");
  store.values[BackendPath("vbd", 8, 51712) / "state"] = "2";  // not attached yet
  store.values["backend/vif/5/0/physical-device"] = "93:1";
  store.values["backend/vbd/x/51712/physical-device"] = "93:1";  // nothing of the toolstack's
  store.values["backend/vbd/5/x/physical-device"] = "93:1";

  const auto paths = [&](const std::set<std::string>& devices) {
    std::vector<std::string> found;
    const auto backends = backends_attached_to(store, devices);
    REQUIRE(backends);
    for (const Backend& backend : *backends)
      found.push_back(backend.path.text());
    return found;
  };
  CHECK(paths({"93:1"}) == std::vector{"backend/vbd/5/51712"s, "backend/vbd/7/51712"s});
  CHECK(paths({"93:1", "93:2"}) ==
        std::vector{"backend/vbd/5/51712"s, "backend/vbd/5/51728"s, "backend/vbd/7/51712"s});
  CHECK(paths({"93:3"}).empty());
  CHECK(paths({}).empty());
}

TEST_CASE("no backend at all is no failure", "[xenstore]") {
  FakeStore store;
  const auto backends = backends_attached_to(store, {"93:1"});
  REQUIRE(backends);
  CHECK(backends->empty());
}

TEST_CASE("users that cannot be looked for are not absent users", "[xenstore]") {
  for (const char* path : {"backend/vbd", "backend/vbd/5", "backend/vbd/5/51712/physical-device",
                           "backend/vbd/5/51712/mode"}) {
    INFO(path);
    BrokenStore store(path);
    store.values = {{"backend/vbd/5/51712/state", "4"},
                    {"backend/vbd/5/51712/physical-device", "93:1"}};
    CHECK_FALSE(backends_attached_to(store, {"93:1"}));
  }
}

TEST_CASE("a domain is described by name and vm", "[xenstore]") {
  FakeStore store;
  guest(store, 5, "web", "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
  const auto domain = read_domain(store, 5);
  REQUIRE(domain);
  CHECK(domain->id == 5);
  CHECK(domain->exists);
  CHECK(domain->name == "web");
  CHECK(domain->vm == "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
  CHECK_FALSE(domain->target);
}

TEST_CASE("a stub domain is described by its guest", "[xenstore]") {
  FakeStore store;
  guest(store, 5, "web", "uuid-web");
  guest(store, 6, "web-dm", "uuid-stub");
  store.values["/local/domain/6/target"] = "5";
  const auto domain = read_domain(store, 6);
  REQUIRE(domain);
  CHECK(domain->id == 6);
  CHECK(domain->target == 5);
  CHECK(domain->name == "web");
  CHECK(domain->vm == "uuid-web");
  // A target that is no number names nobody.
  store.values["/local/domain/6/target"] = "x";
  CHECK(read_domain(store, 6)->name == "web-dm");
  CHECK_FALSE(read_domain(store, 6)->target);
}

TEST_CASE("a domain whose home is missing is described by nothing", "[xenstore]") {
  FakeStore store;
  const auto gone = read_domain(store, 5);
  REQUIRE(gone);
  CHECK_FALSE(gone->exists);
  CHECK(gone->name.empty());
  CHECK(gone->vm.empty());
  // dom0 has no vm: pygrub's attachment.
  CHECK(read_domain(store, 0)->exists);
  CHECK(read_domain(store, 0)->vm.empty());
}

TEST_CASE("in a driver domain a guest's home may not be read", "[xenstore]") {
  FakeStore store;
  guest(store, 5, "web", "uuid-web");
  store.forbidden = {"/local/domain/5/target", "/local/domain/5/name", "/local/domain/5/vm"};
  const auto domain = read_domain(store, 5);
  REQUIRE(domain);
  CHECK(domain->exists);
  CHECK(domain->name.empty());
  CHECK(domain->vm.empty());
  CHECK_FALSE(domain->target);
}

TEST_CASE("any other failure to read a domain is a failure", "[xenstore]") {
  for (const char* key : {"target", "name", "vm"}) {
    BrokenStore store("/local/domain/5/"s + key);
    guest(store, 5, "web", "uuid-web");
    CHECK_FALSE(read_domain(store, 5));
  }
}

TEST_CASE("the vm is the one that /vm names", "[xenstore]") {
  FakeStore store;
  guest(store, 5, "web", "");
  store.values["/local/domain/5/vm"] = "uuid-web";  // without its directory
  CHECK(read_domain(store, 5)->vm == "uuid-web");
  store.values["/local/domain/5/vm"] = "/vm/";
  CHECK(read_domain(store, 5)->vm.empty());
}

TEST_CASE("the same virtual machine", "[xenstore]") {
  CHECK(same_vm(domain(5, "uuid"), domain(6, "uuid")));
  CHECK(same_vm(domain(5, "uuid"), domain(6, "uuid-1")));  // xend's second instance
  CHECK(same_vm(domain(5, "uuid-1"), domain(6, "uuid")));
  CHECK(same_vm(domain(5, "uuid-1"), domain(6, "uuid-1")));
  CHECK_FALSE(same_vm(domain(5, "uuid"), domain(6, "uuid-2")));
  CHECK_FALSE(same_vm(domain(5, "uuid"), domain(6, "other")));
  CHECK_FALSE(same_vm(domain(5, "uuid"), domain(6, "UUID")));
  // Two domains of which nothing is known are not known to be the same.
  CHECK_FALSE(same_vm(domain(5, ""), domain(5, "")));
  CHECK_FALSE(same_vm(domain(5, "uuid"), domain(6, "")));
  CHECK_FALSE(same_vm(domain(5, ""), domain(6, "-1")));
}

TEST_CASE("what xl keeps of a guest that it starts anew is known by its name", "[xenstore]") {
  CHECK(is_kept_of("web", "web-20261124T1718Z"));
  CHECK_FALSE(is_kept_of("web", "web"));
  CHECK_FALSE(is_kept_of("web", "web-2"));
  CHECK_FALSE(is_kept_of("web", "web2-20261124T1718Z"));
  CHECK_FALSE(is_kept_of("web", "web-20261124T171xZ"));
  CHECK_FALSE(is_kept_of("web", "web-20261124T1718Z-20261124T1719Z"));
  CHECK_FALSE(is_kept_of("", "-20261124T1718Z"));
}
