#include "fakes.h"

namespace block_drbd::test {

using drbd::Connection;
using drbd::Disk;
using drbd::Replication;
using drbd::Role;

FakeNode::FakeNode(int generation) {
  drbd.by_resource = generation == 9;
  const std::optional<Role> of_volume =
      drbd.by_resource ? std::nullopt : std::optional(Role::Secondary);
  drbd.state = {.name = "Wheezy",
                .role = Role::Secondary,
                .suspended = false,
                .volumes = {{.number = 0, .minor = 1, .disk = Disk::UpToDate, .role = of_volume}},
                .peers = {{.name = "peer",
                           .node_id = std::nullopt,
                           .connection = Connection::Connected,
                           .role = Role::Secondary,
                           .volumes = {{.number = 0,
                                        .replication = Replication::Established,
                                        .disk = Disk::UpToDate}}}}};
  drbd.in_force = {.resource = "Wheezy",
                   .connections = {{.peer = {},
                                    .node_id = std::nullopt,
                                    .local_address = "ipv4:10.0.0.1:7789",
                                    .peer_address = "ipv4:10.0.0.2:7789",
                                    .two_primaries = false,
                                    .protocol = 'C',
                                    .fencing = "dont-care"}},
                   .quorum = "off"};
  guest(5, "web", "uuid-web");
}

void FakeNode::guest(unsigned domain, const std::string& name, const std::string& vm,
                     const std::string& params, const std::string& mode, unsigned device) {
  const auto backend = path(domain, device);
  const std::string home = "/local/domain/" + std::to_string(domain);
  store.domains.insert(domain);
  store.values[home + "/name"] = name;
  store.values[home + "/vm"] = "/vm/" + vm;
  store.values[backend / "params"] = params;
  store.values[backend / "mode"] = mode;
  store.values[backend / "dev"] = device == xvda ? "xvda" : "xvdb";
  store.values[backend / "state"] = "2";
}

void FakeNode::closing(unsigned domain, unsigned device) {
  store.values[path(domain, device) / "state"] = "6";
}

void FakeNode::second_volume() {
  drbd.state.volumes.push_back(
      {.number = 1,
       .minor = 2,
       .disk = Disk::UpToDate,
       .role = drbd.by_resource ? std::nullopt : std::optional(Role::Secondary)});
  peer().volumes.push_back(
      {.number = 1, .replication = Replication::Established, .disk = Disk::UpToDate});
}

void FakeNode::link_is_down() {
  peer().connection = Connection::Connecting;
  peer().role = Role::Unknown;
  for (auto& volume : peer().volumes)
    volume = {.number = volume.number, .replication = Replication::Off, .disk = Disk::Unknown};
}

void FakeNode::link_is_up() {
  peer() = FakeNode().peer();
}

std::string FakeNode::value(unsigned domain, const std::string& key, unsigned device) {
  const auto found = store.values.find(path(domain, device) / key);
  return found == store.values.end() ? "" : found->second;
}

}  // namespace block_drbd::test
