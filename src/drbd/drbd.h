// DRBD on this node, as far as a block script moves it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "clock.h"
#include "drbd/answer.h"
#include "drbd/readers.h"
#include "drbd/settings.h"
#include "drbd/state.h"
#include "result.h"

namespace block_drbd::drbd {

/// What happens to one resource, from the moment that this was made.
class Watch {
 public:
  virtual ~Watch() = default;

  /// Waits until DRBD says that something about the resource changed since the last call, at most
  /// `limit`. A change that is reported may be one of no interest; where DRBD's events end (the
  /// resource went down), the wait lasts until the limit.
  virtual void wait(Duration limit) = 0;
};

class Drbd {
 public:
  virtual ~Drbd() = default;

  /// The state of a resource as the kernel has it. Code ENOENT: the kernel has no such resource (it
  /// is not up, or not configured, or DRBD is not loaded); `why_not_up` finds out which.
  virtual Result<Resource> status(const std::string& resource, Duration limit) = 0;

  /// The same for one whose state was read a moment ago: `known`. As fresh, and for less where DRBD
  /// lets that be.
  virtual Result<Resource> status_again(const Resource& known, Duration limit) {
    return status(known.name, limit);
  }

  /// The settings in force.
  virtual Result<Settings> settings(const std::string& resource, Duration limit) = 0;

  /// Makes the volume Primary (8.4: the volume alone; 9: its resource). An error means that there
  /// was no answer; a refusal is an answer.
  virtual Result<Answer> promote(const Resource& resource, const Volume& volume,
                                 Duration limit) = 0;

  /// Makes the volume Secondary (8.4: the volume alone; 9: its resource).
  virtual Result<Answer> demote(const Resource& resource, const Volume& volume, Duration limit) = 0;

  /// Allows or forbids two primaries on the connection to one peer, for as long as the connection
  /// is configured. While it is connected DRBD carries the setting to the peer. Refused with
  /// `both_primary` while both nodes are Primary, with `connection_unknown` where 8.4 is
  /// StandAlone.
  virtual Result<Answer> set_two_primaries(const Resource& resource,
                                           const ConnectionSettings& connection, bool allowed,
                                           Duration limit) = 0;

  /// Whether the configuration file allows two primaries, on any connection of the resource. Asks
  /// drbdadm, which may be slow, and fails on any broken file: for the keeper only.
  virtual Result<bool> configured_two_primaries(const std::string& resource, Duration limit) = 0;

  /// Begins to connect to a peer towards which the resource is StandAlone; on 8.4, where there is
  /// one and it has no node id, with the settings that are configured, by drbdadm. Whether they
  /// accept each other is seen later.
  virtual Result<Answer> connect(const Resource& resource, std::optional<int> node_id,
                                 Duration limit) = 0;

  virtual Result<std::unique_ptr<Watch>> watch(const std::string& resource) = 0;

  /// For a resource that the kernel does not have: what is the matter and what to do, in sentences.
  /// Asks drbdadm, which may be slow: only on the way to a failure.
  virtual std::string why_not_up(const std::string& resource, Duration limit) = 0;
};

}  // namespace block_drbd::drbd
