#include "diagnose/examination.h"

#include <algorithm>
#include <set>

#include "policy/decide.h"

namespace block_drbd::diagnose {

namespace {

ExaminedDisk look_at(const Facts& facts, Target target) {
  ExaminedDisk disk{.target = std::move(target),
                    .resource = nullptr,
                    .volume = nullptr,
                    .user = {},
                    .verdicts = {}};
  if (disk.target.driver_domain.empty())
    disk.resource = facts.drbd.resource(disk.target.spec.resource);
  if (disk.resource != nullptr)
    disk.volume = policy::requested_volume(*disk.resource, disk.target.spec.volume);
  if (disk.volume != nullptr)
    if (const auto users = users_of(facts, *disk.resource);
        const policy::Attachment* user = user_of(users, *disk.volume))
      disk.user = *user;
  disk.verdicts = judge(facts, disk.target);
  return disk;
}

/// By one guest; a disk that may only be read can be had twice.
bool is_named_twice(const std::vector<ExaminedDisk>& disks, const ExaminedDisk& disk) {
  return !disk.target.guest.empty() && disk.volume != nullptr &&
         std::ranges::count_if(disks, [&](const ExaminedDisk& each) {
           return each.volume == disk.volume && each.target.guest == disk.target.guest &&
                  each.target.access == policy::Access::ReadWrite;
         }) > 1;
}

/// Who names a resource alone asks about all its volumes; a disk line that does so is wrong.
std::vector<Target> with_volumes(const Facts& facts, const Target& target) {
  const bool is_line = !target.vdev.empty() || !target.guest.empty();
  const drbd::Resource* resource = facts.drbd.resource(target.spec.resource);
  if (is_line || target.spec.volume || !target.driver_domain.empty() || resource == nullptr ||
      resource->volumes.size() < 2)
    return {target};
  std::vector<Target> targets(resource->volumes.size(), target);
  for (std::size_t i = 0; i < targets.size(); ++i)
    targets[i].spec.volume = resource->volumes[i].number;
  return targets;
}

}  // namespace

bool Examination::has_problem() const {
  return std::ranges::any_of(findings, &Finding::is_problem);
}

bool Examination::is_fine() const {
  return !has_problem() && std::ranges::all_of(disks, [](const ExaminedDisk& disk) {
    return disk.verdicts.is_fine();
  });
}

Examination examine(const Facts& facts, const std::vector<Target>& asked) {
  Examination examination;
  examination.findings = findings_on_node(facts);
  std::set<std::string> named;
  for (const Target& target : asked) {
    for (Target& each : with_volumes(facts, target))
      examination.disks.push_back(look_at(facts, std::move(each)));
    if (target.driver_domain.empty())
      named.insert(target.spec.resource);
  }
  for (ExaminedDisk& disk : examination.disks)
    if (is_named_twice(examination.disks, disk))
      disk.verdicts = {.start = {.outcome = Outcome::Fails,
                                 .text = "two lines of the guest's configuration name this disk"},
                       .migration = {.outcome = Outcome::Fails,
                                     .text = "two lines of the guest's configuration name it"}};
  for (const drbd::Resource& resource : facts.drbd.resources) {
    if (!asked.empty() && !named.contains(resource.name))
      continue;
    for (Finding& each : findings_on(facts, resource))
      examination.findings.push_back(std::move(each));
    if (!asked.empty())
      continue;
    for (const drbd::Volume& volume : resource.volumes)
      examination.disks.push_back(
          look_at(facts, {.spec = {.resource = resource.name, .volume = volume.number},
                          .access = policy::Access::ReadWrite,
                          .guest = {},
                          .vdev = {}}));
  }
  if (asked.empty()) {
    examination.not_up = not_up(facts);
    for (Finding& each : findings_on_not_up(facts))
      examination.findings.push_back(std::move(each));
  }
  return examination;
}

}  // namespace block_drbd::diagnose
