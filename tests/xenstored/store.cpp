// The store, against a real xenstored.
#include "xenstore/store.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "catch.h"
#include "hotplug/publish.h"
#include "real_xenstored.h"
#include "xenstore/backend.h"
#include "xenstore/pipelined.h"

using namespace block_drbd;
using namespace block_drbd::xenstore;
using test::RealXenstored;
using Way = RealXenstored::Way;
using test::XenstoredPath;
using Names = std::vector<std::string>;
using namespace std::string_literals;

namespace {

const BackendPath disk("vbd", 5, 51712);
const Backend of_wheezy{.path = disk,
                        .params = "Wheezy",
                        .mode = "w",
                        .dev = {},
                        .state = State::InitWait,
                        .physical_device = {}};

/// As libxl leaves a guest and its disk when it runs `add`.
void guest(RealXenstored& xenstored, unsigned domid = 5) {
  const BackendPath path("vbd", domid, 51712);
  const std::string home = "/local/domain/" + std::to_string(domid);
  xenstored.introduce(domid);
  xenstored.write(home + "/name", "web");
  xenstored.write(home + "/vm", "/vm/uuid-web");
  xenstored.write(path / "params", "Wheezy");
  xenstored.write(path / "mode", "w");
  xenstored.write(path / "state", "2");
}

class SaidReport : public Report {
 public:
  void tell(Severity /*severity*/, const std::string& text) override { said.push_back(text); }
  Names said;
};

/// Runs `change` once, the first time that this is read through the store.
class ChangedMeanwhile : public Store {
 public:
  ChangedMeanwhile(Store& store, std::string path, std::function<void()> change)
      : store_(store), path_(std::move(path)), change_(std::move(change)) {}

  Result<std::optional<std::string>> read(const std::string& path) override {
    return read_each({path}).front();
  }
  std::vector<Result<std::optional<std::string>>> read_each(const Names& paths) override {
    auto values = store_.read_each(paths);
    if (std::ranges::count(paths, path_) > 0)
      if (const auto change = std::exchange(change_, nullptr))
        change();
    return values;
  }
  Result<Names> list(const std::string& path) override { return store_.list(path); }
  Result<void> write(const std::string& path, const std::string& value) override {
    return store_.write(path, value);
  }
  Result<void> write_each(const Values& values) override { return store_.write_each(values); }
  bool domain_exists(DomId domain) override { return store_.domain_exists(domain); }
  Result<void> transaction(const std::function<Result<void>()>& body) override {
    return store_.transaction(body);
  }

 private:
  Store& store_;
  std::string path_;
  std::function<void()> change_;
};

}  // namespace

TEST_CASE("a value, an empty one and none are three answers", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  xenstored.write("/test/value", "93:1");
  xenstored.write("/test/empty", "");
  xenstored.write("/test/bytes", "a\0b\xff"s);
  CHECK(*store->read("/test/value") == "93:1");
  CHECK(*store->read("/test/empty") == "");
  CHECK(*store->read("/test/bytes") == "a\0b\xff"s);
  CHECK(*store->read("/test") == "");
  CHECK(*store->read("/test/missing") == std::nullopt);
  CHECK(*store->read("/test/value/below") == std::nullopt);
}

TEST_CASE("a path that xenstored does not take is an error", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  const auto value = store->read("/with blank");
  REQUIRE_FALSE(value);
  CHECK(value.error().code == EINVAL);
  CHECK(value.error().message.find("/with blank") != std::string::npos);
}

TEST_CASE("xenstored is found at its socket; that it is not there is said", "[xenstored]") {
  RealXenstored xenstored;
  xenstored.write("/test/value", "1");
  {
    const XenstoredPath path(xenstored.socket());
    const auto store = connect();
    REQUIRE(store);
    CHECK(*(*store)->read("/test/value") == "1");
  }
  const XenstoredPath nowhere("/nowhere/socket");
  CHECK(connect_pipelined() == nullptr);
  const auto store = connect();
  REQUIRE_FALSE(store);
  CHECK(store.error().message.find("cannot reach xenstored") != std::string::npos);
}

TEST_CASE("a question longer than a message is an error, and the next one is answered",
          "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  xenstored.write("/test/value", "1");
  const auto values = store->read_each({"/" + std::string(5000, 'x'), "/test/value"});
  REQUIRE_FALSE(values.front());
  CHECK(values.front().error().code == E2BIG);
  CHECK(*values.back() == "1");
  CHECK(*store->read("/test/value") == "1");
}

TEST_CASE("a relative path is below the own domain", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  xenstored.write("/local/domain/0/backend/vbd/5/51712/state", "2");
  CHECK(*xenstored.connect(way)->read("backend/vbd/5/51712/state") == "2");
}

TEST_CASE("the names below a path", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  for (const char* name : {"5", "7", "51"})
    xenstored.write("/test/"s + name + "/below", "");
  CHECK(store->list("/test")->size() == 3);
  auto names = *store->list("/test");
  std::sort(names.begin(), names.end());
  CHECK(names == Names{"5", "51", "7"});
  CHECK(store->list("/test/5/below")->empty());
  const auto missing = store->list("/missing");
  REQUIRE(missing);
  CHECK(missing->empty());
  CHECK_FALSE(store->list("/with blank"));
}

TEST_CASE("many questions at once have the answers that they have one by one", "[xenstored]") {
  RealXenstored xenstored;
  const auto store = xenstored.connect(Way::Pipelined);
  const auto one_by_one = xenstored.connect(Way::OneByOne);
  const XenstoredPath path(xenstored.socket());
  const std::string longest(3000, 'x');
  xenstored.write("/test/empty", "");
  xenstored.write("/test/bytes", "a\0b\xff"s);
  std::vector<std::string> paths{"/test/missing", "/test/empty", "/with blank", "/test/bytes",
                                 "/test"};
  for (int number = 0; number < 200; ++number) {
    paths.push_back("/test/many/" + std::to_string(number) + "/value");
    xenstored.write(paths.back(), std::to_string(number) + longest);
    paths.push_back("/test/many/" + std::to_string(number) + "/missing");
  }
  for (int number = 0; number < 1000; ++number)
    xenstored.write("/test/large/a-rather-long-name-" + std::to_string(number), "");
  paths.insert(paths.end(), {"/test/large", "/test/many", "/test/many/7"});

  const auto values = store->read_each(paths);
  const auto lists = store->list_each(paths);
  REQUIRE(values.size() == paths.size());
  REQUIRE(lists.size() == paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    INFO(paths[i]);
    const auto value = one_by_one->read(paths[i]);
    const auto list = one_by_one->list(paths[i]);
    CHECK(values[i].has_value() == value.has_value());
    CHECK(lists[i].has_value() == list.has_value());
    if (value && values[i])
      CHECK(*values[i] == *value);
    if (list && lists[i])
      CHECK(*lists[i] == *list);
    if (!value && !values[i])
      CHECK(values[i].error().message == value.error().message);
  }
  CHECK(store->read_each({}).empty());
}

TEST_CASE("many questions in a transaction see what it has written", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  xenstored.write("/test/value", "before");
  CHECK(store->transaction([&] {
    auto written = store->write("/test/value", "within");
    CHECK(*store->read_each({"/test/value"}).front() == "within");
    return written;
  }));
  CHECK(*store->read_each({"/test/value"}).front() == "within");
}

TEST_CASE("a xenstored that dies leaves no question without an error", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  xenstored.write("/test/value", "");
  xenstored.stop();
  for (int attempt = 0; attempt < 2; ++attempt) {
    for (const auto& value : store->read_each({"/test/value", "/test/missing"}))
      CHECK_FALSE(value);
    CHECK_FALSE(store->list_each({"/test"}).front());
  }
}

TEST_CASE("more names than one answer holds", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  for (int number = 0; number < 1000; ++number)
    xenstored.write("/test/a-rather-long-name-" + std::to_string(number), "");
  const auto store = xenstored.connect(way);
  const XenstoredPath path(xenstored.socket());
  const auto names = store->list("/test");
  REQUIRE(names);
  CHECK(names->size() == 1000);
}

TEST_CASE("a transaction is seen by others as a whole, or not at all", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  REQUIRE(store->transaction([&]() -> Result<void> {
    CHECK(store->write("/test/one", "1"));
    CHECK(*store->read("/test/one") == "1");
    CHECK(xenstored.read("/test/one") == std::nullopt);
    return store->write("/test/two", "2");
  }));
  CHECK(xenstored.read("/test/one") == "1");
  CHECK(xenstored.read("/test/two") == "2");
  // And no transaction is left open.
  xenstored.write("/test/one", "changed");
  CHECK(*store->read("/test/one") == "changed");
}

TEST_CASE("a transaction that fails leaves nothing and hands on the reason", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  const auto done = store->transaction([&]() -> Result<void> {
    CHECK(store->write("/test/one", "1"));
    return failure("thought better of it", EBUSY);
  });
  REQUIRE_FALSE(done);
  CHECK(done.error().message == "thought better of it");
  CHECK(done.error().code == EBUSY);
  CHECK(xenstored.read("/test/one") == std::nullopt);
  xenstored.write("/test/one", "2");
  CHECK(*store->read("/test/one") == "2");
}

TEST_CASE("of values that are written at once all are seen, or none", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  const auto done = store->transaction([&] {
    return store->write_each({{"/test/one", "1"}, {"/with blank", "2"}, {"/test/three", "3"}});
  });
  REQUIRE_FALSE(done);
  CHECK(done.error().code == EINVAL);
  CHECK(done.error().message.find("/with blank") != std::string::npos);
  CHECK(xenstored.read("/test/one") == std::nullopt);
  CHECK(xenstored.read("/test/three") == std::nullopt);
  CHECK(store->transaction([&] {
    return store->write_each({{"/test/one", ""}, {"/test/two", "a\0b\xff"s}});
  }));
  CHECK(xenstored.read("/test/one") == "");
  CHECK(xenstored.read("/test/two") == "a\0b\xff"s);
}

TEST_CASE("a transaction whose ground was changed is done again", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  xenstored.write("/test/ground", "old");
  int runs = 0;
  REQUIRE(store->transaction([&]() -> Result<void> {
    const auto ground = store->read("/test/ground");
    if (++runs == 1)
      xenstored.write("/test/ground", "new");
    return store->write("/test/copy", **ground);
  }));
  CHECK(runs == 2);
  CHECK(xenstored.read("/test/copy") == "new");
}

TEST_CASE("what others change elsewhere is no conflict", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  xenstored.write("/test/ground", "old");
  xenstored.write("/elsewhere/value", "old");
  int runs = 0;
  REQUIRE(store->transaction([&]() -> Result<void> {
    ++runs;
    CHECK(store->read("/test/ground"));
    xenstored.write("/elsewhere/value", "new");
    return store->write("/test/copy", "");
  }));
  CHECK(runs == 1);
}

TEST_CASE("conflicts without end do not keep us for ever", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  xenstored.write("/test/ground", "0");
  int runs = 0;
  const auto done = store->transaction([&]() -> Result<void> {
    CHECK(store->read("/test/ground"));
    xenstored.write("/test/ground", std::to_string(++runs));
    if (runs > 1000)
      return failure("no end of it");
    return store->write("/test/copy", "");
  });
  REQUIRE_FALSE(done);
  CHECK(done.error().code == EAGAIN);
  CHECK(runs > 3);
  CHECK(runs < 100);
  CHECK(xenstored.read("/test/copy") == std::nullopt);
  // The store can still be used: the reason of the failure is to be written.
  CHECK(store->transaction([&] { return store->write("/test/copy", "1"); }));
  CHECK(xenstored.read("/test/copy") == "1");
}

TEST_CASE("domains that the toolstack introduced exist until it releases them", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  CHECK(store->domain_exists(0));
  CHECK_FALSE(store->domain_exists(5));
  xenstored.write("/local/domain/5/name", "a home is no domain");
  CHECK_FALSE(store->domain_exists(5));
  xenstored.introduce(5);
  CHECK(store->domain_exists(5));
  xenstored.release(5);
  CHECK_FALSE(store->domain_exists(5));
  CHECK_FALSE(store->domain_exists(32767));
}

TEST_CASE("a guest and its disk are read as libxl left them", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  guest(xenstored);
  const auto backend = read_backend(*store, disk);
  REQUIRE(backend);
  REQUIRE(*backend);
  CHECK((*backend)->params == "Wheezy");
  CHECK((*backend)->state == State::InitWait);
  const auto domain = read_domain(*store, 5);
  REQUIRE(domain);
  CHECK(domain->exists);
  CHECK(domain->name == "web");
  CHECK(domain->vm == "uuid-web");
}

TEST_CASE("in a driver domain others' homes are closed, and its own directory is open",
          "[xenstored]") {
  RealXenstored xenstored;
  // As libxl makes homes: owned by dom0, readable by the domain itself.
  for (const unsigned domid : {3u, 5u}) {
    const std::string home = "/local/domain/" + std::to_string(domid);
    xenstored.introduce(domid);
    xenstored.write(home, "");
    xenstored.readable_by(domid, home);
    xenstored.write(home + "/name", domid == 3 ? "driver" : "web");
    xenstored.write(home + "/vm", "/vm/uuid");
  }
  const std::string backend = "/local/domain/3/backend/vbd/5/51712";
  xenstored.write(backend, "");
  xenstored.give_to(3, "/local/domain/3/backend");
  xenstored.give_to(3, backend);
  xenstored.write(backend + "/params", "Wheezy");
  xenstored.write(backend + "/mode", "w");
  xenstored.write(backend + "/state", "2");
  const auto store = xenstored.connect_from(3);

  CHECK(*store->read("/local/domain/3/name") == "driver");
  for (const char* key : {"name", "vm", "target", "missing"}) {
    INFO(key);
    const auto value = store->read("/local/domain/5/"s + key);
    REQUIRE_FALSE(value);
    CHECK(value.error().code == EACCES);
  }
  CHECK(store->list("/local/domain/5").error().code == EACCES);
  const auto domain = read_domain(*store, 5);
  REQUIRE(domain);
  CHECK(domain->name.empty());
  CHECK(domain->vm.empty());
  // It may not ask whether a domain exists either. Who cannot be told to be gone is there: a guest
  // that is alive must not be taken for one that has left its disk behind.
  CHECK(store->domain_exists(5));
  CHECK(domain->exists);

  REQUIRE(hotplug::publish_device(*store, of_wheezy, "93:1", "/dev/drbd1"));
  CHECK(xenstored.read(backend + "/physical-device") == "93:1");
  CHECK(
      store->transaction([&] { return store->write("/local/domain/5/name", "x"); }).error().code ==
      EACCES);
}

TEST_CASE("a device is published", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  guest(xenstored);
  REQUIRE(hotplug::publish_device(*store, of_wheezy, "93:1", "/dev/drbd1"));
  const std::string directory = "/local/domain/0/backend/vbd/5/51712/";
  CHECK(xenstored.read(directory + "physical-device") == "93:1");
  CHECK(xenstored.read(directory + "physical-device-path") == "/dev/drbd1");
  CHECK(xenstored.read(directory + "hotplug-status") == "connected");
  // blkback takes it once.
  CHECK_FALSE(hotplug::publish_device(*store, of_wheezy, "93:2", "/dev/drbd2"));
  CHECK(xenstored.read(directory + "physical-device") == "93:1");
  CHECK(backends_attached_to(*store, {"93:1"})->size() == 1);
}

TEST_CASE("a device is not published into a directory that was given up", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  const std::string directory = "/local/domain/0/backend/vbd/5/51712";
  SECTION("wiped before") {
    guest(xenstored);
    xenstored.wipe(directory);
    CHECK_FALSE(hotplug::publish_device(*store, of_wheezy, "93:1", "/dev/drbd1"));
  }
  SECTION("wiped while it is published") {
    for (const char* key : {"state", "params", "mode", "physical-device"}) {
      guest(xenstored);
      ChangedMeanwhile changed(*store, disk / key, [&] { xenstored.wipe(directory); });
      CHECK_FALSE(hotplug::publish_device(changed, of_wheezy, "93:1", "/dev/drbd1"));
    }
  }
  SECTION("closing while it is published") {
    guest(xenstored);
    ChangedMeanwhile changed(*store, disk / "physical-device",
                             [&] { xenstored.write(directory + "/state", "6"); });
    CHECK_FALSE(hotplug::publish_device(changed, of_wheezy, "93:1", "/dev/drbd1"));
    CHECK(xenstored.read(directory + "/physical-device") == std::nullopt);
    xenstored.wipe(directory);
  }
  SECTION("another disk's by now") {
    for (const char* key : {"params", "mode"}) {
      guest(xenstored);
      ChangedMeanwhile changed(*store, disk / "physical-device",
                               [&] { xenstored.write(directory + '/' + key, "r"); });
      CHECK_FALSE(hotplug::publish_device(changed, of_wheezy, "93:1", "/dev/drbd1"));
      CHECK(xenstored.read(directory + "/physical-device") == std::nullopt);
    }
    xenstored.wipe(directory);
  }
  CHECK(xenstored.read(directory) == std::nullopt);
}

TEST_CASE("another script that is quicker is noticed", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  guest(xenstored);
  const std::string device = "/local/domain/0/backend/vbd/5/51712/physical-device";
  ChangedMeanwhile changed(*store, disk / "physical-device",
                           [&] { xenstored.write(device, "fd:0"); });
  const auto published = hotplug::publish_device(changed, of_wheezy, "93:1", "/dev/drbd1");
  REQUIRE_FALSE(published);
  CHECK(published.error().message.find("fd:0") != std::string::npos);
  CHECK(xenstored.read(device) == "fd:0");
}

TEST_CASE("the reason of a failure is left for the toolstack", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  SaidReport report;
  guest(xenstored);
  const std::string directory = "/local/domain/0/backend/vbd/5/51712/";
  hotplug::publish_failure(*store, report, of_wheezy, "it did not work");
  CHECK(xenstored.read(directory + "hotplug-error") == "it did not work");
  CHECK(xenstored.read(directory + "hotplug-status") == "error");
  // Longer than xenstored takes.
  hotplug::publish_failure(*store, report, of_wheezy, std::string(100'000, 'x'));
  CHECK(xenstored.read(directory + "hotplug-error")->size() > 1000);
  CHECK(report.said.empty());
}

TEST_CASE("a reason does not bring a directory back that was wiped", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  SaidReport report;
  const std::string directory = "/local/domain/0/backend/vbd/5/51712";
  guest(xenstored);
  SECTION("before") {
    xenstored.wipe(directory);
    hotplug::publish_failure(*store, report, of_wheezy, "it did not work");
  }
  SECTION("nor does it come into another disk's") {
    xenstored.write(directory + "/params", "Jessie");
    hotplug::publish_failure(*store, report, of_wheezy, "it did not work");
    CHECK(xenstored.read(directory + "/hotplug-error") == std::nullopt);
    xenstored.wipe(directory);
  }
  SECTION("while it is written") {
    ChangedMeanwhile changed(*store, disk / "state", [&] { xenstored.wipe(directory); });
    hotplug::publish_failure(changed, report, of_wheezy, "it did not work");
  }
  CHECK(xenstored.read(directory) == std::nullopt);
  CHECK(report.said.empty());
}

TEST_CASE("a xenstored that has died is an error, not an empty store", "[xenstored]") {
  const auto way = GENERATE(Way::Pipelined, Way::OneByOne);
  RealXenstored xenstored;
  const auto store = xenstored.connect(way);
  guest(xenstored);
  xenstored.stop();
  const auto value = store->read(disk / "state");
  REQUIRE_FALSE(value);
  CHECK(value.error().code != 0);
  CHECK_FALSE(store->list("backend/vbd"));
  CHECK_FALSE(store->transaction([&] { return store->write("/test", ""); }));
  CHECK_FALSE(read_backend(*store, disk));
  CHECK_FALSE(backends_attached_to(*store, {"93:1"}));
  CHECK(store->domain_exists(5));
}

TEST_CASE("a xenstored that is not there is said, with what to look at", "[xenstored]") {
  const test::TempDir directory;
  const XenstoredPath path(directory / "socket");
  const auto store = connect();
  REQUIRE_FALSE(store);
  CHECK(store.error().message.find("cannot reach xenstored") != std::string::npos);
}

TEST_CASE("a domain that comes and goes leaves nothing behind in xenstored", "[xenstored]") {
  RealXenstored xenstored;
  const auto descriptors = [&] {
    namespace fs = std::filesystem;
    const fs::directory_iterator all("/proc/" + std::to_string(xenstored.pid()) + "/fd");
    return std::distance(fs::begin(all), fs::end(all));
  };
  const auto comes_and_goes = [&] {
    xenstored.introduce(5);
    xenstored.release(5);
  };
  comes_and_goes();
  const auto before = descriptors();
  for (int time = 0; time < 20; ++time)
    comes_and_goes();
  CHECK(descriptors() <= before + 1);  // one that is about to be closed
}
