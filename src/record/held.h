// What a node knows about itself while it cannot see a peer.
#pragma once

#include <string>
#include <string_view>

#include "clock.h"
#include "result.h"

namespace block_drbd::record {

/// The guest had this resource here, Primary, when its use ended while a peer could not be seen: it
/// may have it again, since nobody else can have been given it without a person's decision.
struct Held {
  std::string resource;
  std::string vm;   ///< uuid of the guest's virtual machine: a reboot keeps it; so does a new start
                    ///< of a configuration that sets it
  TimePoint until;  ///< a guest that reboots is back within seconds
};

/// A peer was waited for and did not come: the next guest that needs it does not wait again.
struct Outage {
  std::string peer;  ///< its address, without the port: "ipv4:10.0.0.2"
  TimePoint until;
};

/// One small JSON object each, with a version. The times are CLOCK_MONOTONIC's, in milliseconds.
std::string to_json(const Held& held);
std::string to_json(const Outage& outage);
Result<Held> held_from_json(std::string_view text);
Result<Outage> outage_from_json(std::string_view text);

}  // namespace block_drbd::record
