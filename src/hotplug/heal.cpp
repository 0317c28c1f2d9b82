#include "hotplug/heal.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <string>

#include "hotplug/host.h"
#include "policy/reconnect.h"

namespace block_drbd::hotplug {

namespace {

/// A `remove` may be under way here that makes the nodes agree better than a haste would. And while
/// the other node has not restored `no`, to try again only parts the two again.
constexpr Duration first_pause_between_tries = std::chrono::seconds(5);
constexpr Duration longest_pause_between_tries = std::chrono::seconds(80);
/// What parts the nodes so long after the last try is another event.
constexpr Duration history_after = std::chrono::minutes(5);
constexpr Duration nothing_to_do = std::chrono::hours(24);

std::string is_unexplained(const std::string& resource) {
  return "DRBD resource " + resource +
         ": the kernel's log was overwritten, and does not tell any more why the nodes have "
         "parted, so they are not connected again. If `drbdadm status " +
         resource + "` shows StandAlone, run `drbdadm adjust " + resource + '`';
}

class Healer {
 public:
  explicit Healer(Ward& ward) : ward_(ward) {}

  Result<void> run() {
    const auto only_one = ward_.records.try_lock_healer();
    if (!only_one)
      return failure(only_one.error());
    if (!*only_one)
      return {};
    for (;;) {
      const auto pause = look();
      if (!pause)
        return failure(pause.error());
      ward_.kernel_log.wait(*pause);
      if (ward_.clock.acknowledge())
        return {};
    }
  }

 private:
  struct Tries {
    Duration pause = first_pause_between_tries;
    TimePoint next;
  };

  /// How long there is nothing to do, unless the kernel says something.
  Result<Duration> look() {
    const auto log = ward_.kernel_log.read();
    if (!log)
      return failure(log.error());
    const auto named = drbd::ever_parted_by_two_primaries(*log);
    for (const std::string& resource : std::exchange(parted_, {}))
      if (!named.contains(resource))
        tell_once(resource, is_unexplained(resource));
    TimePoint next = ward_.clock.now() + nothing_to_do;
    for (const std::string& resource : named) {
      const auto status = ward_.drbd.status(resource, status_limit);
      if (!status && status.error().code != ENOENT) {
        tell_once(resource, status.error().message);
        next = std::min(next, ward_.clock.now() + longest_pause_between_tries);
      }
      if (status && policy::are_parting_by_two_primaries(*status, *log))
        next = std::min(next, ward_.clock.now() + first_pause_between_tries);
      if (!status || policy::parted_by_two_primaries(*status, *log).empty())
        continue;
      parted_.insert(resource);
      next = std::min(next, try_in_time(resource));
    }
    return std::chrono::ceil<Duration>(std::max(next - ward_.clock.now(), TimePoint::duration(0)));
  }

  /// When to look again.
  TimePoint try_in_time(const std::string& resource) {
    const TimePoint now = ward_.clock.now();
    const auto [found, is_new] = tries_.try_emplace(resource);
    Tries& tries = found->second;
    if (is_new || now - tries.next > history_after)
      tries = {.pause = first_pause_between_tries, .next = now + first_pause_between_tries};
    if (now >= tries.next) {
      tries.pause = std::min(tries.pause * 2, longest_pause_between_tries);
      tries.next = now + tries.pause;
      if (const auto connected = connect_again(resource); !connected)
        tell_once(resource,
                  "DRBD resource " + resource +
                      ": the other node is not connected again, though the two parted "
                      "only because they differ in allow-two-primaries, and this is tried "
                      "again: " +
                      connected.error().message);
    }
    return tries.next;
  }

  Result<void> connect_again(const std::string& name) {
    // Not under the resource's lock: drbdadm reads every resource's file.
    const auto configured = ward_.drbd.configured_two_primaries(name, status_limit);
    if (!configured)
      return failure(configured.error());
    if (*configured)
      return failure(
          "this node is configured for two Primaries, and the other one may not be. Make the "
          "configurations alike, then run `drbdadm adjust " +
          name + "` on both");
    const auto lock = ward_.records.try_lock(name);
    if (!lock)
      return failure(lock.error());
    if (!*lock)
      return {};
    // A person may have been faster.
    const auto log = ward_.kernel_log.read();
    if (!log)
      return failure(log.error());
    const auto resource = ward_.drbd.status(name, status_limit);
    if (!resource)
      return failure(resource.error());
    for (const auto& peer : policy::parted_by_two_primaries(*resource, *log))
      if (auto connected = connect(*resource, peer); !connected)
        return connected;
    return {};
  }

  Result<void> connect(const drbd::Resource& resource, std::optional<int> peer) {
    if (auto restored = restore(resource, peer); !restored)
      return restored;
    const auto answer = ward_.drbd.connect(resource, peer, status_limit);
    if (!answer)
      return failure(answer.error());
    if (!answer->ok())
      return failure("DRBD says " + drbd::quoted(*answer));
    ward_.report.tell(Severity::Info,
                      "DRBD resource " + resource.name +
                          ": the nodes had parted because they differ in allow-two-primaries, as "
                          "after a loss of power during a migration: connecting again");
    return {};
  }

  /// DRBD 9 keeps the setting with the connection. 8.4 does not, and takes the configured one.
  Result<void> restore(const drbd::Resource& resource, std::optional<int> peer) {
    const auto settings = ward_.drbd.settings(resource.name, status_limit);
    if (!settings)
      return failure(settings.error());
    const auto* connection = settings->connection_to(peer);
    if (connection == nullptr || !connection->two_primaries)
      return {};
    const auto answer = ward_.drbd.set_two_primaries(resource, *connection, false, status_limit);
    if (!answer)
      return failure(answer.error());
    if (!answer->ok())
      return failure("DRBD says " + drbd::quoted(*answer));
    return {};
  }

  void tell_once(const std::string& resource, const std::string& message) {
    if (std::exchange(said_[resource], message) != message)
      ward_.report.tell(Severity::Failure, message);
  }

  Ward& ward_;
  std::map<std::string, Tries> tries_;
  std::set<std::string> parted_;  ///< at the last look
  std::map<std::string, std::string> said_;
};

}  // namespace

Result<void> heal(Ward& ward) {
  return Healer(ward).run();
}

}  // namespace block_drbd::hotplug
