// simulate: many random schedules, on all processors.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <string>
#include <thread>

#include "schedule.h"
#include "shrink.h"

namespace {

using namespace block_drbd::simulation;

/// Shared by the workers.
struct Progress {
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> run{0};
  std::atomic<std::uint64_t> violations{0};
  std::atomic<std::uint64_t> told{0};
  static constexpr unsigned most_workers = 64;
  std::atomic<std::uint64_t> current[most_workers]{};  ///< what each worker runs
};

struct Options {
  std::uint64_t schedules = 100000;
  Seed seed = 0;
  std::uint64_t stories = 1;     ///< how many violations are told
  std::uint64_t stop_after = 0;  ///< violations; 0: go on to the end
  bool only = false;             ///< just the one with the number `schedules`
};

Seed seed_of(Seed seed, std::uint64_t number) {
  return seed * 0x9e3779b97f4a7c15U + number * 0xd1342543de82ef95U;
}

void tell(const Options& options, std::uint64_t number, const Violation& violation,
          const std::vector<std::string>& story) {
  std::string text = "\n== violation: " + violation.rule + ": " + violation.text +
                     "\n   (again: tests/simulate --seed " + std::to_string(options.seed) +
                     " --only " + std::to_string(number) + ")\n";
  for (const std::string& line : story)
    text += line + '\n';
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void run_one(const Options& options, std::uint64_t number, Progress& progress) {
  Choices choices(seed_of(options.seed, number));
  const Ending ending = run_schedule(choices, false);
  ++progress.run;
  if (!ending.violation)
    return;
  ++progress.violations;
  if (progress.told++ >= options.stories) {
    std::printf("violation: %s: %s (--only %llu)\n", ending.violation->rule.c_str(),
                ending.violation->text.c_str(), static_cast<unsigned long long>(number));
    return;
  }
  Choices shrunk(shrink(choices.all(), ending.violation->rule));
  const Ending shortest = run_schedule(shrunk, true);
  if (shortest.violation)
    tell(options, number, *shortest.violation, shortest.story);
}

void work(const Options& options, Progress& progress, unsigned worker) {
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  for (;;) {
    const std::uint64_t number = progress.next++;
    if (number >= options.schedules ||
        (options.stop_after > 0 && progress.violations >= options.stop_after))
      break;
    progress.current[worker] = number;
    run_one(options, number, progress);
  }
  std::fflush(stdout);
}

std::uint64_t number_from(const char* text) {
  char* end = nullptr;
  const std::uint64_t number = std::strtoull(text, &end, 10);
  if (*text == '\0' || *end != '\0') {
    std::fprintf(stderr, "simulate: '%s' is not a number\n", text);
    std::exit(2);
  }
  return number;
}

Options read_options(int argc, char** argv) {
  Options options;
  std::random_device device;
  options.seed = device();
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 >= argc || (name != "--schedules" && name != "--seed" && name != "--only" &&
                          name != "--stories" && name != "--stop-after")) {
      std::fprintf(stderr,
                   "usage: simulate [--schedules N] [--seed S] [--only NUMBER] [--stories N] "
                   "[--stop-after VIOLATIONS]\n");
      std::exit(2);
    }
    const std::uint64_t value = number_from(argv[i + 1]);
    if (name == "--seed")
      options.seed = value;
    else if (name == "--stories")
      options.stories = value;
    else if (name == "--stop-after")
      options.stop_after = value;
    else
      options.schedules = value;
    options.only = options.only || name == "--only";
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  std::printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
  std::fflush(stdout);
  void* shared =
      ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) {
    std::perror("mmap");
    return 2;
  }
  auto& progress = *new (shared) Progress;
  const auto begin = std::chrono::steady_clock::now();
  bool crashed = false;
  if (options.only) {
    run_one(options, options.schedules, progress);
  } else {
    const unsigned workers =
        std::clamp(std::thread::hardware_concurrency(), 1U, Progress::most_workers);
    std::map<pid_t, unsigned> running;
    for (unsigned i = 0; i < workers; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        work(options, progress, i);
        std::_Exit(0);
      }
      running[child] = i;
    }
    int status = 0;
    for (pid_t ended = ::wait(&status); ended > 0; ended = ::wait(&status))
      if (status != 0) {
        crashed = true;
        std::printf("a worker crashed (--only %llu)\n",
                    static_cast<unsigned long long>(progress.current[running[ended]].load()));
      }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%.1f s\n", took.count());
  std::printf("%llu schedules, %llu violations%s\n",
              static_cast<unsigned long long>(progress.run.load()),
              static_cast<unsigned long long>(progress.violations.load()),
              crashed ? ", and a worker crashed" : "");
  return progress.violations > 0 || crashed ? 1 : 0;
}
