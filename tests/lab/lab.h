// Two Xen hosts with DRBD, and what an administrator types and sees there.
//
// What a scenario demands in vain ends it as a failure; then everything that may explain it is
// printed. Nothing here judges how fast something was: limits are for what never comes.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "catch.h"
#include "channel.h"

namespace block_drbd::lab {

using namespace std::chrono_literals;

// Where a guest's disks are in Xen's store.
inline constexpr int hda = 768;
inline constexpr int xvda = 51712;
inline constexpr int xvdb = 51728;
inline constexpr int xvdc = 51744;
// Which partition of a node's disk lies under which resource.
inline constexpr int disk_of_wheezy = 1;
inline constexpr int disk_of_jessie = 2;
inline constexpr int disk_of_buster = 3;  ///< its first volume

// Holds Wheezy's device open, as a backup that reads the running guest's disk would.
inline constexpr const char* hold_of_wheezy = "exec 9</dev/drbd1; exec sleep 600";
// What `block-drbd test` says on a node that cannot see the other one.
inline constexpr const char* wheezy_is_alone =
    "(Connecting): nothing is replicated, and nobody here knows whether a guest runs there";

/// The end of something that was typed on a node.
struct Typed {
  int status = 0;
  std::string output;  ///< stdout and stderr as on a terminal
};

class Node;

/// A command that was typed on a node and is left running there.
class Task {
 public:
  Task(Node& node, std::string name) : node_(node), name_(std::move(name)) {}

  bool runs();
  /// Waits for its end.
  Typed ends();
  /// Ends it, with all that it has started.
  void killed();

 private:
  Node& node_;
  std::string name_;
};

/// What Xen's store says about one disk of a guest, on the node where it is attached.
struct Backend {
  std::string physical_device;       ///< "93:1", hexadecimal
  std::string physical_device_path;  ///< "/dev/drbd1"
  std::string hotplug_status;        ///< "connected"
};

class Node {
 public:
  explicit Node(int number) : number_(number) {}

  std::string name() const { return "node" + std::to_string(number_); }

  // -- what is typed --
  /// Must succeed; gives its output.
  std::string types(const std::string& command, std::chrono::seconds limit = 180s);
  /// Must fail by itself; gives its output.
  std::string fails(const std::string& command, std::chrono::seconds limit = 180s);
  Typed tries(const std::string& command, std::chrono::seconds limit = 180s);
  /// Is left running.
  Task starts(const std::string& command);
  /// `xl migrate` to the other node, live or (Debian's Xen cannot do that with PV) suspended first.
  Typed migrates(const std::string& guest, const Node& to, bool live = true);
  Task starts_migration(const std::string& guest, const Node& to, bool live = true);

  // -- what is seen --
  /// "Primary", "Secondary", or "" while the resource is not up.
  std::string role(const std::string& resource);
  /// Waits until the role is that one.
  void becomes(const std::string& resource, const std::string& role);
  /// "Connected", "Connecting", "StandAlone" ...; "" while the resource is not up.
  std::string connection(const std::string& resource);
  /// Whether DRBD allows two primaries at this moment: "yes", "no", or "" while the resource is
  /// down or StandAlone.
  std::string two_primaries(const std::string& resource);
  /// A hand-over has opened a window here that is not known to be closed.
  bool has_window(const std::string& resource);
  /// Waits until it is connected and both disks are in sync.
  void waits_until_up_to_date(const std::string& resource);
  /// The name is exact: during a migration others are used.
  bool has_guest(const std::string& guest);
  /// Waits until the guest has written so many more records, and has found the earlier ones whole.
  void guest_writes(const std::string& guest, int records = 2);
  /// Waits until the guest's console has had such a line so many times; an extended regular
  /// expression for all of it.
  void reports(const std::string& guest, const std::string& line, int times = 1,
               std::chrono::seconds limit = 180s);
  /// The number of the last record that the guest reported on this node; 0 without one.
  long last_record(const std::string& guest);
  /// Waits until the guest has started here so many times, and has found its records whole up to
  /// that one at least.
  void finds_records(const std::string& guest, long reported, int times = 1);
  /// The guest's console on this node.
  std::string console(const std::string& guest);
  Backend backend(const std::string& guest, int device = xvda);
  /// Everything that our program and xl have said here since the scenario began: system log, xl's
  /// logs, and what the receiving end of a migration printed.
  std::string log();
  /// Waits until `block-drbd test` says so, and ends with that; its words in one line.
  void explains(const std::string& resource, const std::string& words, int status = 1);
  /// The records on the lower disk, past DRBD: "record chain 1..7 ok".
  std::string chain_on_disk(int disk);

  // -- what must not be seen --
  /// Neither a role, nor two primaries allowed against the configuration, nor a backend in Xen's
  /// store, nor a claim or a window, nor a process of ours, a keeper included.
  void left_nothing(const std::string& resource);
  /// What of that list there is; empty when nothing.
  std::string leftovers(const std::string& resource);

  /// The same for the node where a guest runs: its migration is over.
  void keeps_no_window(const std::string& resource);

  /// `block-drbd heal` runs from here on, as its service does on a node with systemd. Not after
  /// a loss of power.
  void has_healer();

  // -- what happens to it --
  /// When the block script has attached a disk the next time, the command line runs before the
  /// toolstack hears of it.
  void after_next_add(const std::string& command);
  /// Waits until an `add` here has come to that command: it runs, or has run.
  void comes_to_after_add();
  /// Waits until a guest that migrates runs here.
  void receives(const std::string& guest);
  void loses_power();
  /// DRBD's disk gives errors only, until the node has lost its power.
  void disk_fails();
  void boots();
  /// Stands still in the middle of what it does, and goes on there; its clock runs all the time.
  void freezes();
  void thaws();
  /// As an administrator does when the other node has lost its power, or the link was lost.
  /// Linux 6.1.84 and later stop the timers of a connection that the kernel itself has closed: what
  /// was on its way to the lost node, pages of a guest, is kept for ever, and with it the guest and
  /// its disk.
  void drops_lost_connections();

 private:
  friend class Lab;

  void comes_up();

  Result<Reply> run(const std::string& script, std::chrono::seconds limit);

  int number_;
  int tasks_ = 0;
  bool frozen_ = false;
  std::optional<Channel> channel_;
};

/// Attaches to the running lab, boots it when there is none, and makes both nodes as new.
class Lab {
 public:
  Lab();
  ~Lab();
  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;

  Node node1{1};
  Node node2{2};

  /// The program under test is on both nodes as its Debian package, which `packaging/test --pack`
  /// has made, and not by a copy.
  void program_is_a_package();
  /// The network between the nodes.
  void link_is_cut();
  void link_is_restored();
  /// Both nodes at once.
  void power_fails();
  void power_is_back();
  /// After `disk_fails`: the node loses its power and boots, and its disk gets what it missed.
  void disk_works_again(Node& node, const std::string& resource);
  /// Two Primaries that lose each other are a split brain to DRBD, whether both have written or
  /// not. These settings let the node that has not written follow the other.
  void unwritten_side_follows(const std::string& resource);

  // -- a migration --
  /// Must succeed.
  void must_migrate(Node& from, Node& to, const std::string& guest, bool live = true);
  /// The guest runs on its target with its disk, and nothing of the hand-over stays, on either
  /// node.
  void has_moved(Node& from, Node& to, const std::string& guest, const std::string& resource,
                 int device = xvda);

  /// The guest is destroyed: its node is Secondary, nothing is left there, and its records are
  /// whole.
  void must_end(Node& node, const std::string& guest, const std::string& resource, int disk);
  /// The guest is gone from both nodes: what it reported as written is on both disks, in one chain.
  void records_are_whole(const std::string& guest, int disk);

  /// The same where a console may be lost: what had been reported by then is there.
  void records_reach(long reported, int disk);

 private:
  void print_everything();

  bool cut_ = false;
  int failing_;
};

/// Waits until it is so; false after the limit.
bool eventually(const std::function<bool()>& so, std::chrono::seconds limit = 120s);

/// In one line: where it is broken into lines depends on what else it says.
std::string flat(const std::string& output);

/// The lines of text that contain the words, for messages of a failed demand.
int count_lines(const std::string& text, const std::string& words);

}  // namespace block_drbd::lab
