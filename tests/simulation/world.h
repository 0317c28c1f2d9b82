// What all parts of the model share: chance, time, the story, and the first violation.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "choices.h"
#include "scheduler.h"

namespace block_drbd::simulation {

/// What a schedule may contain. Drawn once for each: rare things meet each other only where some
/// schedules have many of a few kinds.
struct Faults {
  bool slow = false;          ///< turns that take long
  bool hanging_drbd = false;  ///< commands that hang in the kernel, and take effect later
  bool kills = false;         ///< processes of ours are killed
  bool late_close = false;    ///< blkback keeps a device open for long
  bool skipped_removes = false;
  bool unawaited_removes = false;  ///< udev runs them, and nobody waits for their end
  bool broken_drbdadm = false;
  bool half_heard = false;  ///< only one of two nodes sees that their settings differ
};

struct Violation {
  std::string rule;  ///< which invariant
  std::string text;
};

class World {
 public:
  World(Choices& choices, bool tells_story) : choices_(choices), tells_story_(tells_story) {}

  Choices& choices() { return choices_; }
  Scheduler& scheduler() { return scheduler_; }
  Time now() const { return scheduler_.now(); }

  /// One line of the story. `node`: -1 for what happens to all.
  template <typename... Parts>
  void tell(int node, const char* who, const Parts&... parts) {
    if (tells_story_)
      write(node, who, (std::string() + ... + text(parts)));
  }
  const std::vector<std::string>& story() const { return story_; }

  void violation(std::string rule, std::string what);
  const std::optional<Violation>& violated() const { return violation_; }

  Faults faults;

 private:
  static const std::string& text(const std::string& text) { return text; }
  static const char* text(const char* text) { return text; }
  static std::string text(int number) { return std::to_string(number); }
  static std::string text(unsigned number) { return std::to_string(number); }
  void write(int node, const char* who, const std::string& what);

  Choices& choices_;
  Scheduler scheduler_;
  bool tells_story_;
  std::vector<std::string> story_;
  std::map<std::string, std::string> last_said_;
  std::optional<Violation> violation_;
};

}  // namespace block_drbd::simulation
