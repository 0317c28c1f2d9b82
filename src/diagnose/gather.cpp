#include "diagnose/gather.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "hotplug/survey.h"
#include "process/detached.h"
#include "spec/disk_spec.h"

namespace block_drbd::diagnose {

using drbd::Connection;
using drbd::Resource;
using drbd::Role;

namespace {

/// A tool that takes longer than this will not do for `add` either.
constexpr Duration limit = std::chrono::seconds(10);

/// On a node that is never still, the last look has to do.
constexpr int looks = 3;

std::string name_of_this_node() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "this node";
}

Script script_at(const std::string& path, const std::string& own_program) {
  struct stat there {};
  struct stat own {};
  if (::stat(path.c_str(), &there) != 0)
    return errno == ENOENT ? Script::Missing : Script::Unseen;
  if ((there.st_mode & S_IXUSR) == 0)
    return Script::NotExecutable;
  if (::stat(own_program.c_str(), &own) != 0)
    return Script::Unseen;
  return there.st_dev == own.st_dev && there.st_ino == own.st_ino ? Script::Ours : Script::Other;
}

Result<void> read_attachments(Facts& facts, xenstore::Store& store, device::Devices& devices) {
  auto backends = xenstore::backends_on_major(store, device::drbd_major);
  if (!backends)
    return failure(backends.error());
  auto known = hotplug::with_their_domains(store, std::move(*backends));
  if (!known)
    return failure(known.error());
  const auto forgotten = hotplug::forgotten_by_xenstore(store, devices, facts.records.claims);
  if (!forgotten)
    return failure(forgotten.error());
  facts.attachments = std::move(*known);
  for (const policy::Attachment& each : *forgotten) {
    facts.attachments.push_back(each);
    facts.forgotten.push_back(each.backend.path);
  }
  return {};
}

/// What the kernel has said tells why, or whether a guest may come from a node that is gone.
bool needs_kernel_log(const Resource& resource) {
  return resource.peers.empty() || drbd::has_lost_one_of_many(resource) ||
         std::ranges::any_of(resource.peers, [](const drbd::Peer& peer) {
           return peer.connection == Connection::StandAlone;
         });
}

/// What DRBD says, and what depends on it.
void look_at_drbd(Facts& facts, const Sources& sources, const std::set<std::string>& asked) {
  facts.drbd = {};
  facts.drbd_trouble.clear();
  facts.configured.reset();
  facts.configuration_trouble.clear();
  facts.two_primaries_configured.clear();
  const std::string only = asked.size() == 1 ? *asked.begin() : "";
  auto overview = drbd::look_over(sources.processes, sources.proc_drbd, only, limit);
  if (overview)
    facts.drbd = std::move(*overview);
  else
    facts.drbd_trouble = overview.error().message;
  auto configured = drbd::configured_resources(sources.processes, limit);
  if (configured)
    facts.configured = std::move(*configured);
  else
    facts.configuration_trouble = configured.error().message;
  facts.has_drbdadm = configured || configured.error().code != ENOENT;

  for (const drbd::Settings& each : facts.drbd.settings)
    if (each.allows_two_primaries() &&
        is_resource_name(each.resource))  // else it could be an option
      if (const auto is = sources.drbd.configured_two_primaries(each.resource, limit))
        facts.two_primaries_configured[each.resource] = *is;
  if (std::ranges::any_of(facts.drbd.resources, needs_kernel_log)) {
    auto log = drbd::read_kernel_log(sources.kernel_log);
    if (log)
      facts.kernel_log = std::move(*log);
    else
      facts.kernel_log_trouble = log.error().message;
  }
  for (const std::string& name : asked)
    if (facts.drbd_trouble.empty() && facts.drbd.resource(name) == nullptr)
      facts.why_not_up[name] = sources.drbd.why_not_up(name, limit);
}

void look_at_records(Facts& facts, const Sources& sources) {
  auto records = record::take_inventory(sources.records, sources.proc_locks);
  facts.records = records ? std::move(*records) : record::Inventory{};
  facts.records_trouble = records ? "" : records.error().message;
}

void look_at_xenstore(Facts& facts, const Sources& sources) {
  facts.attachments.clear();
  facts.forgotten.clear();
  const auto read = sources.connect().and_then(
      [&](const auto& store) { return read_attachments(facts, *store, sources.devices); });
  facts.xenstore_trouble = read ? "" : read.error().message;
}

/// What `add` and `remove` do meanwhile changes what they remember.
bool is_as_before(const Facts& facts, const Sources& sources) {
  const auto records = record::take_inventory(sources.records, sources.proc_locks);
  return !records || *records == facts.records;
}

void look_at_devices(Facts& facts, device::Devices& devices) {
  for (const Resource& resource : facts.drbd.resources) {
    const auto users = users_of(facts, resource);
    for (const drbd::Volume& volume : resource.volumes) {
      if (role_of(resource, volume) != Role::Primary)
        continue;
      if (auto uses = devices.host_uses(volume.minor); !uses.empty())
        facts.host_uses[volume.minor] = std::move(uses);
      else if (user_of(users, volume) == nullptr)
        facts.openers[volume.minor] = devices.processes_holding(volume.minor);
    }
  }
}

}  // namespace

Facts gather(const Sources& sources, const std::set<std::string>& asked) {
  Facts facts;
  facts.node = name_of_this_node();
  facts.is_root = ::geteuid() == 0;
  facts.script = script_at(sources.script, sources.own_program);
  facts.program = process::own_program(sources.own_program).value_or("/usr/sbin/block-drbd");

  if (auto config = config::read_config(sources.config))
    facts.config = std::move(*config);
  else
    facts.config_trouble = config.error().message;

  // A guest that starts or ends just now: what is seen of xenstore and of DRBD must be of one
  // moment.
  for (int look = 0; look < looks; ++look) {
    look_at_records(facts, sources);  // from which it is known what xenstore has forgotten
    look_at_xenstore(facts, sources);
    look_at_drbd(facts, sources, asked);
    if (is_as_before(facts, sources))
      break;
  }
  look_at_devices(facts, sources.devices);
  return facts;
}

}  // namespace block_drbd::diagnose
