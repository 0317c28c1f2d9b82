// The program: it reads the command line and connects the library to the real node.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "command_line.h"
#include "drbd/drbdsetup.h"
#include "hotplug/add.h"
#include "hotplug/publish.h"
#include "hotplug/remove.h"
#include "process/ancestry.h"
#include "process/interruption.h"
#include "process/processes.h"
#include "spec/disk_spec.h"
#include "version.h"

namespace {

using namespace block_drbd;

constexpr int failed = 1;
constexpr int wrong_usage = 2;
/// Beyond the program's own limit, and before libxl's 40 s.
constexpr Duration last_resort = std::chrono::seconds(37);

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

Result<void> run(Verb verb, const std::string& xenbus_path, Report& report, int interruption) {
  const auto path = xenstore::BackendPath::parse(xenbus_path);
  if (!path)
    return failure(path.error());
  process::end_after(
      last_resort,
      "block-drbd: " + path->text() +
          ": gave up because xenstore, DRBD or the system log did not answer. Look at "
          "the resource's role with `drbdadm status`; a role that nobody needs is given "
          "back with `drbdadm secondary RESOURCE`\n");

  const auto store = xenstore::connect();
  if (!store)
    return failure(store.error());
  const auto records = record::open_records("/run/block-drbd", "/run/xen-hotplug");
  if (!records) {
    const std::string message = records.error().message;
    hotplug::publish_failure(**store, report, *path, message);
    return failure(message);
  }
  const auto processes =
      process::real_processes({"/usr/sbin", "/sbin", "/usr/bin", "/bin"}, interruption);
  const auto drbd = drbd::drbdsetup(*processes, "/proc/drbd");
  const auto devices = device::real_devices("");
  const auto clock = process::steady_clock(interruption);
  hotplug::Host host{
      .store = **store,
      .drbd = *drbd,
      .devices = *devices,
      .records = **records,
      .clock = *clock,
      .report = report,
      .is_below_migrate_receive = [] { return process::is_below_migrate_receive(::getppid()); },
      .random = std::minstd_rand(std::random_device()())};
  return verb == Verb::Add ? hotplug::add(host, *path) : hotplug::remove(host, *path);
}

/// Nothing here throws for a failure that is expected; no memory, and the like, still shall be
/// told.
Result<void> run_safely(Verb verb, const std::string& xenbus_path, Report& report,
                        int interruption) {
  try {
    return run(verb, xenbus_path, report, interruption);
  } catch (const std::exception& error) {
    return failure("backend " + printable(xenbus_path) + ": " + error.what() +
                   ". Look at `drbdadm status`: a resource of this guest may have the wrong role");
  }
}

}  // namespace

int main(int argc, char** argv) {
  tidy_descriptors();
  const auto verb = parse_command_line({argv + 1, argv + argc});
  if (!verb) {
    std::cerr << "block-drbd: " << verb.error().message << ".\n" << usage();
    return wrong_usage;
  }
  if (*verb == Verb::Help || *verb == Verb::Version) {
    std::cout << (*verb == Verb::Help ? usage() : std::string("block-drbd ") + version + '\n');
    return EXIT_SUCCESS;
  }
  const auto report = stderr_and_syslog();
  const char* xenbus_path = std::getenv("XENBUS_PATH");
  const auto done = run_safely(*verb, xenbus_path == nullptr ? "" : xenbus_path, *report,
                               process::catch_signals());
  if (!done) {
    report->tell(Severity::Failure, done.error().message);
    return failed;
  }
  return EXIT_SUCCESS;
}
