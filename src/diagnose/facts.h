// What is known about this node when somebody asks whether its guests' disks would work.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "drbd/kernel_log.h"
#include "drbd/overview.h"
#include "policy/users.h"
#include "record/inventory.h"

namespace block_drbd::diagnose {

/// What stands where the toolstack looks.
enum class Script { Unseen, Missing, NotExecutable, Ours, Other };

struct Facts {
  std::string node;  ///< its name
  bool is_root = true;

  drbd::Overview drbd;
  std::string drbd_trouble;  ///< why `drbd` is empty or cannot be trusted; else empty
  /// The resources that are configured, up or not; nothing when drbdadm did not tell, for the
  /// reason in `configuration_trouble`.
  std::optional<std::vector<std::string>> configured;
  std::string configuration_trouble;
  bool has_drbdadm = true;
  /// Whether two primaries are configured, of the resources on which they are allowed now.
  std::map<std::string, bool> two_primaries_configured;

  /// The backends in xenstore that have a DRBD device, and their domains.
  std::vector<policy::Attachment> attachments;
  /// Those of them of which only the kernel knows, and xenstore nothing.
  std::vector<xenstore::BackendPath> forgotten;
  std::string xenstore_trouble;

  /// What the administrator chose; `add` fails while the file cannot be read.
  config::Config config;
  std::string config_trouble;

  record::Inventory records;
  std::string records_trouble;

  Script script = Script::Unseen;
  std::string program;  ///< this one

  /// By minor, of those that are Primary here: what this host itself does with the device, and,
  /// where no guest has it either, the processes that hold it open.
  std::map<int, std::vector<std::string>> host_uses;
  std::map<int, std::vector<std::string>> openers;

  /// Read when a resource is StandAlone, or has lost one of several peers.
  std::string kernel_log;
  std::string kernel_log_trouble;

  /// For resources that were asked for and are not up: what is the matter and what to do.
  std::map<std::string, std::string> why_not_up;
};

/// The attachments of living domains to the resource, those that are being released aside.
std::vector<policy::Attachment> users_of(const Facts& facts, const drbd::Resource& resource);

/// The configured resources that are not up, as far as drbdadm tells.
std::vector<std::string> not_up(const Facts& facts);

/// The attachment to this very volume, if it has one.
const policy::Attachment* user_of(const std::vector<policy::Attachment>& users,
                                  const drbd::Volume& volume);

/// Its data is being replaced by a peer's.
bool is_target_of_resync(const drbd::Resource& resource, const drbd::Volume& volume);

/// The role of one volume: on DRBD 8.4 each has its own.
inline drbd::Role role_of(const drbd::Resource& resource, const drbd::Volume& volume) {
  return volume.role.value_or(resource.role);
}

}  // namespace block_drbd::diagnose
