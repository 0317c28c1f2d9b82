// Scripts of events: what people and the world do to two nodes, and what is to be seen then. Each
// runs in two worlds, the lab and the simulation's model, and both are held to the same words.
// README.md has the language.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace block_drbd::events {

/// What a script's resource is like.
enum class Kind { OnePrimary, TwoPrimaries, TwoVolumes };

enum class Event {
  // xl
  Create,
  Migrate,
  Reboot,
  Shutdown,
  Destroy,
  // drbdadm
  Primary,
  Secondary,
  Allow,  ///< two primaries, by net-options
  Adjust,
  Connect,
  Disconnect,
  Invalidate,
  // the device
  Write,
  Hold,
  LetGo,
  // the world
  CutLink,
  RestoreLink,
  PowerOff,
  PowerOn,
  // what is seen
  Look,
  End,
};

struct Step {
  int line = 0;
  std::string text;
  int node = 0;  ///< 1 or 2; 0 for what concerns both
  Event event = Event::Look;
  std::string object;  ///< the guest, the volume, "yes"
  std::string expected;
};

struct Script {
  std::string name;
  Kind kind = Kind::OnePrimary;
  /// The net section has after-sb-0pri discard-zero-changes and after-sb-1pri consensus.
  bool unwritten_side_follows = false;
  std::vector<Step> steps;
};

/// The scripts in that folder, by name. Throws std::runtime_error where one cannot be read.
std::vector<Script> scripts_of(const std::string& folder);

/// What a command came to.
struct Outcome {
  bool ok = true;
  std::optional<int> code;  ///< DRBD's number of the refusal
  std::string said;
};

/// What is seen of one node.
struct View {
  std::string role;           ///< "mixed" where the volumes differ
  std::string connection;     ///< Connected, Connecting, StandAlone
  std::string two_primaries;  ///< yes, no
  std::vector<std::string> guests;
};

class World {
 public:
  virtual ~World() = default;

  /// Returns when it has ended.
  virtual Outcome does(const Step& step) = 0;
  /// Nothing of a node that is off.
  virtual std::optional<View> view(int node) = 0;
  /// Lets time pass until it is so; false: it never came.
  virtual bool comes(const std::function<bool()>& so) = 0;
  /// Lets time pass in which what may be under way would show.
  virtual void rests() = 0;
};

/// The first difference between the script and the world; empty when there is none.
std::string play(const Script& script, World& world);

}  // namespace block_drbd::events
