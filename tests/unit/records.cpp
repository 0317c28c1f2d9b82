// What is remembered, in a real directory, and the locks with real processes.
#include "record/records.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <utility>

#include "catch.h"
#include "child.h"
#include "record/inventory.h"
#include "temp_dir.h"

using namespace block_drbd;
using namespace block_drbd::record;
using namespace block_drbd::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// What happens between the opening of a lock's file and its locking: the moment at which another
/// holder may take the file away.
std::function<void()> before_flock;

}  // namespace

// In place of the C library's.
extern "C" int flock(int descriptor, int operation) noexcept {
  if (const auto happens = std::exchange(before_flock, nullptr))
    happens();
  return static_cast<int>(::syscall(SYS_flock, descriptor, operation));
}

namespace {

const xenstore::BackendPath web_xvda("vbd", 5, 51712);
const xenstore::BackendPath web_xvdb("vbd", 5, 51728);
const xenstore::BackendPath db_xvda("vbd", 6, 51712);

Claim claim(const xenstore::BackendPath& backend, const std::string& resource,
            Phase phase = Phase::Attached) {
  return {.backend = backend,
          .resource = resource,
          .volume = 0,
          .minor = 1,
          .phase = phase,
          .leave_role = false,
          .unanswered = false,
          .incoming = false,
          .domain = "web",
          .vm = "uuid"};
}

/// /run with our directory and Xen's in it.
struct RunDirectory {
  TempDir run;
  std::string ours = run / "block-drbd";
  std::string xen = run / "xen-hotplug";
  std::string block = run / "xen-hotplug/block";

  Result<std::unique_ptr<Records>> try_open() const { return open_records(ours, xen); }
  std::unique_ptr<Records> open() const {
    auto records = try_open();
    REQUIRE(records);
    return std::move(*records);
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(ours))
      names.push_back(entry.path().filename());
    return names;
  }
};

std::vector<std::string> named(const Result<std::vector<Claim>>& claims) {
  REQUIRE(claims);
  std::vector<std::string> names;
  for (const Claim& each : *claims)
    names.push_back(each.backend.text() + '@' + each.resource);
  std::sort(names.begin(), names.end());
  return names;
}

Window window(const std::string& resource) {
  return {.resource = resource, .peer = 1, .backend = web_xvda, .arrived = false};
}

TimePoint at(std::chrono::milliseconds time) {
  return TimePoint(time);
}

bool got(const Result<std::unique_ptr<Lock>>& lock) {
  REQUIRE(lock);
  return *lock != nullptr;
}

ino_t inode(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

/// Whether a script waits for a lock on the file: flock(1) waits in its place. (/proc/locks would
/// say it, too, but not in a container when the lock's holder got it through a flock(1) that has
/// ended.)
bool is_awaited(ino_t file) {
  std::error_code error;
  for (fs::directory_iterator process("/proc", error), end; !error && process != end;
       process.increment(error)) {
    std::string name;
    std::getline(std::ifstream(process->path() / "comm") >> std::ws, name);
    if (name != "flock")
      continue;
    std::error_code gone;
    for (fs::directory_iterator each(process->path() / "fd", gone); !gone && each != end;
         each.increment(gone))
      if (inode(each->path()) == file)
        return true;
  }
  return false;
}

/// A block script of Xen's: takes the lock with Xen's own locking.sh, says so, lets go when it is
/// told to, and says so.
class XenScript {
 public:
  explicit XenScript(const std::string& directory)
      : script_([&, directory] {
          ::dup2(orders_.read_end.get(), STDIN_FILENO);
          ::dup2(words_.write_end.get(), STDOUT_FILENO);
          const std::string script =
              ". " + std::string(locking) + " && LOCK_BASEDIR=" + directory +
              " && claim_lock block && echo held && read order && release_lock block && "
              "echo released && read order";
          ::execl("/bin/bash", "bash", "-c", script.c_str(), nullptr);
          return 98;
        }) {
    words_.write_end = Fd();
  }

  bool says(const std::string& word) const {
    return read_all(words_.read_end, word).find(word) != std::string::npos;
  }
  bool is_silent() const {
    pollfd descriptor{.fd = words_.read_end.get(), .events = POLLIN, .revents = 0};
    return ::poll(&descriptor, 1, 0) == 0;
  }
  bool release() const {
    return ::write(orders_.write_end.get(), "\n", 1) == 1 && says("released");
  }
  void end() { orders_.write_end = Fd(); }

  static constexpr const char* locking = "/etc/xen/scripts/locking.sh";

 private:
  Pipe orders_;
  Pipe words_;
  Child script_;
};

}  // namespace

TEST_CASE("the directory is made, and for us alone", "[record]") {
  const RunDirectory run;
  run.open();
  struct stat status {};
  REQUIRE(::stat(run.ours.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
  run.open();  // and found again
}

TEST_CASE("claims are found by resource and by backend", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  REQUIRE(records->write(claim(web_xvda, "Wheezy")));
  REQUIRE(records->write(claim(web_xvdb, "Wheezy")));
  REQUIRE(records->write(claim(db_xvda, "Jessie")));
  REQUIRE(records->write(claim(web_xvda, "Jessie")));
  // Names that end, or begin, as others do.
  REQUIRE(records->write(claim(web_xvda, "xWheezy")));
  REQUIRE(records->write(claim(web_xvda, "Wheezy.claim")));
  REQUIRE(records->write(claim({"vbd", 5, 517120}, "other")));
  REQUIRE(records->write(claim({"vbd", 55, 51712}, "other")));

  CHECK(named(records->claims_on("Wheezy")) ==
        std::vector<std::string>{"backend/vbd/5/51712@Wheezy", "backend/vbd/5/51728@Wheezy"});
  CHECK(named(records->claims_on("Jessie")) ==
        std::vector<std::string>{"backend/vbd/5/51712@Jessie", "backend/vbd/6/51712@Jessie"});
  CHECK(named(records->claims_of(web_xvda)) ==
        std::vector<std::string>{"backend/vbd/5/51712@Jessie", "backend/vbd/5/51712@Wheezy",
                                 "backend/vbd/5/51712@Wheezy.claim",
                                 "backend/vbd/5/51712@xWheezy"});
  CHECK(records->claims_on("heezy")->empty());
  CHECK(records->claims_on("")->empty());
  CHECK(records->claims_of({"vbd", 7, 51712})->empty());
}

TEST_CASE("another process finds what was written", "[record]") {
  const RunDirectory run;
  Child writer([&] {
    const auto records = open_records(run.ours, run.xen);
    return records && (*records)->write(claim(web_xvda, "Wheezy", Phase::Promoting)) ? 0 : 1;
  });
  REQUIRE(writer.wait() == 0);
  const auto claims = run.open()->claims_of(web_xvda);
  REQUIRE(claims);
  REQUIRE(claims->size() == 1);
  CHECK(claims->front().phase == Phase::Promoting);
  CHECK(claims->front().domain == "web");
}

TEST_CASE("a claim is replaced as a whole", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  REQUIRE(records->write(claim(web_xvda, "Wheezy", Phase::Promoting)));
  REQUIRE(run.files().size() == 1);
  // A reader that is in the middle of the old one ...
  std::ifstream reader(run.ours + '/' + run.files().front());
  REQUIRE(records->write(claim(web_xvda, "Wheezy", Phase::Released)));
  const auto old = claim_from_json(std::string(std::istreambuf_iterator<char>(reader), {}));
  // ... reads it to its end, and nothing but the new one is left.
  REQUIRE(old);
  CHECK(old->phase == Phase::Promoting);
  CHECK(records->claims_on("Wheezy")->front().phase == Phase::Released);
  CHECK(run.files().size() == 1);
}

TEST_CASE("a claim for which there is no room leaves the old one", "[record]") {
  const RunDirectory run;
  REQUIRE(run.open()->write(claim(web_xvda, "Wheezy", Phase::Promoting)));
  Child writer([&] {
    const rlimit room{.rlim_cur = 200, .rlim_max = 200};
    ::setrlimit(RLIMIT_FSIZE, &room);
    ::signal(SIGXFSZ, SIG_IGN);
    const auto records = open_records(run.ours, run.xen);
    const auto written = (*records)->write(claim(web_xvda, "Wheezy", Phase::Attached));
    return !written && written.error().code == EFBIG ? 0 : 1;
  });
  CHECK(writer.wait() == 0);
  CHECK(run.files().size() == 1);
  CHECK(run.open()->claims_on("Wheezy")->front().phase == Phase::Promoting);
}

TEST_CASE("the draft of a writer that was killed is in nobody's way", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  REQUIRE(records->write(claim(web_xvda, "Wheezy")));
  const std::string name = run.files().front();
  run.run.write("block-drbd/" + name + ".new.1", "{\"vers");
  run.run.write("block-drbd/" + name + ".new." + std::to_string(::getpid()), "{\"vers");
  CHECK(records->claims_on("Wheezy")->size() == 1);
  CHECK(records->claims_of(web_xvda)->size() == 1);
  CHECK(records->write(claim(web_xvda, "Wheezy")));
}

TEST_CASE("a claim is removed, also twice", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  REQUIRE(records->write(claim(web_xvda, "Wheezy")));
  REQUIRE(records->write(claim(web_xvda, "Jessie")));
  CHECK(records->remove(claim(web_xvda, "Wheezy")));
  CHECK(records->remove(claim(web_xvda, "Wheezy")));
  CHECK(named(records->claims_of(web_xvda)) ==
        std::vector<std::string>{"backend/vbd/5/51712@Jessie"});
}

TEST_CASE("a claim that cannot be read is an error for its resource and backend only", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  REQUIRE(records->write(claim(web_xvda, "Wheezy")));
  const std::string broken = run.ours + '/' + run.files().front();
  REQUIRE(records->write(claim(db_xvda, "Jessie")));
  std::ofstream(broken) << "{\"version\": 1";
  for (const auto& claims : {records->claims_on("Wheezy"), records->claims_of(web_xvda)}) {
    REQUIRE_FALSE(claims);
    CHECK(claims.error().message.find(broken) != std::string::npos);
  }
  CHECK(records->claims_on("Jessie")->size() == 1);
  CHECK(records->claims_of(db_xvda)->size() == 1);
  std::ofstream(broken) << "{\"version\": 99}";
  CHECK_FALSE(records->claims_on("Wheezy"));
  CHECK(records->claims_on("Jessie")->size() == 1);
}

TEST_CASE("a window is remembered for its resource until it is forgotten", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  const auto is_open = [&](const std::string& resource) {
    const auto found = run.open()->window_of(resource);
    REQUIRE(found);
    return found->has_value();
  };
  CHECK_FALSE(is_open("Wheezy"));
  REQUIRE(records->write(window("Wheezy")));
  REQUIRE(records->write(window("Wheezy.window")));
  CHECK(is_open("Wheezy"));
  CHECK_FALSE(is_open("Jessie"));
  CHECK_FALSE(is_open("heezy"));
  auto arrived = window("Wheezy");
  arrived.arrived = true;
  REQUIRE(records->write(arrived));
  const auto found = records->window_of("Wheezy");
  REQUIRE(*found);
  CHECK((*found)->arrived);
  CHECK((*found)->resource == "Wheezy");
  CHECK((*found)->peer == 1);
  CHECK((*found)->backend == web_xvda);
  REQUIRE(records->remove_window("Wheezy"));
  CHECK_FALSE(is_open("Wheezy"));
  CHECK(is_open("Wheezy.window"));
  CHECK(records->remove_window("Wheezy"));  // forgotten already
}

TEST_CASE("what was held, and by whom, is remembered", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  CHECK_FALSE(*records->held("Wheezy"));
  REQUIRE(records->write(Held{.resource = "Wheezy", .vm = "one", .until = at(1000ms)}));
  REQUIRE(records->write(Held{.resource = "Wheezy", .vm = "two", .until = at(2000ms)}));
  const auto held = run.open()->held("Wheezy");
  REQUIRE(*held);
  CHECK((*held)->vm == "two");
  CHECK((*held)->until == at(2000ms));
  CHECK_FALSE(*records->held("Jessie"));
}

TEST_CASE("an outage is remembered for the peer's address", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  const std::vector<std::string> peers{"ipv4:10.0.0.2",
                                       "ipv4:10.0.0.22",
                                       "ipv6:[fe80::1%eth0]",
                                       "ipv6:[fe80::1]",
                                       "sdp:10.0.0.2",
                                       "../10.0.0.2",
                                       "a/b",
                                       "a%2fb",
                                       "a%2Fb",
                                       ".",
                                       "",
                                       "gr\xc3\xbc\xc3\x9f\x65"};
  auto until = at(1ms);
  for (const std::string& peer : peers) {
    INFO(peer);
    CHECK_FALSE(*records->outage(peer));
    REQUIRE(records->write(Outage{.peer = peer, .until = until}));
    until += 1ms;
  }
  until = at(1ms);
  for (const std::string& peer : peers) {
    INFO(peer);
    const auto outage = records->outage(peer);
    REQUIRE(*outage);
    CHECK((*outage)->peer == peer);
    CHECK((*outage)->until == until);
    until += 1ms;
  }
  CHECK(run.files().size() == peers.size());
  REQUIRE(records->write(Outage{.peer = peers[0], .until = at(99ms)}));
  CHECK((*records->outage(peers[0]))->until == at(99ms));
}

TEST_CASE("records of one kind are none of another", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  REQUIRE(records->write(window("Wheezy")));
  REQUIRE(records->write(Held{.resource = "Wheezy", .vm = "one", .until = at(1000ms)}));
  REQUIRE(records->write(Outage{.peer = "Wheezy", .until = at(1000ms)}));
  const auto keeper = records->try_lock_keeper("Wheezy");
  CHECK(records->claims_on("Wheezy")->empty());
  CHECK(records->claims_of(web_xvda)->empty());
  REQUIRE(records->write(claim(web_xvda, "Wheezy")));
  CHECK(records->claims_on("Wheezy")->size() == 1);
  CHECK(*records->window_of("Wheezy"));
  CHECK(*records->held("Wheezy"));
  CHECK(*records->outage("Wheezy"));
  REQUIRE(records->remove_window("Wheezy"));
  CHECK(records->claims_on("Wheezy")->size() == 1);
  CHECK(*records->held("Wheezy"));
}

TEST_CASE("a record that cannot be read is an error that names it", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  const auto names = [&](const auto& found, const std::string& file) {
    REQUIRE_FALSE(found);
    INFO(found.error().message);
    return found.error().message.find(run.ours + '/' + file) != std::string::npos;
  };
  for (const char* file : {"Wheezy.window", "Wheezy.held", "ipv4:10.0.0.2.outage"})
    std::ofstream(run.ours + '/' + file) << "{\"version\": 1";
  CHECK(names(records->window_of("Wheezy"), "Wheezy.window"));
  CHECK(names(records->held("Wheezy"), "Wheezy.held"));
  CHECK(names(records->outage("ipv4:10.0.0.2"), "ipv4:10.0.0.2.outage"));
  CHECK_FALSE(*records->window_of("Jessie"));
  REQUIRE(records->write(window("Wheezy")));
  CHECK(*records->window_of("Wheezy"));
}

TEST_CASE("nothing is read or written through a link", "[record]") {
  const RunDirectory run;
  SECTION("in place of the directory") {
    fs::create_directory(run.run / "elsewhere");
    fs::create_symlink(run.run / "elsewhere", run.ours);
    CHECK_FALSE(run.try_open());
  }
  SECTION("in place of a claim") {
    const auto records = run.open();
    REQUIRE(records->write(claim(web_xvda, "Wheezy")));
    const std::string name = run.files().front();
    fs::rename(run.ours + '/' + name, run.run / "elsewhere");
    fs::create_symlink(run.run / "elsewhere", run.ours + '/' + name);
    const auto claims = records->claims_on("Wheezy");
    REQUIRE_FALSE(claims);
    CHECK(claims.error().message.find(name) != std::string::npos);
    // Writing puts a file in the link's place.
    const std::string before = run.run.read("elsewhere");
    CHECK(records->write(claim(web_xvda, "Wheezy", Phase::Released)));
    CHECK(run.run.read("elsewhere") == before);
    CHECK(records->claims_on("Wheezy")->front().phase == Phase::Released);
  }
  SECTION("in place of a lock") {
    const auto records = run.open();
    fs::create_symlink(run.run / "elsewhere", run.ours + "/Wheezy.lock");
    CHECK_FALSE(records->try_lock("Wheezy"));
    fs::create_directory(run.xen);
    fs::create_symlink(run.run / "elsewhere", run.block);
    CHECK_FALSE(records->try_lock_xen_block());
    CHECK_FALSE(run.run.has("elsewhere"));
  }
}

TEST_CASE("a record that is no regular file is an error, and not waited for", "[record]") {
  const RunDirectory run;
  const auto records = run.open();
  const std::string place = run.ours + "/Wheezy.window";
  const auto make = GENERATE(0, 1, 2, 3);
  switch (make) {
    case 0:
      REQUIRE(::mkfifo(place.c_str(), 0600) == 0);
      break;
    case 1:
      REQUIRE(::mknod(place.c_str(), S_IFSOCK | 0600, 0) == 0);
      break;
    case 2:
      if (::mknod(place.c_str(), S_IFCHR | 0600, makedev(1, 5)) != 0)  // zero: it never ends
        return;
      break;
    default:
      fs::create_directory(place);
  }
  const auto found = records->window_of("Wheezy");
  REQUIRE_FALSE(found);
  CHECK(found.error().message.find(place) != std::string::npos);
  const auto inventory = take_inventory(run.ours, "/dev/null");
  REQUIRE(inventory);
  CHECK(inventory->unreadable.contains(place));
}

TEST_CASE("a directory in which others can write is not trusted", "[record]") {
  const RunDirectory run;
  fs::create_directory(run.ours);
  for (const int mode : {0777, 01777, 0720, 0702}) {
    ::chmod(run.ours.c_str(), static_cast<mode_t>(mode));
    const auto records = run.try_open();
    REQUIRE_FALSE(records);
    CHECK(records.error().message.find(run.ours) != std::string::npos);
  }
  ::chmod(run.ours.c_str(), 0755);
  CHECK(run.try_open());
  if (::geteuid() == 0) {
    REQUIRE(::chown(run.ours.c_str(), 65534, 65534) == 0);
    CHECK_FALSE(run.try_open());
  }
}

TEST_CASE("what cannot be a directory is said", "[record]") {
  const RunDirectory run;
  SECTION("a file is there") {
    run.run.write("block-drbd", "");
    const auto records = run.try_open();
    REQUIRE_FALSE(records);
    CHECK(records.error().message.find(run.ours) != std::string::npos);
  }
  SECTION("its parent is missing") {
    const auto records = open_records(run.run / "no/block-drbd", run.xen);
    REQUIRE_FALSE(records);
    CHECK(records.error().code == ENOENT);
  }
}

TEST_CASE("one resource's lock is taken once", "[record][lock]") {
  const RunDirectory run;
  const auto one = run.open();
  const auto other = run.open();
  auto held = one->try_lock("Wheezy");
  CHECK(got(held));
  CHECK_FALSE(got(one->try_lock("Wheezy")));
  CHECK_FALSE(got(other->try_lock("Wheezy")));
  CHECK(got(other->try_lock("Jessie")));  // another resource is another lock
  held->reset();
  CHECK(got(other->try_lock("Wheezy")));
}

TEST_CASE("a resource has one keeper, whose lock is one of its own", "[record][lock]") {
  const RunDirectory run;
  const auto records = run.open();
  const auto lock = records->try_lock("Wheezy");
  auto keeper = records->try_lock_keeper("Wheezy");
  CHECK(got(keeper));
  CHECK_FALSE(got(run.open()->try_lock_keeper("Wheezy")));
  CHECK(got(run.open()->try_lock_keeper("Jessie")));
  keeper->reset();
  CHECK(got(run.open()->try_lock_keeper("Wheezy")));
  CHECK_FALSE(got(run.open()->try_lock("Wheezy")));
}

TEST_CASE("that a place is taken again can be told", "[record][lock]") {
  const RunDirectory run;
  const auto records = run.open();
  const auto other = run.open();
  CHECK(records->place_taken_at(0) == 0);
  auto place = records->try_lock_place(0);
  REQUIRE(got(place));
  const auto first = other->place_taken_at(0);
  CHECK(first != 0);
  CHECK(records->place_taken_at(1) == 0);
  // The clock of file systems has its ticks.
  REQUIRE(eventually(
      [&] { return got(records->try_lock_place(1)) && records->place_taken_at(1) != first; }));
  CHECK_FALSE(got(other->try_lock_place(0)));
  CHECK(other->place_taken_at(0) == first);
  place->reset();
  CHECK(got(other->try_lock_place(0)));
  CHECK(records->place_taken_at(0) != first);
}

TEST_CASE("locks are nobody's claims", "[record][lock]") {
  const RunDirectory run;
  const auto records = run.open();
  const auto held = records->try_lock("Wheezy");
  CHECK(records->claims_on("Wheezy")->empty());
  CHECK(records->claims_of(web_xvda)->empty());
}

TEST_CASE("a lock ends with its holder, however that ends", "[record][lock]") {
  const RunDirectory run;
  const auto records = run.open();
  const Pipe pipe;
  Child holder([&] {
    const auto own = open_records(run.ours, run.xen);
    const auto held = (*own)->try_lock("Wheezy");
    const auto xen = (*own)->try_lock_xen_block();
    if (!*held || !*xen || ::write(pipe.write_end.get(), "held\n", 5) != 5)
      return 1;
    for (;;)
      ::pause();
  });
  REQUIRE(read_all(pipe.read_end, "held\n") == "held\n");
  CHECK_FALSE(got(records->try_lock("Wheezy")));
  CHECK_FALSE(got(records->try_lock_xen_block()));
  holder.signal(SIGKILL);
  REQUIRE(holder.wait() == 128 + SIGKILL);
  CHECK(got(records->try_lock("Wheezy")));
  CHECK(got(records->try_lock_xen_block()));
}

TEST_CASE("a lock is not handed down to what is executed", "[record][lock]") {
  const RunDirectory run;
  const auto records = run.open();
  auto held = records->try_lock("Wheezy");
  auto xen = records->try_lock_xen_block();
  const Pipe pipe;
  Child tool([&] {
    ::dup2(pipe.write_end.get(), STDOUT_FILENO);
    ::execl("/bin/sh", "sh", "-c", "echo started; exec sleep 1000", nullptr);
    return 98;
  });
  REQUIRE(read_all(pipe.read_end, "started\n") == "started\n");
  held->reset();
  xen->reset();
  CHECK(got(records->try_lock("Wheezy")));
  CHECK(got(records->try_lock_xen_block()));
}

TEST_CASE("Xen's lock is taken once, and its file goes with it", "[record][lock]") {
  const RunDirectory run;
  const auto records = run.open();
  auto held = records->try_lock_xen_block();
  REQUIRE(got(held));
  CHECK(run.run.has("xen-hotplug/block"));
  CHECK_FALSE(got(records->try_lock_xen_block()));
  held->reset();
  CHECK_FALSE(run.run.has("xen-hotplug/block"));
  CHECK(got(records->try_lock_xen_block()));
}

TEST_CASE("a file of Xen's lock that its holder took away locks nothing", "[record][lock]") {
  const RunDirectory run;
  const auto records = run.open();
  auto first = records->try_lock_xen_block();
  REQUIRE(got(first));
  Result<std::unique_ptr<Lock>> second = nullptr;
  SECTION("and nobody made a new one") {
    before_flock = [&] { first->reset(); };
    CHECK_FALSE(got(records->try_lock_xen_block()));
  }
  SECTION("and somebody else holds a new one") {
    before_flock = [&] {
      first->reset();
      second = records->try_lock_xen_block();
    };
    CHECK_FALSE(got(records->try_lock_xen_block()));
    REQUIRE(got(second));
    CHECK(run.run.has("xen-hotplug/block"));
    CHECK_FALSE(got(records->try_lock_xen_block()));
    second->reset();
  }
  CHECK(got(records->try_lock_xen_block()));
}

TEST_CASE("Xen's own block scripts and we keep each other out", "[record][lock]") {
  INFO("this needs bash, and " << XenScript::locking << " (Debian: xen-utils-common)");
  REQUIRE(fs::exists(XenScript::locking));
  const RunDirectory run;
  const auto records = run.open();
  SECTION("the script has the lock") {
    const XenScript script(run.xen);
    REQUIRE(script.says("held"));
    CHECK_FALSE(got(records->try_lock_xen_block()));
    // It removes the file, and keeps the old one open and locked for as long as it lives.
    REQUIRE(script.release());
    CHECK(got(records->try_lock_xen_block()));
  }
  SECTION("we have the lock") {
    auto held = records->try_lock_xen_block();
    REQUIRE(got(held));
    const ino_t file = inode(run.block);
    const XenScript script(run.xen);
    REQUIRE(eventually([&] { return is_awaited(file); }));
    CHECK(script.is_silent());
    held->reset();
    CHECK(script.says("held"));
    CHECK_FALSE(got(records->try_lock_xen_block()));
  }
  SECTION("two scripts and we") {
    auto held = records->try_lock_xen_block();
    const ino_t file = inode(run.block);
    XenScript script(run.xen);
    REQUIRE(eventually([&] { return is_awaited(file); }));
    held->reset();
    REQUIRE(script.says("held"));
    const XenScript other(run.xen);
    REQUIRE(eventually([&] { return is_awaited(inode(run.block)); }));
    CHECK(other.is_silent());
    REQUIRE(script.release());
    script.end();  // until then the other one waits for the old file
    CHECK(other.says("held"));
    CHECK_FALSE(got(records->try_lock_xen_block()));
    REQUIRE(other.release());
    CHECK(got(records->try_lock_xen_block()));
  }
}
