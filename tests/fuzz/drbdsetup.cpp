// DRBD through its tools, which answer with anything: /proc/drbd, an exit code, what was printed,
// and what was said.
#include "drbd/drbdsetup.h"

#include "drbd/overview.h"
#include "targets.h"
#include "temp_dir.h"
#include "tools.h"

namespace block_drbd::fuzz {

void feed_drbdsetup(std::string_view text) {
  static const test::TempDir directory;
  const std::string proc = directory.write("drbd", take_part(text));
  const std::string_view exit_code = take_part(text);
  Tools tools;
  const std::string_view out = take_part(text);
  tools.answer_all({.exit_code = exit_code.empty() ? 0 : exit_code.front() - '0',
                    .out = std::string(out),
                    .err = std::string(text)});
  const auto drbd = drbd::drbdsetup(tools, proc);
  constexpr Duration limit{1};

  const auto resource = drbd->status("r0", limit);
  demand_told(resource);
  demand_told(drbd->settings("r0", limit));
  demand_told(drbd->configured_two_primaries("r0", limit));
  demand_told(drbd::look_over(tools, proc, "", limit));
  demand_told(drbd::configured_resources(tools, limit));
  demand_sentence(drbd->why_not_up("r0", limit));
  if (!resource)
    return;
  demand(resource->name == "r0", "the state is that of the resource", resource->name);
  for (const drbd::Volume& volume : resource->volumes) {
    demand_told(drbd->promote(*resource, volume, limit));
    demand_told(drbd->demote(*resource, volume, limit));
  }
}

}  // namespace block_drbd::fuzz
