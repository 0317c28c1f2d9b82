#include "drbd/overview.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <optional>

#include "drbd/text.h"
#include "file.h"

namespace block_drbd::drbd {

namespace {

/// What a command printed that must not fail.
Result<std::string> printed(process::Processes& processes, const std::vector<std::string>& argv,
                            Duration limit) {
  auto output = processes.run(argv, limit);
  if (!output)
    return failure(output.error());
  if (output->exit_code != 0) {
    std::string_view said = output->err;
    return failure('`' + argv[0] + ' ' + argv[1] + "` says: " + printable(take_line(said)));
  }
  return std::move(output->out);
}

/// More than these are asked about in one go.
constexpr std::ptrdiff_t most_asked_singly = 8;

/// `drbdsetup status` of one resource, or of all.
using Status = std::function<Result<std::vector<Resource>>(const std::string& resource)>;

/// DRBD 8.4. A node may have hundreds of resources, and status of all takes as long as everything
/// else together; of those that are well /proc/drbd tells the same.
Result<std::vector<Resource>> what_is_up(const std::vector<Settings>& settings,
                                         std::string_view proc_drbd, const Status& status) {
  auto told = read_proc(settings, proc_drbd);
  if (told.empty() ||
      std::ranges::count(told, false, &std::optional<Resource>::has_value) > most_asked_singly)
    return status("");
  std::vector<Resource> resources;
  for (std::size_t i = 0; i < told.size(); ++i) {
    if (told[i]) {
      resources.push_back(std::move(*told[i]));
      continue;
    }
    if (!is_resource_name(settings[i].resource))  // it could be an option
      return status("");
    auto asked = status(settings[i].resource);
    if (!asked || asked->size() != 1)
      return status("");
    resources.push_back(std::move(asked->front()));
  }
  return resources;
}

}  // namespace

const Resource* Overview::resource(std::string_view name) const {
  const auto found = std::ranges::find(resources, name, &Resource::name);
  return found == resources.end() ? nullptr : &*found;
}

const Settings* Overview::settings_of(std::string_view name) const {
  const auto found = std::ranges::find(settings, name, &Settings::resource);
  return found == settings.end() ? nullptr : &*found;
}

Result<Overview> look_over(process::Processes& processes, const std::string& proc_drbd,
                           const std::string& only, Duration limit) {
  const auto proc = read_file(proc_drbd);
  if (!proc && proc.error().code != ENOENT)
    return failure(proc.error());
  Overview overview;
  if (!proc)
    return overview;
  overview.generation = read_generation(*proc);
  overview.version = read_version(*proc);
  const bool json = overview.generation == Generation::V9;

  const auto drbdsetup = [&](const char* command, const std::string& resource,
                             const std::vector<std::string>& options) {
    std::vector<std::string> words{"drbdsetup", command};
    if (!resource.empty())
      words.push_back(resource);
    words.insert(words.end(), options.begin(), options.end());
    return printed(processes, words, limit);
  };
  using Words = std::vector<std::string>;
  const Status status = [&](const std::string& resource) {
    return drbdsetup("status", resource,
                     json ? Words{"--json", "--statistics"} : Words{"--verbose"})
        .and_then(json ? read_status_json : read_status_text);
  };
  Result<std::vector<Resource>> resources;
  if (!only.empty()) {
    resources = status(only);
    if (!resources || resources->empty())
      return look_over(processes, proc_drbd, "", limit);  // it is not up
  }
  // Without --show-defaults: what is not shown has its default, and of many resources it is much.
  auto settings = drbdsetup("show", only, {}).and_then(read_show);
  if (!settings)
    return failure(settings.error());
  if (only.empty())
    resources = json ? status("") : what_is_up(*settings, *proc, status);
  if (!resources)
    return failure(resources.error());
  overview.settings = std::move(*settings);
  overview.resources = std::move(*resources);
  add_from_proc(overview.resources, *proc);
  return overview;
}

Result<std::vector<std::string>> configured_resources(process::Processes& processes,
                                                      Duration limit) {
  const auto text = printed(processes, {"drbdadm", "sh-resources"}, limit);
  if (!text)
    return failure(text.error());
  std::vector<std::string> names;
  std::string_view rest = *text;
  while (!rest.empty())
    for (std::string_view line = take_line(rest), name; !(name = take_word(line)).empty();)
      names.emplace_back(name);
  return names;
}

void add_from_proc(std::span<Resource> resources, std::string_view proc_drbd) {
  const auto roles = read_minor_roles(proc_drbd);
  const auto times = read_resync_times(proc_drbd);
  for (Resource& resource : resources)
    for (Volume& volume : resource.volumes) {
      if (const auto role = roles.find(volume.minor); role != roles.end())
        volume.role = role->second;
      const auto time = times.find(volume.minor);
      if (time == times.end())
        continue;
      for (Peer& peer : resource.peers)
        for (PeerVolume& each : peer.volumes)
          if (each.number == volume.number)
            each.seconds_left = time->second;
    }
}

}  // namespace block_drbd::drbd
