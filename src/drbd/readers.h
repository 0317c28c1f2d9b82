// Readers for what DRBD's tools and kernel print. Pure: text in, model out.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "drbd/settings.h"
#include "drbd/state.h"
#include "result.h"

namespace block_drbd::drbd {

/// `drbdsetup status [RES] --json` (DRBD 9). Every key is optional; unknown ones are passed over.
/// No resource is an empty list, not an error; text that is not such JSON is an error.
Result<std::vector<Resource>> read_status_json(std::string_view text);

/// `drbdsetup status [RES] --verbose` (DRBD 8.4; 9 prints the same grammar with more words). No
/// resource is an empty list. Text that breaks off in the middle of a resource is an error: what is
/// missing may be the peer that is Primary. Without --verbose DRBD leaves out minors, most
/// connections and replications: they stay -1 and Unknown.
Result<std::vector<Resource>> read_status_text(std::string_view text);

/// `drbdsetup show [RES] [--show-defaults]`. What is not shown has DRBD's default. No resource is
/// an empty list (drbdsetup itself does not fail for it on DRBD 9).
Result<std::vector<Settings>> read_show(std::string_view text);

/// Whether any `net` section of what `drbdadm dump RES` printed allows two primaries: the
/// configuration file's word, not what is in force. What is about no or another resource is an
/// error.
Result<bool> read_dump(std::string_view text, std::string_view resource);

enum class Generation {
  Absent,  ///< no DRBD in the kernel, or one older than 8
  V8,      ///< 8.3 or 8.4: role changes go by minor
  V9,      ///< 9 and later: role changes go by resource
};

/// The generation from the first line of /proc/drbd ("version: 8.4.11 (api:1/…"); empty text:
/// Absent.
Generation read_generation(std::string_view proc_drbd);

/// The version in that line: "8.4.11"; empty without one.
std::string read_version(std::string_view proc_drbd);

/// The local role of each minor from /proc/drbd (8.x; 9 prints none). A minor that has neither disk
/// nor peer is Unconfigured there and has no role.
std::map<int, Role> read_minor_roles(std::string_view proc_drbd);

/// The state of a resource, known from a moment ago, as /proc/drbd has it now (8.x): the roles, the
/// disks and the connection of a resource with one peer. Nothing where that does not tell all, as
/// when a minor or the peer is gone.
std::optional<Resource> read_again(Resource known, std::string_view proc_drbd);

/// The state of each of these resources, in their order, as /proc/drbd has it (8.4); nothing for
/// one about which `status` may have more to say: all is told of a resource that is well, of one
/// that waits for its peer, and of one that is StandAlone.
std::vector<std::optional<Resource>> read_proc(const std::vector<Settings>& settings,
                                               std::string_view proc_drbd);

/// The time left of each minor's resync, in seconds, from the line `finish: 0:01:30` (8.x).
std::map<int, int> read_resync_times(std::string_view proc_drbd);

}  // namespace block_drbd::drbd
