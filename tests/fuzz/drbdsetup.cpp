// DRBD through its tools, which answer with anything: /proc/drbd, an exit code, what was printed,
// what was said, and what `drbdsetup show` prints, if that is something else.
#include "drbd/drbdsetup.h"

#include <algorithm>

#include "drbd/overview.h"
#include "drbd/text.h"
#include "process/recorded.h"
#include "targets.h"
#include "temp_dir.h"
#include "tools.h"

namespace block_drbd::fuzz {

namespace {

constexpr Duration limit{1};

/// What it was a moment ago: a tool or the kernel that says the same again changes nothing.
void ask_again(drbd::Drbd& drbd, const drbd::Resource& known) {
  const auto again = drbd.status_again(known, limit);
  demand_told(again);
  demand(again.has_value(), "what could be read can be read again");
  demand(
      again->name == known.name && std::ranges::equal(again->volumes, known.volumes, {},
                                                      &drbd::Volume::minor, &drbd::Volume::minor),
      "a second look is at the same devices", again->name);
}

void ask(drbd::Drbd& drbd) {
  const auto settings = drbd.settings("r0", limit);
  demand_told(settings);
  if (settings) {
    demand(settings->resource == "r0", "the settings are those of the resource",
           settings->resource);
    const drbd::Resource resource{.name = "r0", .volumes = {}, .peers = {}};
    for (const drbd::ConnectionSettings& connection : settings->connections)
      for (const bool allowed : {true, false})
        demand_told(drbd.set_two_primaries(resource, connection, allowed, limit));
  }
  demand_told(drbd.configured_two_primaries("r0", limit));
  demand_sentence(drbd.why_not_up("r0", limit));
  const auto watch = drbd.watch("r0");
  demand_told(watch);
  if (watch)
    (*watch)->wait(limit);

  const auto resource = drbd.status("r0", limit);
  demand_told(resource);
  if (!resource)
    return;
  demand(resource->name == "r0", "the state is that of the resource", resource->name);
  ask_again(drbd, *resource);
  for (const drbd::Volume& volume : resource->volumes) {
    demand_told(drbd.promote(*resource, volume, limit));
    demand_told(drbd.demote(*resource, volume, limit));
  }
  demand_told(drbd.connect(*resource, std::nullopt, limit));
  for (const drbd::Peer& peer : resource->peers)
    demand_told(drbd.connect(*resource, peer.node_id, limit));
}

}  // namespace

void feed_drbdsetup(std::string_view text) {
  static const test::TempDir directory;
  const std::string proc = directory.write("drbd", take_part(text));
  const std::string_view exit_code = take_part(text);
  Tools tools;
  const std::string_view out = take_part(text);
  process::Output output{.exit_code = exit_code.empty() ? 0 : exit_code.front() - '0',
                         .out = std::string(out),
                         .err = std::string(take_part(text))};
  tools.answer_all(output);
  if (!text.empty()) {
    output.out = text;
    tools.answer("drbdsetup show", output);
  }
  std::vector<process::Run> runs;
  const auto recorded = process::recorded(tools, runs);
  const auto drbd = drbd::drbdsetup(*recorded, proc);
  ask(*drbd);
  demand_told(drbd::look_over(*recorded, proc, "", limit));
  demand_told(drbd::configured_resources(*recorded, limit));
  const std::string words = process::in_words(runs);
  for (std::string_view lines = words; !lines.empty();)
    demand_plain(drbd::take_line(lines));
}

}  // namespace block_drbd::fuzz
