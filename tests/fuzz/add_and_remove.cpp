// `add`, `gone` and then `remove` over xenstore as anybody may have left it. The first line has a
// letter for each thing that is other than usual; the others are nodes, "mode=w" in the backend's
// directory or
// "/local/domain/5/name=web" anywhere, without "=" one that is missing; "^" is the end of a line.
#include <algorithm>

#include "drbd/text.h"
#include "fakes.h"
#include "hotplug/add.h"
#include "hotplug/gone.h"
#include "hotplug/remove.h"
#include "spec/disk_spec.h"
#include "targets.h"

namespace block_drbd::fuzz {

namespace {

using drbd::Role;
using test::FakeNode;

const xenstore::BackendPath own = FakeNode::path(5);

void set_up(FakeNode& node, std::string_view letters) {
  for (const char letter : letters)
    switch (letter) {
      case 'v':
        node.second_volume();
        break;
      case 'p':
        node.peer_is(Role::Primary);
        break;
      case 'l':
        node.link_is_down();
        break;
      case 'm':
        node.below_migrate_receive = true;
        break;
      case 'h':
        node.drbd.make_primary(1);
        break;
      case 'o':
        node.drbd.open.insert(1);
        break;
      case 'P':
        node.drbd.promotion_hangs = true;
        break;
      case 'D':
        node.drbd.demotion_hangs = true;
        break;
      case 'W':
        node.drbd.window_hangs = true;
        break;
      case 'n':
        node.devices.without_node.insert(1);
        break;
      case 'f':
        node.records.full = true;
        break;
      case 'k':
        node.no_keeper = true;
        break;
      case 'x':
        node.records.xen_locked = true;
        break;
      case 'c':
        node.choices = policy::Choices{.starts_unseen = true};
        break;
      case 'd':
        node.store.domains.insert(6);
        break;
      default:
        break;
    }
}

void fill(test::FakeStore& store, std::string_view lines) {
  while (!lines.empty()) {
    const std::string_view line = drbd::take_line(lines);
    const auto equals = line.find('=');
    const std::string_view name = line.substr(0, equals);
    const bool elsewhere = name.starts_with('/') || name.starts_with("backend/");
    const std::string path = elsewhere ? std::string(name) : own / name;
    if (equals == std::string_view::npos) {
      store.values.erase(path);
      continue;
    }
    std::string value(line.substr(equals + 1));
    std::ranges::replace(value, '^', '\n');
    store.values[path] = std::move(value);
  }
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// Below /local/domain/ID a guest owns data, control, device and more; not these.
bool is_toolstacks(std::string_view path) {
  constexpr std::string_view homes = "/local/domain/";
  const auto slash = path.rfind('/');
  const std::string_view directory = path.substr(0, slash);
  const std::string_view key = path.substr(slash + 1);
  if (path.starts_with(homes))
    return directory.size() > homes.size() && is_number(directory.substr(homes.size())) &&
           (key == "name" || key == "vm" || key == "target");
  return directory.starts_with("backend/") && xenstore::BackendPath::parse(directory) &&
         (key == "state" || key == "params" || key == "mode" || key == "dev" ||
          key == "physical-device");
}

/// The directory of all backends, or of those of a domain.
bool is_of_backends(std::string_view path) {
  constexpr std::string_view all = "backend/vbd";
  return path == all || (path.starts_with(all) && path.find('/', all.size()) == all.size() &&
                         path.find('/', all.size() + 1) == std::string_view::npos);
}

/// What is written are the answers that libxl and the backends wait for.
void demand_only_answers(const std::map<std::string, std::string>& before,
                         const std::map<std::string, std::string>& after) {
  for (const auto& [path, value] : after)
    if (const auto found = before.find(path); found == before.end() || found->second != value)
      demand(path == own / "physical-device" || path == own / "physical-device-path" ||
                 path == own / "hotplug-status" || path == own / "hotplug-error",
             "nothing else is written", path);
}

void demand_sentences(const FakeNode& node) {
  for (const auto* told : {&node.report.said, &node.report.logged})
    for (const std::string& text : *told)
      demand_sentence(text);
}

bool is_primary(const FakeNode& node) {
  return std::ranges::any_of(node.drbd.state.volumes, [&](const drbd::Volume& volume) {
    return node.drbd.role(volume.minor) == Role::Primary;
  });
}

bool is_released(const record::Claim& claim) {
  return claim.phase == record::Phase::Released;
}

/// Somebody's device is one of this resource's.
bool has_other_user(FakeNode& node) {
  return std::ranges::any_of(node.store.values, [](const auto& each) {
    const auto& [path, value] = each;
    return path.starts_with("backend/") && path.ends_with("/physical-device") &&
           path != own / "physical-device" && value.starts_with("93:");
  });
}

}  // namespace

void feed_add_and_remove(std::string_view text) {
  const std::string_view letters = drbd::take_line(text);
  const auto has = [&](char letter) { return letters.find(letter) != std::string_view::npos; };
  FakeNode node(has('9') ? 9 : 8);
  set_up(node, letters);
  fill(node.store, text);
  const auto before = node.store.values;
  const std::string params = node.value(5, "params");
  const bool was_attached = !node.value(5, "physical-device").empty();
  const bool peer_was_primary = node.peer().role == Role::Primary;

  const auto added = hotplug::add(node.host, own);
  demand_told(added);
  demand_only_answers(before, node.store.values);
  if (!parse_disk_spec(params)) {
    demand(!added, "what is no disk is not attached", params);
    demand(
        std::ranges::all_of(node.drbd.calls, [](const auto& call) { return call == "status"; }) &&
            node.records.all.empty(),
        "what is no disk moves nothing", params);
  }
  if (added && !was_attached) {
    demand(is_primary(node), "an attached disk is Primary");
    demand(node.value(5, "hotplug-status") == "connected", "and its backend is told so");
    demand(!peer_was_primary || has('m') || node.value(5, "mode").find('!') != std::string::npos,
           "beside a Primary peer only for a migration, or where a person vouches");
  }
  if (!added) {
    demand(node.value(5, "physical-device").empty() || was_attached, "a failure attaches nothing");
    demand(!before.contains(own / "state") || !node.value(5, "hotplug-error").empty(),
           "a failure is told where libxl looks");
  }

  // A guest can make blkback let go of its disk, but not the toolstack.
  const auto claims = node.records.all;
  demand_told(hotplug::gone(node.host, own));
  if (before.contains(own / "state"))
    demand(node.records.all == claims, "a disk is in use as long as its directory is there");
  if (has('g')) {
    node.store.wipe(own.text());
    const auto gone = hotplug::gone(node.host, own);
    demand_told(gone);
    demand(!gone || has('f') || std::ranges::all_of(node.records.all, is_released),
           "what is gone is not in use");
  }

  const auto between = node.store.values;
  const auto removed = hotplug::remove(node.host, own, node.records.claims_of(own));
  demand_told(removed);
  demand_only_answers(between, node.store.values);
  demand(!is_primary(node) || !removed || has('h') || has_other_user(node),
         "a role does not stay behind unsaid");
  demand_sentences(node);
  for (const std::string& path : node.store.asked_for)
    demand(is_toolstacks(path), "nothing is read that a guest can write", path);
  for (const std::string& path : node.store.listed)
    demand(is_of_backends(path), "nor listed", path);
  constexpr auto limits = 2 * (hotplug::time_limit + std::chrono::seconds(6));
  demand(node.clock.elapsed() <= limits, "both end in time",
         std::to_string(node.clock.elapsed().count()));
}

}  // namespace block_drbd::fuzz
