// What DRBD's refusals mean, and what is to be done about them.
#pragma once

#include <string>

#include "drbd/answer.h"

namespace block_drbd::policy {

/// A promotion that was refused for a reason that passes by itself within seconds.
bool promotion_may_pass(const drbd::Answer& answer);

/// A demotion that was refused for a reason that passes by itself: above all that the device is
/// still held open. blkback reports a device as closed before it closes it.
bool demotion_may_pass(const drbd::Answer& answer);

/// Why the resource did not become Primary, for the administrator.
std::string explain_promotion(const std::string& resource, const drbd::Answer& answer);

/// Why the guest that migrates here could not take the resource over.
std::string explain_hand_over(const std::string& resource, const drbd::Answer& answer);

}  // namespace block_drbd::policy
