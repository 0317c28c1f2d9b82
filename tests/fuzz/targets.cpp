#include "targets.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "command_line.h"
#include "config/config.h"
#include "device/devices.h"
#include "diagnose/target.h"
#include "drbd/answer.h"
#include "drbd/kernel_log.h"
#include "drbd/overview.h"
#include "drbd/text.h"
#include "record/claim.h"
#include "record/held.h"
#include "record/window.h"
#include "tools.h"

namespace block_drbd::fuzz {

namespace {

void feed_disk(std::string_view text) {
  const auto spec = parse_disk_spec(text);
  demand_told(spec);
  if (spec)
    demand(is_resource_name(spec->resource) && spec->volume.value_or(0) >= 0 &&
               spec->volume.value_or(0) <= 65534,
           "a disk has a name that may be an argument and a file's", spec->resource);
  const auto target = diagnose::target_from(text);
  demand_told(target);
  if (target)
    demand(is_resource_name(target->spec.resource), "so has the disk of a line",
           target->spec.resource);
}

/// Words as they are typed: each ends with a NUL, or with its line.
void feed_command_line(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(std::string_view("\n\0", 2)));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    words.emplace_back(word);
  }
  const auto command = parse_command_line(words);
  demand_told(command);
  if (!command)
    return;
  demand(
      command->verb == Verb::Keep ? is_resource_name(command->resource) : command->resource.empty(),
      "a keeper has a name that may be an argument and a file's", command->resource);
  demand(command->verb == Verb::Test || (command->asked.empty() && command->form == Form::Words &&
                                         !command->every_verdict && !command->tells_commands),
         "only a test is asked about something");
  demand(command->form == Form::Words || (!command->every_verdict && !command->tells_commands),
         "what is for a program is for nobody else");
}

void feed_backend_path(std::string_view text) {
  const auto path = xenstore::BackendPath::parse(text);
  demand_told(path);
  if (!path)
    return;
  const auto again = xenstore::BackendPath::parse(path->text());
  demand(again && *again == *path, "a path is read as it is written", path->text());
}

/// Names of domains, as the toolstack was given them.
void feed_domain_name(std::string_view text) {
  const auto name = take_part(text);
  demand(!xenstore::is_kept_of(name, name), "nobody is kept of itself");
  xenstore::Domain domain;
  domain.name = name;
  demand(!xenstore::is_arriving(domain) || !xenstore::has_left(domain),
         "a name means one thing at most");
  if (xenstore::is_kept_of(name, text))
    demand(text.starts_with(name) && text.size() == name.size() + 15, "only a time is added");
}

/// Each of these records is read as it was written, and nothing else is.
template <typename Record>
void demand_record(Result<Record> (*read)(std::string_view), std::string_view text) {
  const auto record = read(text);
  demand_told(record);
  if (!record)
    return;
  const std::string written = to_json(*record);
  const auto again = read(written);
  demand(again && to_json(*again) == written, "a record is read as it was written", written);
}

void feed_record(std::string_view text) {
  demand_record(record::claim_from_json, text);
  demand_record(record::window_from_json, text);
  demand_record(record::held_from_json, text);
  demand_record(record::outage_from_json, text);
}

void feed_configuration(std::string_view text) {
  const auto config = config::config_from_json(text);
  demand_told(config);
  if (!config)
    return;
  for (const auto& [name, choices] : config->resources)
    demand(is_resource_name(name), "only resources have choices", name);
}

void feed_status_json(std::string_view text) {
  demand_told(drbd::read_status_json(text));
}

void feed_status_text(std::string_view text) {
  demand_told(drbd::read_status_text(text));
}

void feed_show(std::string_view text) {
  demand_told(drbd::read_show(text));
}

void feed_dump(std::string_view text) {
  demand_told(drbd::read_dump(text, "r0"));
}

void feed_answer(std::string_view text) {
  for (const int exit_code : {0, 5, 10, 11, 17, 20}) {
    const drbd::Answer answer = drbd::read_answer(exit_code, text);
    demand(answer.ok() == (exit_code == 0), "only the exit code tells a success");
    demand_plain(answer.text);
  }
}

drbd::Resource some_resource() {
  return drbd::read_status_text(
             "r0 role:Secondary\n"
             "  volume:0 minor:0 disk:UpToDate\n"
             "  volume:1 minor:1 disk:UpToDate\n"
             "  a role:Secondary\n"
             "    volume:0 replication:SyncSource\n"
             "    volume:1 replication:Established\n"
             "  b role:Primary\n\n")
      ->front();
}

void feed_proc_drbd(std::string_view text) {
  drbd::read_generation(text);
  std::vector<drbd::Resource> resources{some_resource()};
  drbd::add_from_proc(resources, text);
  for (const auto& [minor, seconds] : drbd::read_resync_times(text))
    demand(seconds >= 0, "no time left is less than none", std::to_string(seconds));
}

void feed_kernel_log(std::string_view text) {
  const drbd::Resource looked_at = some_resource();
  drbd::why_parted(text, looked_at, "a");
  for (const std::string& lost : drbd::lost_as_primary(text, looked_at))
    demand(std::ranges::any_of(looked_at.peers,
                               [&](const drbd::Peer& peer) {
                                 return peer.name == lost && !drbd::is_settled(peer);
                               }),
           "who can be seen is not lost", lost);
  std::set<std::string> of_lines;
  for (std::string_view lines = text; !lines.empty();) {
    const std::string_view line = drbd::take_line(lines);
    for (const std::string& name : drbd::ever_parted_by_two_primaries(line)) {
      const drbd::Resource resource{.name = name, .volumes = {}, .peers = {}};
      demand(is_resource_name(name), "the healer is told of resources only", name);
      demand(drbd::why_parted(line, resource, "") != drbd::Parted::Unknown,
             "and of those that the line is about", line);
      of_lines.insert(name);
    }
  }
  demand(drbd::ever_parted_by_two_primaries(text) == of_lines, "no line hides another");
}

/// What `xl create --dryrun` printed.
void feed_xl(std::string_view text) {
  Tools tools;
  tools.answer_all({.exit_code = 0, .out = std::string(text), .err = {}});
  const auto targets = diagnose::targets_in_configuration(tools, "/");
  if (!targets) {
    for (std::string_view lines = targets.error().message; !lines.empty();)
      demand_plain(drbd::take_line(lines));
    return;
  }
  for (const diagnose::Target& each : *targets)
    demand(is_resource_name(each.spec.resource), "only disks of DRBD", each.spec.resource);
}

}  // namespace

const std::map<std::string_view, Feed>& targets() {
  static const std::map<std::string_view, Feed> all = {
      {"add-and-remove", feed_add_and_remove},
      {"ancestry", feed_ancestry},
      {"answer", feed_answer},
      {"backend-path", feed_backend_path},
      {"command-line", feed_command_line},
      {"configuration", feed_configuration},
      {"devices", feed_devices},
      {"disk", feed_disk},
      {"domain-name", feed_domain_name},
      {"drbdsetup", feed_drbdsetup},
      {"dump", feed_dump},
      {"inventory", feed_inventory},
      {"kernel-log", feed_kernel_log},
      {"proc-drbd", feed_proc_drbd},
      {"record", feed_record},
      {"show", feed_show},
      {"status-json", feed_status_json},
      {"status-text", feed_status_text},
      {"test", feed_test},
      {"xl", feed_xl},
  };
  return all;
}

void demand(bool is_kept, std::string_view promise, std::string_view found) {
  if (is_kept)
    return;
  std::cerr << "broken: " << promise << ": '" << found << "'\n";
  std::abort();
}

void demand_plain(std::string_view text) {
  demand(std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }),
         "what is told is plain", text);
}

void demand_sentence(std::string_view text) {
  demand(!text.empty(), "a failure is told");
  demand_plain(text);
}

std::string_view take_part(std::string_view& text) {
  constexpr std::string_view mark = "\n%\n";
  const auto found = text.find(mark);
  const std::string_view part = text.substr(0, found);
  text.remove_prefix(found == std::string_view::npos ? text.size() : found + mark.size());
  return part;
}

}  // namespace block_drbd::fuzz
