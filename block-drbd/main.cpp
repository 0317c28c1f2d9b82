// The program: it reads the command line and connects the library to the real node.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <iterator>
#include <set>

#include "command_line.h"
#include "config/config.h"
#include "diagnose/gather.h"
#include "diagnose/json.h"
#include "diagnose/text.h"
#include "drbd/drbdsetup.h"
#include "hotplug/add.h"
#include "hotplug/admission.h"
#include "hotplug/gone.h"
#include "hotplug/heal.h"
#include "hotplug/keeper.h"
#include "hotplug/publish.h"
#include "hotplug/remove.h"
#include "process/ancestry.h"
#include "process/detached.h"
#include "process/interruption.h"
#include "process/processes.h"
#include "process/recorded.h"
#include "spec/disk_spec.h"
#include "version.h"
#include "xenstore/pipelined.h"

namespace {

using namespace block_drbd;

const std::vector<std::string> tool_directories{"/usr/sbin", "/sbin", "/usr/bin", "/bin"};

constexpr int failed = 1;
constexpr int wrong_usage = 2;
constexpr int unknown = 3;  // to a monitoring system
/// More than its tools may take together.
constexpr Duration test_limit = std::chrono::seconds(60);
/// Beyond the program's own limit, and before libxl's 40 s.
constexpr Duration last_resort = std::chrono::seconds(37);
constexpr Duration pause_for_xenstored = std::chrono::seconds(1);

/// The toolstack's descriptors leak into us, the migration stream among them: whatever keeps that
/// open hangs `xl migrate` on the sender. And 0, 1, 2 must be taken, or a file of ours would get
/// one.
void tidy_descriptors() {
  ::closefrom(STDERR_FILENO + 1);
  int descriptor = 0;
  do
    descriptor = ::open("/dev/null", O_RDWR);
  while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  ::close(descriptor);
}

bool serves_migration() {
  return process::is_below_migrate_receive(::getppid());
}

/// The node as it really is, and what shall be done on it.
Result<void> on_node(xenstore::Store& store, record::Records& records, Report& report,
                     int interruption, const std::function<Result<void>(hotplug::Host&)>& action) {
  const auto processes = process::real_processes(tool_directories, interruption);
  const auto drbd = drbd::drbdsetup(*processes, "/proc/drbd");
  const auto devices = device::real_devices("");
  const auto clock = process::steady_clock(interruption);
  hotplug::Host host{
      .store = store,
      .drbd = *drbd,
      .devices = *devices,
      .records = records,
      .clock = *clock,
      .report = report,
      .is_below_migrate_receive = serves_migration,
      .start_keeper = [](const std::string& resource) -> Result<void> {
        const auto program = process::own_program();
        if (!program)
          return failure(program.error());
        return process::start_detached({*program, "keep", resource}, "block-drbd keep " + resource);
      },
      .choices_for = [](const std::string& resource) -> Result<policy::Choices> {
        return config::read_config(config::path).map([&](const config::Config& config) {
          return config.of(resource);
        });
      },
      .kernel_log = [] { return drbd::read_kernel_log(); },
      .random = std::minstd_rand(std::random_device()())};
  return action(host);
}

Result<std::unique_ptr<record::Records>> open_records() {
  return record::open_records("/run/block-drbd", "/run/xen-hotplug");
}

/// Where nothing could be done about roles.
constexpr const char* role_may_stay =
    ". The resource may be Primary on this node: look with `drbdadm status`; a role that no guest "
    "needs is given back with `drbdadm secondary RESOURCE`";

Result<void> act(hotplug::Host& host, Verb verb, const xenstore::BackendPath& path,
                 const Result<std::vector<record::Claim>>& claims, Duration limit) {
  switch (verb) {
    case Verb::Add:
      return hotplug::add(host, path, limit);
    case Verb::Gone:
      return hotplug::gone(host, path);
    default:
      return hotplug::remove(host, path, claims, limit);
  }
}

/// What the toolstack runs, and udev.
Result<void> run_hotplug(Verb verb, const std::string& xenbus_path, Report& report,
                         int interruption) {
  const auto path = xenstore::BackendPath::parse(xenbus_path);
  if (!path)
    return failure(path.error());
  process::end_after(last_resort,
                     "block-drbd: " + path->text() +
                         ": gave up because xenstore, DRBD or the system log did not answer" +
                         role_may_stay + '\n');

  const auto records = open_records();
  // Before the wait for a place, in which the disk may be attached anew under its name.
  const auto claims = verb == Verb::Remove
                          ? records.and_then([&](const auto& all) { return all->claims_of(*path); })
                          : Result<std::vector<record::Claim>>();
  const auto clock = process::steady_clock(interruption);
  const TimePoint end = clock->now() + hotplug::time_limit;
  // What `gone` looks at is little, and all its time is for the lock of the resource.
  auto place = records && verb != Verb::Gone
                   ? hotplug::take_place(**records, *clock, report, serves_migration)
                   : nullptr;
  const auto store = xenstore::connect();
  if (!store)
    return failure("backend " + path->text() + ": " + store.error().message + role_may_stay);
  if (!records) {
    const std::string message =
        "backend " + path->text() + ": " + records.error().message + role_may_stay;
    if (const auto disk = xenstore::read_backend(**store, *path); disk && *disk)
      hotplug::publish_failure(**store, report, **disk, message);
    return failure(message);
  }
  return on_node(**store, **records, report, interruption, [&](hotplug::Host& host) {
    host.place = std::move(place);
    const auto limit = std::chrono::duration_cast<Duration>(end - clock->now());
    return act(host, verb, *path, claims, limit);
  });
}

/// What the above leave behind: it may take as long as it needs.
Result<void> run_keeper(const std::string& resource, Report& report, int interruption) {
  const auto records = open_records();
  if (!records)
    return failure("DRBD resource " + resource + ": " + records.error().message + role_may_stay);
  const auto clock = process::steady_clock(interruption);
  for (auto store = xenstore::connect();;) {
    Result<void> done =
        store ? on_node(**store, **records, report, interruption,
                        [&](hotplug::Host& host) { return hotplug::keep(host, resource); })
              : failure("DRBD resource " + resource + ": " + store.error().message + role_may_stay);
    if (store && (done || (*store)->is_connected()))
      return done;
    // xenstored was started anew, or will be: nobody else would go on with the work by then.
    report.tell(Severity::Failure, done.error().message + ". Connecting to xenstored again");
    // Through its socket: where it has none yet, the kernel would wait for it, and we for the
    // kernel.
    std::unique_ptr<xenstore::Store> again;
    while (!again) {
      if (!clock->wait(pause_for_xenstored))
        return done;
      again = xenstore::connect_pipelined();
    }
    store = std::move(again);
  }
}

/// The same, for the node, from its boot on; xenstore need not be there yet.
Result<void> run_healer(Report& report, int interruption) {
  const auto records = open_records();
  if (!records)
    return failure(records.error());
  const auto kernel_log = drbd::follow_kernel_log(interruption);
  if (!kernel_log)
    return failure(kernel_log.error());
  const auto processes = process::real_processes(tool_directories, interruption);
  const auto drbd = drbd::drbdsetup(*processes, "/proc/drbd");
  const auto clock = process::steady_clock(interruption);
  hotplug::Ward ward{.drbd = *drbd,
                     .kernel_log = **kernel_log,
                     .records = **records,
                     .clock = *clock,
                     .report = report};
  return hotplug::heal(ward);
}

/// What was asked for, as disks; a configuration may have several, or none.
Result<std::vector<diagnose::Target>> targets_of(const std::vector<std::string>& asked,
                                                 process::Processes& processes) {
  std::vector<diagnose::Target> targets;
  for (const std::string& word : asked) {
    auto found = diagnose::is_configuration(word)
                     ? diagnose::targets_in_configuration(processes, word)
                     : diagnose::target_from(word).map([](diagnose::Target&& target) {
                         return std::vector{std::move(target)};
                       });
    if (!found)
      return failure(found.error());
    if (found->empty())
      return failure(printable(word) + " has no DRBD disk");
    std::ranges::move(*found, std::back_inserter(targets));
  }
  return targets;
}

/// What an administrator types. Nothing is made, locked or changed.
int run_test(const CommandLine& command) {
  process::restore_signals();
  process::end_after(test_limit,
                     "block-drbd: gave up because xenstore or a device did not answer\n");
  const auto real = process::real_processes(tool_directories, -1);
  std::vector<process::Run> runs;
  const auto processes = process::recorded(*real, runs);
  const auto drbd = drbd::drbdsetup(*processes, "/proc/drbd");
  const auto devices = device::real_devices("");
  const auto targets = targets_of(command.asked, *processes);
  if (!targets) {
    const bool for_monitoring = command.form == Form::Monitoring;
    (for_monitoring ? std::cout << "DRBD-XEN UNKNOWN - " : std::cerr << "block-drbd: ")
        << targets.error().message << '\n';
    return for_monitoring ? unknown : wrong_usage;
  }
  std::set<std::string> names;
  for (const diagnose::Target& target : *targets)
    names.insert(target.spec.resource);
  const diagnose::Facts facts = diagnose::gather({.processes = *processes,
                                                  .drbd = *drbd,
                                                  .devices = *devices,
                                                  .connect = [] { return xenstore::connect(); }},
                                                 names);
  const diagnose::Examination examination = diagnose::examine(facts, *targets);
  switch (command.form) {
    case Form::Words: {
      const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
      const char* no_colour = std::getenv("NO_COLOR");
      std::cout << diagnose::in_words(
          facts, examination,
          {.in_colour = is_terminal && (no_colour == nullptr || *no_colour == '\0'),
           .every_verdict = command.every_verdict || !command.asked.empty()});
      if (command.tells_commands)
        std::cout << process::in_words(runs);
      break;
    }
    case Form::Json:
      std::cout << diagnose::in_json(facts, examination);
      break;
    case Form::Monitoring: {
      const auto [exit_code, line] = diagnose::for_monitoring(facts, examination);
      std::cout << line;
      return exit_code;
    }
  }
  return examination.is_fine() ? EXIT_SUCCESS : failed;
}

/// Nothing here throws for a failure that is expected; no memory, and the like, still shall be
/// told.
Result<void> run_safely(const CommandLine& command, Report& report, int interruption) {
  const bool keeps = command.verb == Verb::Keep;
  const bool heals = command.verb == Verb::Heal;
  const char* xenbus_path = std::getenv("XENBUS_PATH");
  const std::string backend = xenbus_path == nullptr ? "" : xenbus_path;
  try {
    return heals   ? run_healer(report, interruption)
           : keeps ? run_keeper(command.resource, report, interruption)
                   : run_hotplug(command.verb, backend, report, interruption);
  } catch (const std::exception& error) {
    return failure((heals   ? "block-drbd heal"
                    : keeps ? "DRBD resource " + command.resource
                            : "backend " + printable(backend)) +
                   ": " + error.what() +
                   ". Look at `drbdadm status`: a resource may have the wrong role");
  }
}

}  // namespace

int main(int argc, char** argv) {
  tidy_descriptors();
  const auto command = parse_command_line({argv + 1, argv + argc});
  if (!command) {
    std::cerr << "block-drbd: " << command.error().message << ".\n" << usage();
    return wrong_usage;
  }
  if (command->verb == Verb::Help || command->verb == Verb::Version) {
    std::cout << (command->verb == Verb::Help ? usage()
                                              : std::string("block-drbd ") + version + '\n');
    return EXIT_SUCCESS;
  }
  if (command->verb == Verb::Test)
    return run_test(*command);
  const auto report = stderr_and_syslog();
  const auto done = run_safely(*command, *report, process::catch_signals());
  if (!done) {
    report->tell(Severity::Failure, done.error().message);
    return failed;
  }
  return EXIT_SUCCESS;
}
