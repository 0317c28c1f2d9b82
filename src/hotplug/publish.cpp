#include "hotplug/publish.h"

#include "spec/disk_spec.h"

namespace block_drbd::hotplug {

using xenstore::State;

namespace {

/// xenstored takes values of less than 4 KiB, path included.
constexpr std::size_t longest_message = 2000;

}  // namespace

std::string has_another_disk(const xenstore::Backend& backend) {
  return "the disk was detached meanwhile, and backend " + backend.path.text() +
         " is another one's: " + printable(backend.params) + ", " + printable(backend.mode) +
         ". Look with `xl block-list " + std::to_string(backend.path.frontend()) +
         "` which disks the guest has";
}

Result<void> publish_device(xenstore::Store& store, const xenstore::Backend& disk,
                            const std::string& physical_device, const std::string& node) {
  const xenstore::BackendPath& path = disk.path;
  return store.transaction([&]() -> Result<void> {
    const auto backend = xenstore::read_backend(store, path);
    if (!backend)
      return failure(backend.error());
    // Under xend udev may run us before the backend's driver has moved on from Initialising.
    if (!*backend ||
        ((*backend)->state != State::InitWait && (*backend)->state != State::Initialising))
      return failure("the toolstack has given up this disk meanwhile (backend " + path.text() +
                     "): see its own message, and /var/log/xen");
    if (!xenstore::is_same_disk(**backend, disk))
      return failure(has_another_disk(**backend));
    if (!(*backend)->physical_device.empty())
      return failure("another block script has attached device " +
                     printable((*backend)->physical_device) + " to backend " + path.text() +
                     " meanwhile: only one may serve a disk");
    return store.write_each({{path / "physical-device-path", node},
                             {path / "physical-device", physical_device},
                             {path / "hotplug-status", "connected"}});
  });
}

void publish_failure(xenstore::Store& store, Report& report, const xenstore::Backend& disk,
                     const std::string& message) {
  const xenstore::BackendPath& path = disk.path;
  const auto written = store.transaction([&]() -> Result<void> {
    const auto backend = xenstore::read_backend(store, path);
    if (!backend)
      return failure(backend.error());
    if (!*backend || !xenstore::is_same_disk(**backend, disk))
      return {};
    if (auto error = store.write(path / "hotplug-error", message.substr(0, longest_message));
        !error)
      return error;
    // A device that is attached works, whatever this run was about.
    return (*backend)->physical_device.empty() ? store.write(path / "hotplug-status", "error")
                                               : Result<void>();
  });
  if (!written)
    report.tell(Severity::Failure,
                "the reason could not be written to xenstore: " + written.error().message);
}

}  // namespace block_drbd::hotplug
