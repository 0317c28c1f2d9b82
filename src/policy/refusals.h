// What DRBD's refusals mean, and what is to be done about them.
#pragma once

#include <optional>
#include <string>

#include "drbd/answer.h"
#include "drbd/state.h"

namespace block_drbd::policy {

/// The disk spec asks for a volume that the resource does not have, or does not say which.
std::string no_such_volume(const drbd::Resource& resource, std::optional<int> number);

/// A promotion that was refused for a reason that passes by itself within seconds.
bool promotion_may_pass(const drbd::Answer& answer);

/// DRBD allows one Primary, and a peer is it: -1, or on 8.4 -20 when it is so for another volume.
bool peer_is_primary(const drbd::Answer& answer);

/// Why the resource did not become Primary, for the administrator.
std::string explain_promotion(const drbd::Resource& resource, const drbd::Answer& answer);

/// A hand-over that does not come about: why, what that means for the guest, and what to do.
std::string cannot_be_taken_over(const std::string& resource, const std::string& because,
                                 const std::string& advice);

/// Two primaries could not be allowed for a reason that passes by itself within seconds.
bool opening_may_pass(const drbd::Answer& answer);

/// Why two primaries could not be allowed for a hand-over.
std::string explain_opening(const std::string& resource, const drbd::Answer& answer);

/// Why the guest that migrates here could not take the resource over.
std::string explain_hand_over(const drbd::Resource& resource, const drbd::Answer& answer);

}  // namespace block_drbd::policy
