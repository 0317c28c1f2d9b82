// The machine misbehaves: udev, file systems, memory, processes, clocks.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <thread>

#include "cases.h"
#include "catch.h"

using namespace block_drbd::faults;
namespace fs = std::filesystem;

namespace {

constexpr const char* device = "/dev/drbd0";

Ended add_prepared(Node& node, std::function<void()> prepare) {
  return node.run({.words = {"add"},
                   .xenbus_path = web.backend(),
                   .prepare = std::move(prepare),
                   .output = {}});
}

Ended remove_prepared(Node& node, std::function<void()> prepare) {
  return node.run({.words = {"remove"},
                   .xenbus_path = web.backend(),
                   .prepare = std::move(prepare),
                   .output = {}});
}

void limit(int resource, rlim_t most) {
  const rlimit limits{.rlim_cur = most, .rlim_max = most};
  ::setrlimit(static_cast<__rlimit_resource_t>(resource), &limits);
}

/// No new process: fork is refused as by a full cgroup (pids.max), which root heeds, too.
void refuse_processes() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
#ifdef SYS_vfork  // elsewhere it is clone, as fork is everywhere
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_vfork, 3, 0),
#endif
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAGAIN),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/// A file system of a few pages in the place of a directory, and full.
bool fill(const std::string& directory) {
  fs::create_directories(directory);
  ::chmod(directory.c_str(), 0700);
  if (::mount("none", directory.c_str(), "tmpfs", 0, "size=8k,mode=0700") != 0)
    return false;
  const int file = ::open((directory + "/full").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  while (::write(file, page.data(), page.size()) > 0) {
  }
  return true;
}

void must(bool done, Complaints& complaints) {
  if (!done)
    complaints.emplace_back("the fault could not be made");
}

/// A guest has its disk, and only then all the room is taken.
void attached_with_full_run(Node& node, Complaints& complaints) {
  node.create(web);
  must(node.inside([] {
    fs::create_directories("/run/block-drbd");
    return ::mount("none", "/run/block-drbd", "tmpfs", 0, "size=16k,mode=0700") == 0;
  }),
       complaints);
  judge_add(node, web, node.add(web), {}, complaints);
  must(node.inside([] {
    const int file = ::open("/run/block-drbd/full", O_WRONLY | O_CREAT, 0600);
    const std::string page(4096, 'x');
    while (::write(file, page.data(), page.size()) > 0) {
    }
    return true;
  }),
       complaints);
}

bool make_read_only(const char* directory) {
  return ::mount(nullptr, directory, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0;
}

bool make_writable(const char* directory) {
  return ::mount(nullptr, directory, nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0;
}

std::vector<Case> of_the_device() {
  const auto missing = [](bool (*spoil)()) {
    return [spoil](Node& node, Complaints& complaints) {
      node.create(web);
      must(node.inside(spoil), complaints);
      judge_add(node, web, node.add(web), {"no device node for minor 0", "udevadm trigger"},
                complaints);
      must(node.inside([] {
        ::unlink(device);
        return ::mknod(device, S_IFBLK | 0660, makedev(147, 0)) == 0;
      }),
           complaints);
      all_is_well_again(node, web, complaints);
    };
  };
  return {
      {"udev does not know it",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         const fs::path known = node.place() / "sys/dev/block/147:0";
         const fs::path hidden = node.place() / "sys/hidden";
         fs::rename(known, hidden);
         judge_add(node, web, node.add(web), {"no device node for minor 0", "udevadm trigger"},
                   complaints);
         fs::rename(hidden, known);
         all_is_well_again(node, web, complaints);
       }},
      {"udev is late",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         must(node.inside([] { return ::rename(device, "/dev/later") == 0; }), complaints);
         std::thread udev([&] {
           ::sleep(1);
           node.inside([] { return ::rename("/dev/later", device) == 0; });
         });
         judge_add(node, web, node.add(web), {}, complaints);
         udev.join();
         all_is_well_again(node, web, complaints);
       }},
      {"there is no node", missing([] { return ::unlink(device) == 0; })},
      {"the node is of another minor", missing([] {
         ::unlink(device);
         return ::mknod(device, S_IFBLK | 0660, makedev(147, 1)) == 0;
       })},
      {"a file is in its place", missing([] {
         ::unlink(device);
         return ::mknod(device, S_IFREG | 0660, 0) == 0;
       })},
      {"a link to another device is in its place", missing([] {
         ::unlink(device);
         return ::symlink("/dev/null", device) == 0;
       })},
  };
}

std::vector<Case> of_run() {
  return {
      {"full when a guest starts",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         must(node.inside([] { return fill("/run/block-drbd"); }), complaints);
         judge_add(node, web, node.add(web), {"/run/block-drbd", "No space left on device"},
                   complaints);
         if (node.calls().find("primary") != std::string::npos)
           complaints.emplace_back("the role was changed: " + node.calls());
         must(node.inside([] { return ::umount("/run/block-drbd") == 0; }), complaints);
         all_is_well_again(node, web, complaints);
       }},
      {"read-only when a guest starts",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         must(node.inside([] { return make_read_only("/run"); }), complaints);
         judge_add(node, web, node.add(web), {"/run/block-drbd", "Read-only file system"},
                   complaints);
         must(node.inside([] { return make_writable("/run"); }), complaints);
         all_is_well_again(node, web, complaints);
       }},
      {"read-only when a guest ends",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         judge_add(node, web, node.add(web), {}, complaints);
         must(node.inside([] { return make_read_only("/run"); }), complaints);
         node.close(web);
         judge_remove(node, node.remove(web), {"/run/block-drbd", "Read-only file system"},
                      complaints);
         must(node.inside([] { return make_writable("/run"); }), complaints);
         all_is_well_again(node, web, complaints);
       }},
      {"full when a guest ends",
       [](Node& node, Complaints& complaints) {
         attached_with_full_run(node, complaints);
         node.close(web);
         const Ended removed = node.remove(web);
         judge_remove(node, removed, {}, complaints);
         if (!removed.said.empty())
           complaints.push_back("said: " + removed.said);
       }},
      {"full when a guest ends whose disk the kernel still has open",
       [](Node& node, Complaints& complaints) {
         attached_with_full_run(node, complaints);
         node.change_drbd([](DrbdState& state) { state.is_open = true; });
         node.close(web);
         // As by ^C at `xl destroy`: it does not wait for as long as it may.
         std::thread impatient([&] {
           block_drbd::test::eventually(
               [&] { return node.calls().find("secondary") != std::string::npos; });
           for (const Node::Process& process : node.processes())
             if (process.line.find(" remove") != std::string::npos)
               ::kill(process.pid, SIGTERM);
         });
         const Ended removed = node.remove(web);
         impatient.join();
         expect_words(removed.said, {"still Primary", "A process stays behind"}, complaints);
         node.change_drbd([](DrbdState& state) { state.is_open = false; });
         node.destroy(web);
         const auto left = never_idle(node);
         complaints.insert(complaints.end(), left.begin(), left.end());
         if (!node.inside(
                 [] { return ::access("/run/block-drbd/vbd-5-51712@r0.claim", F_OK) != 0; }))
           complaints.emplace_back("a claim is left");
       }},
      {"full when two primaries have been allowed for a guest that arrives",
       [](Node& node, Complaints& complaints) {
         must(node.inside([] {
           fs::create_directories("/run/block-drbd");
           return ::mount("none", "/run/block-drbd", "tmpfs", 0, "size=32k,mode=0700") == 0;
         }),
              complaints);
         Guest arriving = web;
         arriving.name = "web--incoming";
         node.change_drbd([](DrbdState& state) { state.peer_is_primary = true; });
         node.receives_migration(true);
         node.create(arriving);
         node.faults("net-options fills /run/block-drbd/full");
         judge_add(node, arriving, node.add(arriving),
                   {"No space left on device", "The guest goes on at its source"}, complaints);
         if (!node.drbd().two_primaries)
           complaints.emplace_back("two primaries were not allowed");
         node.receives_migration(false);
         node.faults("");
         must(node.inside([] { return ::unlink("/run/block-drbd/full") == 0; }), complaints);
         node.close(arriving);
         judge_remove(node, node.remove(arriving), {}, complaints);
         // An aborted migration's window is closed when the link is known to be there.
         const auto is_closed = [&] { return !node.drbd().two_primaries; };
         if (!block_drbd::test::eventually(is_closed) && !block_drbd::test::eventually(is_closed))
           complaints.emplace_back("two primaries stay allowed");
         node.change_drbd([](DrbdState& state) { state.peer_is_primary = false; });
         // The keeper stays for as long as DRBD may still carry out what could not be noted.
         node.kill_all();
         must(node.inside([] { return ::umount("/run/block-drbd") == 0; }), complaints);
         all_is_well_again(node, arriving, complaints);
       }},
      {"stderr is a full disk",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         must(node.inside([] { return ::mknod("/dev/full", S_IFCHR | 0666, makedev(1, 7)) == 0; }),
              complaints);
         const auto to_full = [] {
           const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
           ::dup2(full, STDERR_FILENO);
           ::dup2(full, STDOUT_FILENO);
         };
         judge_add(node, web, add_prepared(node, to_full), {}, complaints);
         node.close(web);
         judge_remove(node, remove_prepared(node, to_full), {}, complaints);
         all_is_well_again(node, web, complaints);
       }},
  };
}

std::vector<Case> of_processes() {
  return {
      {"when a guest starts",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         judge_add(node, web, add_prepared(node, refuse_processes),
                   {"cannot run `drbdsetup status r0", "Resource temporarily unavailable"},
                   complaints);
         all_is_well_again(node, web, complaints);
       }},
      {"when a guest ends",
       [](Node& node, Complaints& complaints) {
         node.create(web);
         judge_add(node, web, node.add(web), {}, complaints);
         node.close(web);
         judge_remove(node, remove_prepared(node, refuse_processes),
                      {"cannot run `drbdsetup status r0", "Resource temporarily unavailable",
                       "nobody could be left behind"},
                      complaints);
         all_is_well_again(node, web, complaints);
       }},
  };
}

/// Whatever the limit: no guest without its device, and the next remove and add make all well.
void starts_within(Node& node, const std::string& what, const std::function<void()>& prepare,
                   unsigned& succeeded, Complaints& complaints) {
  node.create(web);
  const Ended ended = add_prepared(node, prepare);
  succeeded += ended.code == 0 ? 1 : 0;
  if (!ended.code || (ended.code == 0) != node.is_connected(web) ||
      (ended.code == 0 && !node.drbd().is_primary))
    complaints.push_back(what + ": add ended with " + std::to_string(ended.code.value_or(-1)) +
                         ", the guest has " + (node.is_connected(web) ? "its" : "no") +
                         " device: " + ended.said);
  // Where there is not even what they need, it is the loader that fails (127), or libstdc++, which
  // has no room for an exception (134).
  if (ended.code != 0 && ended.code != 1 && ended.code != 127 && ended.code != 134)
    complaints.push_back(what + ": add ended with " + std::to_string(ended.code.value_or(-1)) +
                         ": " + ended.said);
  if (ended.code == 1 && ended.said.find("block-drbd: ") == std::string::npos)
    complaints.push_back(what + ": it says nothing: " + ended.said);
  node.close(web);
  if (const Ended removed = node.remove(web); removed.code != 0)
    complaints.push_back(what + ": the next remove: " + removed.said);
  node.destroy(web);
  for (const std::string& complaint : never_idle(node))
    complaints.push_back(what + ", at last: " + complaint);
}

std::vector<Case> of_memory() {
  return {{"at any point", [](Node& node, Complaints& complaints) {
             unsigned succeeded = 0;
             // From what the loader needs to what is enough.
             for (rlim_t kib = 5'000; kib <= 9'000; kib += 50)
               starts_within(
                   node, std::to_string(kib) + " KiB", [kib] { limit(RLIMIT_AS, kib * 1024); },
                   succeeded, complaints);
             if (succeeded == 0)
               complaints.emplace_back("it never was enough");
           }}};
}

/// A keeper has a role to give back: whatever the limit, what it could not do stays remembered, and
/// the next add and remove make all well.
std::vector<Case> of_the_keepers_memory() {
  return {{"at any point", [](Node& node, Complaints& complaints) {
             unsigned succeeded = 0;
             for (rlim_t kib = 5'000; kib <= 9'000; kib += 100) {
               Complaints here;
               node.create(web);
               judge_add(node, web, node.add(web), {}, here);
               node.destroy(web);
               const Ended ended = node.run({.words = {"keep", "r0"},
                                             .xenbus_path = "",
                                             .prepare =
                                                 [kib] {
                                                   limit(RLIMIT_AS, kib * 1024);
                                                   ::alarm(1);  // it may go on trying
                                                 },
                                             .output = {}});
               succeeded += ended.code == 0 ? 1 : 0;
               if (ended.code == 0 ? node.drbd().is_primary : node.records().empty())
                 here.push_back("the keeper ended with " + std::to_string(ended.code.value_or(-1)) +
                                ", " + std::to_string(node.records().size()) +
                                " records are left, and the node is " + described(node.drbd()) +
                                ": " + ended.said);
               next_guest_is_well(node, here);
               for (const std::string& complaint : here)
                 complaints.push_back(std::to_string(kib) + " KiB: " + complaint);
             }
             if (succeeded == 0)
               complaints.emplace_back("it never was enough");
           }}};
}

std::vector<Case> of_descriptors() {
  return {{"at any point", [](Node& node, Complaints& complaints) {
             unsigned succeeded = 0;
             for (rlim_t most = 4; most <= 24; ++most)
               starts_within(
                   node, std::to_string(most) + " descriptors",
                   [most] { limit(RLIMIT_NOFILE, most); }, succeeded, complaints);
             if (succeeded == 0)
               complaints.emplace_back("it never was enough");
           }}};
}

std::vector<Case> of_the_clock() {
  return {{"by a year, to and fro", [](Node& node, Complaints& complaints) {
             node.create(web);
             must(node.inside([] { return ::rename(device, "/dev/later") == 0; }), complaints);
             std::thread udev([&] {
               ::sleep(1);
               node.inside([] { return ::rename("/dev/later", device) == 0; });
             });
             judge_add(node, web,
                       add_prepared(node, [] { ::setenv("LD_PRELOAD", JUMPING_CLOCK, 1); }), {},
                       complaints);
             udev.join();
             if (node.log().find("is Primary for guest web") == std::string::npos)
               complaints.push_back("not in the log: " + node.log());
             all_is_well_again(node, web, complaints);
           }}};
}

std::vector<Case> of_the_log() {
  // A guest starts and ends, and another one cannot start.
  const auto with = [](const std::function<bool(const Node&)>& spoil) {
    return [spoil](Node& node, Complaints& complaints) {
      must(spoil(node), complaints);
      node.create(web);
      judge_add(node, web, node.add(web), {}, complaints);
      node.close(web);
      judge_remove(node, node.remove(web), {}, complaints);
      node.destroy(web);
      node.create(web);
      node.faults("primary exit 77");
      judge_add(node, web, node.add(web), {"cannot become Primary"}, complaints);
      if (node.value(web, "hotplug-error").empty())
        complaints.emplace_back("xenstore does not tell why");
      node.faults("");
      all_is_well_again(node, web, complaints);
    };
  };
  return {
      {"there is none", with([](const Node& node) {
         return node.inside([] { return ::unlink("/dev/log") == 0; });
       })},
      {"nobody listens", with([](const Node& node) {
         return node.inside([] {
           return ::unlink("/dev/log") == 0 && ::mknod("/dev/log", S_IFSOCK | 0666, 0) == 0;
         });
       })},
      {"its queue is full", with([](const Node& node) {
         const block_drbd::Fd other(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
         sockaddr_un log{};
         log.sun_family = AF_UNIX;
         (node.place() / "log").copy(log.sun_path, sizeof log.sun_path - 1);
         while (::sendto(other.get(), "x", 1, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&log),
                         sizeof log) == 1) {
         }
         return errno == EAGAIN;
       })},
  };
}

/// As many as work at the same time.
std::vector<block_drbd::Fd> take_all_places(const Node& node) {
  std::vector<block_drbd::Fd> places;
  for (int number = 0; number < 4; ++number) {
    const std::string path = node.run("block-drbd/" + std::to_string(number) + ".place");
    places.emplace_back(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ::flock(places.back().get(), LOCK_EX | LOCK_NB);
  }
  return places;
}

std::vector<Case> of_others() {
  const Words says_why{"attaches or detaches many disks"};
  return {
      {"when a guest starts",
       [says_why](Node& node, Complaints& complaints) {
         must(node.inside([] { return ::mkdir("/run/block-drbd", 0700) == 0; }), complaints);
         auto places = take_all_places(node);
         node.create(web);
         const Ended added = node.add(web);
         judge_add(node, web, added, {}, complaints);
         expect_words(added.said, says_why, complaints);
         node.close(web);
         const Ended removed = node.remove(web);
         judge_remove(node, removed, {}, complaints);
         expect_words(removed.said, says_why, complaints);
         places.clear();
         all_is_well_again(node, web, complaints);
       }},
      // All of its time is needed, and what the places took is gone.
      {"and DRBD does not answer",
       [says_why](Node& node, Complaints& complaints) {
         must(node.inside([] { return ::mkdir("/run/block-drbd", 0700) == 0; }), complaints);
         auto places = take_all_places(node);
         node.create(web);
         node.faults("primary hang");
         const Ended added = node.add(web);
         judge_add(node, web, added, {"cannot become Primary"}, complaints);
         expect_words(added.said, says_why, complaints);
         node.faults("");
         places.clear();
         all_is_well_again(node, web, complaints);
       }},
  };
}

}  // namespace

TEST_CASE("the node misbehaves", "[machine]") {
  play_all({
      {"the device is late, missing or another one", of_the_device()},
      {"/run is full or read-only", of_run()},
      {"no more processes", of_processes()},
      {"not enough memory", of_memory()},
      {"not enough memory for the keeper", of_the_keepers_memory()},
      {"not enough descriptors", of_descriptors()},
      {"others are stuck", of_others()},
      {"the log daemon is away or stuck", of_the_log()},
      {"the time of day jumps while a guest waits for its device", of_the_clock()},
  });
}
