#include "drbd/json.h"
#include "drbd/readers.h"

namespace block_drbd::drbd {

namespace {

constexpr std::string_view status_as_json = "drbdsetup status --json";

Volume read_volume(const Json& json) {
  Volume volume;
  volume.number = number_of(json, "volume").value_or(volume.number);
  volume.minor = number_of(json, "minor").value_or(volume.minor);
  volume.disk = disk_from(text_of(json, "disk-state"));
  volume.is_client = member(json, "client") == true;
  volume.is_open = member(json, "open") == true;
  volume.quorum = member(json, "quorum") != false;
  return volume;
}

PeerVolume read_peer_volume(const Json& json) {
  PeerVolume volume;
  volume.number = number_of(json, "volume").value_or(volume.number);
  volume.replication = replication_from(text_of(json, "replication-state"));
  volume.disk = disk_from(text_of(json, "peer-disk-state"));
  volume.is_client = member(json, "peer-client") == true;
  if (const Json& done = member(json, "percent-resync-done"); done.is_number())
    volume.in_sync = done.get<double>();
  if (const std::string_view paused_by = text_of(json, "resync-suspended"); paused_by != "no")
    volume.paused_by = paused_by;
  volume.seconds_left = number_of(json, "estimated-seconds-to-finish");
  return volume;
}

Result<Peer> read_peer(const Json& json) {
  Peer peer;
  peer.name = text_of(json, "name");
  peer.node_id = number_of(json, "peer-node-id");
  peer.connection = connection_from(text_of(json, "connection-state"));
  peer.role = role_from(text_of(json, "peer-role"));
  const Json& volumes = member(json, "peer_devices");
  if (!is_list(volumes))
    return not_understood(status_as_json, "peer_devices");
  for (const Json& each : volumes)
    peer.volumes.push_back(read_peer_volume(each));
  return peer;
}

Result<Resource> read_resource(const Json& json) {
  Resource resource;
  resource.name = text_of(json, "name");
  resource.role = role_from(text_of(json, "role"));
  resource.suspended = member(json, "suspended") == true;
  for (const std::string word : {"user", "no-data", "fencing", "quorum"})
    if (member(json, ("suspended-" + word).c_str()) == true)
      resource.suspended_by += (resource.suspended_by.empty() ? "" : ",") + word;
  const Json& volumes = member(json, "devices");
  const Json& peers = member(json, "connections");
  if (!is_list(volumes) || !is_list(peers))
    return not_understood(status_as_json, is_list(peers) ? "devices" : "connections");
  for (const Json& each : volumes)
    resource.volumes.push_back(read_volume(each));
  auto read = read_each(peers, read_peer);
  if (!read)
    return failure(std::move(read.error()));
  resource.peers = std::move(*read);
  return resource;
}

}  // namespace

Result<std::vector<Resource>> read_status_json(std::string_view text) {
  const auto list = read_list(status_as_json, text);
  if (!list)
    return failure(list.error());
  return read_each(*list, read_resource);
}

}  // namespace block_drbd::drbd
