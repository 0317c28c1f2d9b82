#include "cluster.h"

#include <algorithm>
#include <iterator>

#include "device/devices.h"
#include "process.h"

namespace block_drbd::simulation {

Cluster::Cluster(World& world, DrbdShape shape, bool has_healers)
    : world_(world),
      drbd_(world, shape),
      commands_(world, drbd_),
      has_healers_(has_healers),
      nodes_(static_cast<std::size_t>(shape.nodes)),
      changes_(static_cast<std::size_t>(shape.nodes * shape.resources)),
      watchers_(changes_.size()) {
  drbd_.changed = [this](int resource, int node) {
    ++changes_[index(resource, node)];
    for (Actor* actor : watchers_[index(resource, node)])
      world_.scheduler().wake(*actor);
  };
  drbd_.is_written = [this](int resource, int node) { return writer(resource, node) != nullptr; };
  drbd_.check = [this] { check_writers(); };
  drbd_.met_primaries = [this](int resource) { may_stand_alone.insert(resource); };
  drbd_.lost_update = [this](int resource) { may_stand_alone.insert(resource); };
  drbd_.settings_differ = [this](int resource, int node) {
    parted.insert(resource);
    if (this->node(node).healer != nullptr)
      world_.scheduler().wake(*this->node(node).healer);
  };
  for (int n = 0; n < shape.nodes; ++n)
    start_healer_soon(n);
  drbd_.demoted = [this](int resource, int node, int volume) {
    for (const auto& [id, domain] : this->node(node).domains) {
      if (domain.ending || domain.half_ended)
        continue;
      for (const Disk& disk : domain.disks)
        if (disk.resource == resource && (disk.volume == volume || drbd_.shape().generation == 9) &&
            value(node, path_of(domain, disk) / "physical-device"))
          world_.violation("the role was taken from a user",
                           DrbdModel::name_of(resource) + " is Secondary on node" +
                               std::to_string(node) + " though " + domain.name + " has it");
    }
  };
}

Domain& Cluster::make_domain(int node, const std::string& name, const std::string& uuid,
                             std::vector<Disk> disks) {
  Node& here = this->node(node);
  const unsigned id = here.next_domain++;
  Domain& domain = here.domains[id];
  domain.id = id;
  domain.node = node;
  domain.uuid = uuid;
  domain.disks = std::move(disks);
  here.xenstore["/local/domain/" + std::to_string(id) + "/vm"] = "/vm/" + uuid;
  rename(domain, name);
  return domain;
}

Domain* Cluster::domain(int node, unsigned id) {
  auto& domains = this->node(node).domains;
  const auto found = domains.find(id);
  return found == domains.end() ? nullptr : &found->second;
}

Domain* Cluster::find(int node, const std::string& name) {
  for (auto& [id, domain] : this->node(node).domains)
    if (domain.name == name)
      return &domain;
  return nullptr;
}

void Cluster::rename(Domain& domain, const std::string& name) {
  domain.name = name;
  node(domain.node).xenstore["/local/domain/" + std::to_string(domain.id) + "/name"] = name;
}

void Cluster::set_run(Domain& domain, Run run) {
  domain.run = run;
  world_.tell(domain.node, "domain", domain.name,
              run == Run::Running     ? " runs"
              : run == Run::Paused    ? " is paused"
              : run == Run::Suspended ? " is suspended"
                                      : " has ended");
  if (run != Run::Running)
    return;
  for (const Disk& disk : domain.disks) {
    if (!is_open(domain.node, domain.id, disk.device))
      world_.violation("a guest runs without its disk",
                       domain.name + " on node" + std::to_string(domain.node));
    for (const Opened& each : node(domain.node).opened) {
      const Domain* other = this->domain(domain.node, each.domain);
      if (each.resource == disk.resource && each.volume == disk.volume && each.domain != 0 &&
          each.domain != domain.id && other == nullptr && !shared_by_local_migration)
        world_.violation("an earlier guest's last writes may still come",
                         domain.name + " on node" + std::to_string(domain.node));
    }
    for (int p = 0; p < nodes(); ++p) {
      if (p == domain.node || !drbd_.reads_old_data(disk.resource, domain.node, p))
        continue;
      if (configured.starts_unseen && domain.is_new &&
          !drbd_.sees_each_other(disk.resource, domain.node, p))
        started_without.emplace(disk.resource, p);
      if (!decided_by_person.contains(disk.resource) &&
          !started_without.contains({disk.resource, p}))
        world_.violation("a guest runs on old data",
                         domain.name + " on node" + std::to_string(domain.node) +
                             " lacks what node" + std::to_string(p) + " wrote");
    }
    drbd_.wrote(disk.resource, domain.node);
  }
  domain.is_new = false;
  check_writers();
}

void Cluster::forget_domain(int node, unsigned id) {
  Node& here = this->node(node);
  std::erase_if(here.xenstore, [prefix = "/local/domain/" + std::to_string(id) + '/'](
                                   const auto& each) { return each.first.starts_with(prefix); });
  here.domains.erase(id);
}

xenstore::BackendPath Cluster::path_of(const Domain& domain, const Disk& disk) {
  return {"vbd", domain.id, disk.device};
}

void Cluster::write_backend(const Domain& domain, const Disk& disk) {
  auto& store = node(domain.node).xenstore;
  const auto path = path_of(domain, disk);
  store[path / "params"] = DrbdModel::name_of(disk.resource) +
                           (disk.names_volume ? "/" + std::to_string(disk.volume) : "");
  store[path / "mode"] = disk.mode;
  store[path / "dev"] = "xvd" + std::string(1, static_cast<char>('a' + (disk.device - 51712) / 16));
  store[path / "state"] = "2";
}

void Cluster::set_backend_state(int node, const xenstore::BackendPath& path, const char* state) {
  auto& store = this->node(node).xenstore;
  const auto found = store.find(path / "state");
  if (found != store.end())
    found->second = state;
}

void Cluster::wipe_backend(int node, const xenstore::BackendPath& path) {
  auto& store = this->node(node).xenstore;
  const std::string prefix = path.text() + '/';
  auto first = store.lower_bound(prefix);
  while (first != store.end() && first->first.starts_with(prefix))
    first = store.erase(first);
}

std::optional<std::string> Cluster::value(int node, const std::string& path) const {
  const auto& store = nodes_[static_cast<std::size_t>(node)].xenstore;
  const auto found = store.find(path);
  return found == store.end() ? std::nullopt : std::optional(found->second);
}

void Cluster::attached(int node, const std::string& backend, const std::string& physical_device) {
  const auto path = xenstore::BackendPath::parse(backend);
  for (int r = 0; r < drbd_.shape().resources; ++r)
    for (int v = 0; v < drbd_.shape().volumes; ++v)
      if (device::physical_device(drbd_.minor_of(r, v)) == physical_device) {
        // blkback opens it a moment later.
        const Opened opened{path->frontend(), path->device(), r, v};
        const bool writes = value(node, backend + "/mode").value_or("w").starts_with('w');
        const int boots = drbd_.boots(node);
        world_.scheduler().after(milliseconds(1 + world_.choices().below(8)), [=, this] {
          if (drbd_.boots(node) != boots || !drbd_.is_on(node) || !value(node, backend + "/state"))
            return;
          const Domain* domain = this->domain(node, opened.domain);
          if (opened.domain != 0 && (domain == nullptr || domain->ending))
            return;  // it is being closed already
          if (drbd_.open(r, node, v, writes))
            this->node(node).opened.push_back(opened);
          else
            world_.violation("a device was attached that cannot be opened",
                             DrbdModel::name_of(r) + " on node" + std::to_string(node));
        });
      }
}

void Cluster::close_backend(int node, unsigned domain, unsigned device) {
  auto& opened = this->node(node).opened;
  const auto found = std::find_if(opened.begin(), opened.end(), [&](const Opened& each) {
    return each.domain == domain && each.device == device;
  });
  if (found == opened.end())
    return;
  const Opened closed = *found;
  if (drbd_.is_frozen(closed.resource, node)) {  // its last writes are not finished
    world_.scheduler().after(milliseconds(500), [=, this, boots = drbd_.boots(node)] {
      if (drbd_.is_on(node) && drbd_.boots(node) == boots)
        close_backend(node, domain, device);
    });
    return;
  }
  opened.erase(found);
  drbd_.close(closed.resource, node, closed.volume);
}

bool Cluster::is_open(int node, unsigned domain, unsigned device) const {
  const auto& opened = nodes_[static_cast<std::size_t>(node)].opened;
  return std::any_of(opened.begin(), opened.end(), [&](const Opened& each) {
    return each.domain == domain && each.device == device;
  });
}

void Cluster::open_by_hand(int resource, int node, int volume, bool writes, Time duration) {
  if (!drbd_.is_on(node))
    return;
  const bool was_primary = drbd_.is_primary(resource, node);
  const auto opened = drbd_.try_open(resource, node, volume, writes);
  if (!opened) {
    world_.scheduler().after(milliseconds(60), [=, this, boots = drbd_.boots(node)] {
      if (drbd_.boots(node) == boots)
        open_by_hand(resource, node, volume, writes, duration);
    });
    return;
  }
  if (!*opened)
    return;
  world_.tell(node, "somebody", "opens ", DrbdModel::name_of(resource), "/", volume, " for ",
              writes ? "writing" : "reading");
  // Two that meet as Primary, or a Primary and a reader, may refuse each other.
  if (!was_primary)
    may_stand_alone.insert(resource);
  const int number = ++opened_by_hand_;
  by_hand_.push_back(
      {.number = number, .resource = resource, .node = node, .volume = volume, .writes = writes});
  world_.scheduler().after(duration, [=, this] { close_by_hand(number); });
}

void Cluster::close_by_hand(int number) {
  const auto found = std::find_if(by_hand_.begin(), by_hand_.end(),
                                  [&](const ByHand& each) { return each.number == number; });
  if (found == by_hand_.end())
    return;
  if (last_pages_take > 0 && ending_by_hand_.insert(number).second) {
    world_.scheduler().after(last_pages_take, [=, this] { close_by_hand(number); });
    return;
  }
  const ByHand closed = *found;
  by_hand_.erase(found);
  world_.tell(closed.node, "somebody", "closes ", DrbdModel::name_of(closed.resource), "/",
              closed.volume);
  drbd_.close(closed.resource, closed.node, closed.volume);
}

bool Cluster::is_open_by_hand(int node, int minor) const {
  return std::any_of(by_hand_.begin(), by_hand_.end(), [&](const ByHand& each) {
    return each.node == node && !ending_by_hand_.contains(each.number) &&
           drbd_.minor_of(each.resource, each.volume) == minor;
  });
}

std::vector<ByHand> Cluster::writers_by_hand(int resource, int node, bool is_start) const {
  std::vector<ByHand> writers;
  if (!is_used(resource, node))
    std::copy_if(
        by_hand_.begin(), by_hand_.end(), std::back_inserter(writers), [&](const ByHand& each) {
          const bool seen =
              each.node == node || (is_start && drbd_.sees_each_other(resource, node, each.node));
          return each.resource == resource && each.writes && seen;
        });
  return writers;
}

bool Cluster::is_held_by_hand(const ByHand& opened) const {
  return std::find(by_hand_.begin(), by_hand_.end(), opened) != by_hand_.end();
}

void Cluster::close_all_by_hand() {
  last_pages_take = 0;
  while (!by_hand_.empty())
    close_by_hand(by_hand_.front().number);
}

std::uint64_t Cluster::changes(int resource, int node) const {
  return changes_[index(resource, node)];
}

void Cluster::watch(int resource, int node, Actor* actor) {
  watchers_[index(resource, node)].push_back(actor);
}

void Cluster::unwatch(int resource, int node, Actor* actor) {
  std::erase(watchers_[index(resource, node)], actor);
}

void Cluster::crash(int node) {
  world_.tell(node, "power", "the node loses power");
  for (int r = 0; r < drbd_.shape().resources; ++r)
    for (int p = 0; p < nodes(); ++p)
      if (p != node && (drbd_.two_primaries(r, node, p) || drbd_.two_primaries(r, p, node)) &&
          !drbd_.configured_two_primaries(r))
        may_stand_alone.insert(r);
  std::erase_if(by_hand_, [&](const ByHand& each) { return each.node == node; });
  drbd_.power_off(node);
  commands_.forget(node);
  Node& here = this->node(node);
  const unsigned next = here.next_domain;
  here.domains.clear();
  here.xenstore.clear();
  here.opened.clear();
  here.claims.clear();
  here.windows.clear();
  here.held.clear();
  here.outages.clear();
  here.lost_a_helper = false;
  here.next_domain = next;
  world_.scheduler().kill_all_on(node);
}

void Cluster::boot(int node) {
  world_.tell(node, "power", "the node has booted");
  this->node(node).locks.clear();
  drbd_.boot(node);
  start_healer_soon(node);
}

void Cluster::start_healer_soon(int node) {
  if (!has_healers_)
    return;
  const Time delay = milliseconds(100) * (1 + world_.choices().below(50));
  world_.scheduler().after(delay, [this, node, boots = drbd_.boots(node)] {
    if (drbd_.is_on(node) && drbd_.boots(node) == boots)
      start_healer(*this, node);
  });
}

const Domain* Cluster::writer(int resource, int node) const {
  for (const auto& [id, domain] : nodes_[static_cast<std::size_t>(node)].domains)
    if (domain.run == Run::Running)
      for (const Disk& disk : domain.disks)
        if (disk.resource == resource && disk.mode == "w")
          return &domain;
  return nullptr;
}

bool Cluster::is_used(int resource, int node) const {
  for (const auto& [id, domain] : nodes_[static_cast<std::size_t>(node)].domains)
    if (!domain.ending)
      for (const Disk& disk : domain.disks)
        if (disk.resource == resource && value(node, path_of(domain, disk) / "physical-device"))
          return true;
  return false;
}

bool Cluster::sees_all(int resource, int node) const {
  for (int p = 0; p < nodes(); ++p)
    if (p != node && !drbd_.sees_each_other(resource, node, p))
      return false;
  return true;
}

void Cluster::check_writers() {
  for (int r = 0; r < drbd_.shape().resources; ++r) {
    const Domain* first = nullptr;
    for (int n = 0; n < nodes(); ++n) {
      for (const auto& [id, domain] : node(n).domains) {
        if (domain.run != Run::Running)
          continue;
        const bool writes =
            std::any_of(domain.disks.begin(), domain.disks.end(),
                        [&](const Disk& disk) { return disk.resource == r && disk.mode == "w"; });
        if (!writes)
          continue;
        if (!drbd_.has_quorum(r, n)) {
          // Others may have the guest, and who meets it then refuses. Where two primaries are
          // configured for ever nobody does, and it goes on beside them: README says so.
          may_stand_alone.insert(r);
          if (drbd_.configured_two_primaries(r))
            may_go_on.insert(r);
        }
        if (drbd_.shape().quorum != "off" && !drbd_.completes_writes(r, n))
          continue;
        if (first == nullptr)
          first = &domain;
        else if (!decided_by_person.contains(r) && !may_go_on.contains(r))
          world_.violation("two guests write", first->name + " on node" +
                                                   std::to_string(first->node) + " and " +
                                                   domain.name + " on node" + std::to_string(n) +
                                                   " have " + DrbdModel::name_of(r));
      }
    }
  }
}

void Cluster::check_at_rest() {
  for (int r = 0; r < drbd_.shape().resources; ++r) {
    const std::string name = DrbdModel::name_of(r);
    for (int n = 0; n < nodes(); ++n) {
      const std::string where = name + " on node" + std::to_string(n);
      if (drbd_.is_frozen(r, n))  // a person's turn: its device cannot be closed
        continue;
      if (drbd_.is_primary(r, n) && !is_used(r, n) && !decided_by_person.contains(r))
        world_.violation("a role was left behind", where + " is Primary without a user");
      for (int p = 0; p < nodes(); ++p) {
        if (p == n || drbd_.is_frozen(r, p))
          continue;
        const Link link = drbd_.link(r, n, p);
        const bool both = drbd_.is_primary(r, n) && drbd_.is_primary(r, p);
        if (link != Link::StandAlone && drbd_.link(r, p, n) != Link::StandAlone && !both &&
            drbd_.two_primaries(r, n, p) && !drbd_.configured_two_primaries(r))
          world_.violation("a window was left open", where + " towards node" + std::to_string(p));
        if (drbd_.is_parted_by_settings(r, n, p) && !drbd_.configured_two_primaries(r))
          world_.violation("parted nodes were not connected again",
                           where + " towards node" + std::to_string(p));
        if ((link == Link::StandAlone || parted.contains(r)) && !may_stand_alone.contains(r) &&
            !decided_by_person.contains(r))
          world_.violation("the nodes stand alone", where + " towards node" + std::to_string(p));
      }
      for (const record::Claim& claim : node(n).claims)
        if (claim.resource == name && !value(n, claim.backend / "state") && !is_used(r, n))
          world_.violation("a record was left behind",
                           where + ": the claim of " + claim.backend.text());
      const bool is_needed = [&] {
        for (int p = 0; p < nodes(); ++p)
          if (p != n &&
              ((drbd_.is_primary(r, n) && drbd_.is_primary(r, p)) ||
               drbd_.link(r, n, p) == Link::StandAlone || drbd_.link(r, p, n) == Link::StandAlone))
            return true;
        return false;
      }();
      if (node(n).windows.contains(name) && !is_needed)
        world_.violation("a record was left behind", where + ": the window");
    }
  }
}

}  // namespace block_drbd::simulation
