// A node for the measurements: DRBD's stand-in, a real xenstored, and what else a block script
// wants of a node, in a mount namespace that nobody but this process and its children sees.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "measure.h"
#include "real_xenstored.h"

namespace block_drbd::bench {

/// A private view of the machine, to which files can be added. Nothing of it reaches the machine.
class PrivateView {
 public:
  PrivateView();
  /// Makes a directory's entries links to themselves, among which others can be made.
  void open(const std::string& directory);

 private:
  std::string place_;
  int opened_ = 0;
};

class Node {
 public:
  /// `drbd` is the stand-in's file.
  explicit Node(const std::string& drbd);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// r0, r1, ...: so many are configured and up, all Secondary.
  void set_resources(int count);
  /// So many backends of other guests, each attached to a device of its own.
  void set_other_guests(int count);

  /// The backend of a guest that is just created, with resource rN, where N is also its number.
  void create(int guest);
  /// What the toolstack does before it runs `remove`, and after it.
  void begin_end(int guest);
  void forget(int guest);

  /// A block script's run for that guest.
  Command block_script(const std::string& program, const std::string& verb, int guest) const;
  Command command(const std::vector<std::string>& argv) const;

  /// Ends this program unless it is so.
  void demand_attached(int guest);
  void demand_released(int guest);

  /// Milliseconds of processor time that xenstored has used so far.
  double used_by_xenstored() const;

 private:
  static bool is_primary(int minor);

  PrivateView view_;
  test::RealXenstored xenstored_;
  int log_ = -1;
  std::thread log_reader_;
  int devices_ = 0;
  int others_ = 0;
};

}  // namespace block_drbd::bench
