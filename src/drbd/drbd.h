// DRBD on this node, as far as a block script moves it.
#pragma once

#include <string>

#include "clock.h"
#include "drbd/answer.h"
#include "drbd/readers.h"
#include "drbd/settings.h"
#include "drbd/state.h"
#include "result.h"

namespace block_drbd::drbd {

class Drbd {
 public:
  virtual ~Drbd() = default;

  /// The state of a resource as the kernel has it. Code ENOENT: the kernel has no such resource (it
  /// is not up, or not configured, or DRBD is not loaded); `why_not_up` finds out which.
  virtual Result<Resource> status(const std::string& resource, Duration limit) = 0;

  /// The settings in force.
  virtual Result<Settings> settings(const std::string& resource, Duration limit) = 0;

  /// Makes the volume Primary (8.4: the volume alone; 9: its resource). An error means that there
  /// was no answer; a refusal is an answer.
  virtual Result<Answer> promote(const Resource& resource, const Volume& volume,
                                 Duration limit) = 0;

  /// Makes the volume Secondary (8.4: the volume alone; 9: its resource).
  virtual Result<Answer> demote(const Resource& resource, const Volume& volume, Duration limit) = 0;

  /// For a resource that the kernel does not have: what is the matter and what to do, in sentences.
  /// Asks drbdadm, which may be slow: only on the way to a failure.
  virtual std::string why_not_up(const std::string& resource, Duration limit) = 0;
};

}  // namespace block_drbd::drbd
