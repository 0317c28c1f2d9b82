// killed: ends the program at each of its system calls in turn, and looks what becomes of the
// resource. See usage().
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>

#include "record/records.h"
#include "traced.h"

namespace {

using namespace block_drbd;
using namespace block_drbd::faults;

constexpr const char* usage =
    "usage: killed [--every N] [--jobs N] [--only POINT] [SCENARIO]...\n"
    "\n"
    "--every 1 is every system call; by default each 100th. A scenario is named by a part of its\n"
    "name. POINT is what a complaint names.\n";

/// One run of a scenario.
struct Scene {
  Node& node;
  Complaints complaints;

  void expect(bool condition, const std::string& otherwise) {
    if (!condition)
      complaints.push_back(otherwise);
  }
  void expect_done(const Ended& ended, const std::string& what) {
    expect(ended.code == 0,
           what + " failed (" + std::to_string(ended.code.value_or(-1)) + "): " + ended.said);
  }
};

const Guest first{.domid = 5};
const Guest second{.domid = 6};
const Guest arriving{.domid = 5, .name = "web--incoming"};
const Guest arriving_again{.domid = 6, .name = "web--incoming"};

// What the toolstack does.

/// Whatever it calls next comes by itself: no guest has the resource, and another may have it.
void starts_and_ends(Scene& scene, const Guest& guest) {
  Node& node = scene.node;
  node.create(guest);
  scene.expect_done(node.add(guest), "the next add");
  scene.expect(node.is_connected(guest), "the next guest has no device");
  scene.expect(node.drbd().is_primary, "the next guest is on " + described(node.drbd()));
  node.close(guest);
  scene.expect_done(node.remove(guest), "the next remove");
  node.destroy(guest);
}

void is_released(Scene& scene, const Guest& guest) {
  scene.node.close(guest);
  scene.expect_done(scene.node.remove(guest), "remove after it");
  scene.node.destroy(guest);
}

/// The guest is migrated to here once more, and this time arrives.
void arrives_and_ends(Scene& scene, const Guest& guest) {
  Node& node = scene.node;
  node.receives_migration(true);
  node.create(guest);
  scene.expect_done(node.add(guest), "the next add");
  scene.expect(node.is_connected(guest), "the guest that arrives has no device");
  const DrbdState drbd = node.drbd();
  scene.expect(drbd.is_primary && drbd.two_primaries,
               "the guest arrives while its nodes are " + described(drbd));
  node.rename(guest, "web");
  node.change_drbd([](DrbdState& state) { state.peer_is_primary = false; });
  node.receives_migration(false);
  for (const std::string& record : node.records())
    if (!record.ends_with(".claim") && !record.ends_with(".window"))
      scene.complaints.push_back("remembered: " + record);
  is_released(scene, guest);
}

/// By the keeper, or whoever calls one.
void becomes_idle(Scene& scene) {
  for (const std::string& complaint : never_idle(scene.node))
    scene.complaints.push_back("at last: " + complaint);
}

// What must hold whenever the program ends.

/// What blkback takes is a device that can be opened.
void is_not_connected_in_vain(Scene& scene, const Guest& guest) {
  scene.expect(!scene.node.is_connected(guest) || scene.node.drbd().is_primary,
               "the guest has its device, and the resource is Secondary");
}

void allows_one_primary(Scene& scene) {
  scene.expect(!scene.node.drbd().two_primaries, "two Primaries are allowed");
}

/// Of an add that was not killed.
void kept_its_word(Scene& scene, const Guest& guest, const Traced& run, bool hands_over) {
  if (run.code == 128 + SIGKILL || run.code == 128 + SIGTERM)  // before it heeds that
    return;
  const DrbdState drbd = scene.node.drbd();
  scene.expect(run.code == 0 || run.code == 1,
               "add ended with " + std::to_string(run.code.value_or(-1)));
  scene.expect((run.code == 0) == scene.node.is_connected(guest),
               "add ended with " + std::to_string(run.code.value_or(-1)) + ", and the guest has " +
                   (scene.node.is_connected(guest) ? "its" : "no") + " device");
  scene.expect((run.code == 0) == drbd.is_primary, "add ended with " +
                                                       std::to_string(run.code.value_or(-1)) +
                                                       ", and the node is " + described(drbd));
  if (run.code == 0 && hands_over)
    scene.expect(drbd.two_primaries, "the hand-over succeeded with one Primary allowed");
}

struct Scenario {
  const char* name;
  Words words;
  Guest guest;  ///< whose disk it is about
  std::function<void(Scene&)> prepare;
  std::function<void(Scene&, const Traced&)> look;  ///< at once
  std::function<void(Scene&)> go_on;                ///< what comes next
};

void runs(Scene& scene, const Guest& guest) {
  scene.node.create(guest);
  scene.expect_done(scene.node.add(guest), "add before it");
}

void peer_has_it(Scene& scene) {
  scene.node.change_drbd([](DrbdState& state) { state.peer_is_primary = true; });
}

void start_ends(Scene& scene, const Traced& run) {
  allows_one_primary(scene);
  is_not_connected_in_vain(scene, first);
  kept_its_word(scene, first, run, false);
}

void begin_hand_over(Scene& scene) {
  peer_has_it(scene);
  scene.node.receives_migration(true);
  scene.node.create(arriving);
}

void hand_over_ends(Scene& scene, const Traced& run) {
  is_not_connected_in_vain(scene, arriving);
  const DrbdState drbd = scene.node.drbd();
  scene.expect(!drbd.is_primary || drbd.two_primaries,
               "two nodes are Primary, and only one is allowed");
  kept_its_word(scene, arriving, run, true);
}

void remove_ends(Scene& scene, const Traced& run) {
  scene.expect(run.code != 0 || !scene.node.drbd().is_primary,
               "remove succeeded, and the node is Primary");
}

const std::vector<Scenario> scenarios{
    {"a guest starts, and libxl calls remove",
     {"add"},
     first,
     [](Scene& scene) { scene.node.create(first); },
     start_ends,
     [](Scene& scene) {
       is_released(scene, first);
       becomes_idle(scene);
       starts_and_ends(scene, second);
     }},
    {"a guest starts, and nobody calls remove",
     {"add"},
     first,
     [](Scene& scene) { scene.node.create(first); },
     start_ends,
     [](Scene& scene) {
       scene.node.destroy(first);
       starts_and_ends(scene, second);
     }},
    {"a guest ends",
     {"remove"},
     first,
     [](Scene& scene) {
       runs(scene, first);
       scene.node.close(first);
     },
     [](Scene& scene, const Traced& run) {
       allows_one_primary(scene);
       remove_ends(scene, run);
     },
     [](Scene& scene) {
       scene.node.destroy(first);
       starts_and_ends(scene, second);
     }},
    {"the toolstack gave a disk up, and the kernel lets go of it",
     {"gone"},
     first,
     [](Scene& scene) {
       runs(scene, first);
       scene.node.destroy(first);
     },
     [](Scene& scene, const Traced&) { allows_one_primary(scene); },
     [](Scene& scene) { starts_and_ends(scene, second); }},
    {"a guest arrives, and is migrated again",
     {"add"},
     arriving,
     begin_hand_over,
     hand_over_ends,
     [](Scene& scene) {
       is_released(scene, arriving);
       scene.expect(!scene.node.drbd().is_primary, "Primary beside the source after remove");
       arrives_and_ends(scene, arriving_again);
     }},
    {"a guest arrives, and stays at its source",
     {"add"},
     arriving,
     begin_hand_over,
     hand_over_ends,
     [](Scene& scene) {
       is_released(scene, arriving);
       scene.expect(!scene.node.drbd().is_primary, "Primary beside the source after remove");
     }},
    {"a guest has left",
     {"remove"},
     first,
     [](Scene& scene) {
       runs(scene, first);
       scene.node.rename(first, "web--migratedaway");
       scene.node.change_drbd(
           [](DrbdState& state) { state.peer_is_primary = state.two_primaries = true; });
       scene.node.close(first);
     },
     remove_ends,
     [](Scene& scene) {
       scene.node.destroy(first);
       arrives_and_ends(scene, arriving_again);
     }},
    {"a guest reboots while the other node is away: remove",
     {"remove"},
     first,
     [](Scene& scene) {
       runs(scene, first);
       scene.node.change_drbd([](DrbdState& state) { state.is_connected = false; });
       scene.node.close(first);
     },
     [](Scene& scene, const Traced&) { allows_one_primary(scene); },
     [](Scene& scene) {
       scene.node.destroy(first);
       scene.node.change_drbd([](DrbdState& state) { state.is_connected = true; });
       starts_and_ends(scene, second);
     }},
    {"a guest reboots while the other node is away: add",
     {"add"},
     second,
     [](Scene& scene) {
       runs(scene, first);
       scene.node.change_drbd([](DrbdState& state) { state.is_connected = false; });
       is_released(scene, first);
       scene.node.create(second);
       // Else each would wait ten seconds for the link.
       const auto records = record::open_records(scene.node.run("block-drbd"), "");
       static_cast<void>((*records)->write(
           record::Outage{.peer = "ipv4:10.0.0.2",
                          .until = std::chrono::steady_clock::now() + std::chrono::minutes(1)}));
     },
     [](Scene& scene, const Traced& run) {
       allows_one_primary(scene);
       is_not_connected_in_vain(scene, second);
       kept_its_word(scene, second, run, false);
     },
     [](Scene& scene) {
       is_released(scene, second);
       scene.node.change_drbd([](DrbdState& state) { state.is_connected = true; });
       starts_and_ends(scene, first);
     }},
    {"a keeper closes a window",
     {"keep", "r0"},
     arriving,
     [](Scene& scene) {
       begin_hand_over(scene);
       scene.expect_done(scene.node.add(arriving), "add before it");
       scene.node.kill_all();
       scene.node.rename(arriving, "web");
       scene.node.change_drbd([](DrbdState& state) { state.peer_is_primary = false; });
       scene.node.receives_migration(false);
     },
     [](Scene& scene, const Traced& run) {
       scene.expect(run.code != 0 || !scene.node.drbd().two_primaries,
                    "the keeper ended, and the window is open");
     },
     [](Scene& scene) { is_released(scene, arriving); }},
    {"a keeper gives a role back",
     {"keep", "r0"},
     first,
     [](Scene& scene) {
       runs(scene, first);
       scene.node.destroy(first);
     },
     [](Scene& scene, const Traced& run) {
       allows_one_primary(scene);
       scene.expect(run.code != 0 || !scene.node.drbd().is_primary,
                    "the keeper ended, and the node is Primary");
     },
     [](Scene& scene) { starts_and_ends(scene, second); }},
};

struct Mode {
  const char* name;
  bool with_tools;
  int signal;
};

constexpr Mode modes[] = {{"killed", false, SIGKILL},
                          {"killed, also while its tools run", true, SIGKILL},
                          {"asked to end", false, SIGTERM}};

Traced play(Node& node, const Scenario& scenario, const Point& point, Complaints& complaints) {
  Scene scene{.node = node, .complaints = {}};
  node.forget_calls();
  node.change_drbd([](DrbdState& state) { state = DrbdState{}; });
  node.receives_migration(false);
  scenario.prepare(scene);
  const bool ready = scene.complaints.empty();
  Traced run;
  if (ready) {
    const Fd output(::open((node.place() / "killed").c_str(),
                           O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    run = run_traced(node,
                     {.words = scenario.words,
                      .xenbus_path = scenario.guest.backend(),
                      .prepare = [] {},
                      .output = output.get()},
                     point);
    scenario.look(scene, run);
    scenario.go_on(scene);
    becomes_idle(scene);
  }
  if (!scene.complaints.empty())
    scene.complaints.push_back("it had said: " + node.place().read("killed"));
  complaints = std::move(scene.complaints);
  return run;
}

/// Shared by the workers.
struct Progress {
  std::atomic<unsigned> next{0};
  std::atomic<unsigned> played{0};
  std::atomic<unsigned> faulty{0};
  static constexpr std::size_t most_rows = 64;
  std::atomic<unsigned> calls[most_rows]{};  ///< of each scenario in each mode
  std::atomic<unsigned> reached[most_rows]{};
};

struct Options {
  unsigned every = 100;
  unsigned jobs = 16;  ///< some scenarios only wait
  unsigned only = 0;
  std::vector<std::string> names;
};

/// A scenario in a mode.
struct Row {
  const Scenario* scenario;
  const Mode* mode;
};

struct Item {
  std::size_t row;
  unsigned point;
};

void tell(const Row& row, unsigned point, const Complaints& complaints) {
  std::string text = std::string("== ") + row.scenario->name + ", " + row.mode->name + " at " +
                     std::to_string(point) + '\n';
  for (const std::string& complaint : complaints)
    text += "   " + complaint + '\n';
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

/// Each with a node of its own.
void work(const std::vector<Row>& rows, const std::vector<Item>& items, Progress& progress) {
  auto node = std::make_unique<Node>();
  for (unsigned next = 0; (next = progress.next++) < items.size();) {
    const Item& item = items[next];
    const Row& row = rows[item.row];
    Complaints complaints;
    const Traced run =
        play(*node, *row.scenario,
             {.number = item.point, .with_tools = row.mode->with_tools, .signal = row.mode->signal},
             complaints);
    ++progress.played;
    if (item.point == 0)
      progress.calls[item.row] = run.calls;
    else if (run.reached)
      ++progress.reached[item.row];
    if (complaints.empty())
      continue;
    ++progress.faulty;
    tell(row, item.point, complaints);
    node = std::make_unique<Node>();
  }
}

bool play_all(const std::vector<Row>& rows, const std::vector<Item>& items, unsigned jobs,
              Progress& progress) {
  progress.next = 0;
  std::vector<pid_t> workers;
  for (unsigned each = 0; each < std::min<std::size_t>(jobs, items.size()); ++each) {
    const pid_t worker = ::fork();
    if (worker == 0) {
      int code = 0;
      try {
        work(rows, items, progress);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "killed: %s\n", error.what());
        code = 1;
      }
      std::_Exit(code);
    }
    workers.push_back(worker);
  }
  bool all = true;
  for (const pid_t worker : workers) {
    int status = 0;
    all = ::waitpid(worker, &status, 0) == worker && status == 0 && all;
  }
  return all;
}

unsigned number_from(const char* text) {
  char* end = nullptr;
  const unsigned long number = text == nullptr ? 0 : std::strtoul(text, &end, 10);
  if (text == nullptr || *end != '\0' || number == 0) {
    std::fputs(usage, stderr);
    std::exit(2);
  }
  return static_cast<unsigned>(number);
}

Options read_options(char** argv) {
  Options options;
  while (*++argv != nullptr) {
    const std::string_view word = *argv;
    unsigned* number = word == "--every"  ? &options.every
                       : word == "--jobs" ? &options.jobs
                       : word == "--only" ? &options.only
                                          : nullptr;
    if (number != nullptr)
      *number = number_from(*++argv);
    else if (word.starts_with('-'))
      number_from(nullptr);
    else
      options.names.emplace_back(word);
  }
  return options;
}

bool is_wanted(const Options& options, const Scenario& scenario) {
  return options.names.empty() ||
         std::any_of(options.names.begin(), options.names.end(), [&](const std::string& name) {
           return std::string_view(scenario.name).find(name) != std::string_view::npos;
         });
}

}  // namespace

int main(int /*argc*/, char** argv) {
  const Options options = read_options(argv);
  void* shared =
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto& progress = *new (shared) Progress;

  std::vector<Row> rows;
  std::vector<Item> whole;
  for (const Scenario& scenario : scenarios)
    for (const Mode& mode : modes)
      if (is_wanted(options, scenario)) {
        whole.push_back({.row = rows.size(), .point = 0});
        rows.push_back({.scenario = &scenario, .mode = &mode});
      }
  if (!play_all(rows, whole, options.jobs, progress) || progress.faulty > 0)
    return 1;

  std::vector<Item> items;
  for (std::size_t row = 0; row < rows.size(); ++row)
    if (options.only > 0)
      items.push_back({.row = row, .point = options.only});
    else  // another one first in each row, so that together they see more
      for (unsigned point = 1 + static_cast<unsigned>(row) * 7 % options.every;
           point <= progress.calls[row]; point += options.every)
        items.push_back({.row = row, .point = point});
  const bool done = play_all(rows, items, options.jobs, progress);
  bool all_reached = !rows.empty();
  unsigned reached = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    std::printf("%5u of %5u points: %s, %s\n", progress.reached[row].load(),
                progress.calls[row].load(), rows[row].scenario->name, rows[row].mode->name);
    reached += progress.reached[row];
    all_reached = all_reached && progress.reached[row] > 0;
  }
  std::printf("%u points, %u with complaints\n", reached, progress.faulty.load());
  if (!all_reached)
    std::puts("a scenario has never been killed");
  return done && all_reached && progress.faulty == 0 ? 0 : 1;
}
