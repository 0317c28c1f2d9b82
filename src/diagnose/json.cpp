#include "diagnose/json.h"

#include <nlohmann/json.hpp>

namespace block_drbd::diagnose {

namespace {

using Json = nlohmann::ordered_json;

constexpr int version = 1;

const char* word_for(Outcome outcome) {
  switch (outcome) {
    case Outcome::Works:
      return "works";
    case Outcome::InUse:
      return "in-use";
    case Outcome::Elsewhere:
      return "elsewhere";
    case Outcome::Fails:
      break;
  }
  return "fails";
}

const char* word_for(Script script) {
  switch (script) {
    case Script::Missing:
      return "missing";
    case Script::NotExecutable:
      return "not-executable";
    case Script::Ours:
      return "this";
    case Script::Other:
      return "other";
    case Script::Unseen:
      break;
  }
  return "unseen";
}

Json json_of(const Verdict& verdict) {
  return {{"outcome", word_for(verdict.outcome)}, {"text", verdict.text}};
}

Json json_of(const Finding& finding) {
  return {{"id", finding.id},
          {"problem", finding.is_problem},
          {"resource", finding.resource.empty() ? Json(nullptr) : Json(finding.resource)},
          {"text", finding.text},
          {"advice", finding.advice}};
}

Json peers_of(const drbd::Resource& resource, const drbd::Volume& volume) {
  Json peers = Json::array();
  for (const drbd::Peer& peer : resource.peers) {
    Json json = {{"name", peer.name},
                 {"connection", to_string(peer.connection)},
                 {"role", to_string(peer.role)}};
    for (const drbd::PeerVolume& each : peer.volumes) {
      if (each.number != volume.number)
        continue;
      json["disk"] = to_string(each.disk);
      json["replication"] = to_string(each.replication);
      if (each.in_sync)
        json["in-sync-percent"] = *each.in_sync;
      if (each.seconds_left)
        json["seconds-left"] = *each.seconds_left;
    }
    peers.push_back(std::move(json));
  }
  return peers;
}

Json json_of(const ExaminedDisk& disk) {
  Json json = {{"resource", disk.target.spec.resource}};
  if (disk.volume != nullptr) {
    json["volume"] = disk.volume->number;
    json["device"] = "/dev/drbd" + std::to_string(disk.volume->minor);
    json["role"] = to_string(role_of(*disk.resource, *disk.volume));
    json["disk"] = to_string(disk.volume->disk);
    json["peers"] = peers_of(*disk.resource, *disk.volume);
  }
  if (disk.user)
    json["guest"] = {{"name", disk.user->domain.name},
                     {"domain", disk.user->domain.id},
                     {"vdev", disk.user->backend.dev}};
  json["start"] = json_of(disk.verdicts.start);
  json["migration"] = json_of(disk.verdicts.migration);
  return json;
}

}  // namespace

std::string in_json(const Facts& facts, const Examination& examination) {
  Json json = {{"version", version},
               {"fine", examination.is_fine()},
               {"node",
                {{"name", facts.node},
                 {"drbd", facts.drbd.version},
                 {"script", word_for(facts.script)},
                 {"configured", facts.config.is_set},
                 {"xenstore", facts.xenstore_trouble.empty()}}},
               {"disks", Json::array()},
               {"not-up", examination.not_up},
               {"findings", Json::array()}};
  for (const ExaminedDisk& disk : examination.disks)
    json["disks"].push_back(json_of(disk));
  for (const Finding& finding : examination.findings)
    json["findings"].push_back(json_of(finding));
  // A guest's name may be any bytes.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace block_drbd::diagnose
