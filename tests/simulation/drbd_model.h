// DRBD on all nodes: roles, disks and connections as the kernel modules of the nodes have them. The
// scripts of events (tests/events) hold it to what DRBD 8.4 does. What it takes for granted about
// DRBD 9, and where that is read in DRBD's source, stands in README.md beside this file: [1] and so
// on point there.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "drbd/answer.h"
#include "drbd/settings.h"
#include "drbd/state.h"
#include "world.h"

namespace block_drbd::simulation {

struct DrbdShape {
  int nodes = 2;
  int resources = 1;
  int volumes = 1;
  int generation = 8;  ///< 8 (8.4) or 9
  bool configured_two_primaries = false;
  /// The settings after-sb-0pri discard-zero-changes and after-sb-1pri consensus. Without them DRBD
  /// 8.4 takes two nodes that were Primary without each other for a split brain, written or not: it
  /// begins a new generation of the data with the role, or with the loss, and not with a write.
  bool unwritten_side_follows = true;

  // DRBD 9.
  std::set<int> diskless;      ///< nodes that have no disk, on purpose
  std::string quorum = "off";  ///< or majority, or a number
  bool suspends_io = true;     ///< on-no-quorum suspend-io; else io-error
  bool auto_promote = true;
  bool tells_open = false;  ///< newer tools: whether somebody has a volume open
};

enum class Link { StandAlone, Connecting, Handshake, Connected };

class DrbdModel {
 public:
  DrbdModel(World& world, DrbdShape shape);

  const DrbdShape& shape() const { return shape_; }
  static std::string name_of(int resource) { return "r" + std::to_string(resource); }
  int index_of(const std::string& name) const;
  int minor_of(int resource, int volume) const { return resource * shape_.volumes + volume + 1; }

  // What a node sees of itself.
  bool is_up(int resource, int node) const { return site(resource, node).up; }
  drbd::Resource status(int resource, int node);
  drbd::Settings settings(int resource, int node) const;
  bool configured_two_primaries(int resource) const;

  // Commands, at the moment at which they take effect. `try_promote` gives nothing while a peer
  // that does not answer is being probed.
  std::optional<drbd::Answer> try_promote(int resource, int node, int volume);
  drbd::Answer demote(int resource, int node, int volume);
  drbd::Answer set_two_primaries(int resource, int node, int peer, bool allowed);

  // The device. `open` is blkback's, which may not rely on auto-promote: false while Secondary.
  bool open(int resource, int node, int volume, bool writes);
  /// Anybody's, who gets the role with it on DRBD 9 [8]. Nothing while a peer is being probed.
  std::optional<bool> try_open(int resource, int node, int volume, bool writes);
  void close(int resource, int node, int volume);
  int openers(int resource, int node, int volume) const;
  bool is_primary(int resource, int node) const;
  bool is_primary(int resource, int node, int volume) const;

  // Administrators.
  drbd::Answer adjust(int resource, int node);
  drbd::Answer disconnect(int resource, int node);
  void connect(int resource, int node);
  /// Towards one peer. DRBD 9 keeps the settings of a connection; 8.4 gets the configured ones.
  drbd::Answer connect(int resource, int node, int peer);
  void invalidate(int resource, int node);
  void set_configured_two_primaries(int resource, bool allowed);

  // The network and power. Links are those between DRBD's, for all resources.
  void cut(int a, int b);
  void restore(int a, int b);
  bool is_cut(int a, int b) const { return cut_[index(a, b)]; }
  void power_off(int node);
  void boot(int node);
  bool is_on(int node) const { return on_[static_cast<std::size_t>(node)]; }
  int boots(int node) const { return boots_[static_cast<std::size_t>(node)]; }

  Link link(int resource, int node, int peer) const { return side(resource, node, peer).link; }
  bool two_primaries(int resource, int node, int peer) const {
    return side(resource, node, peer).two_primaries;
  }
  bool sees_each_other(int resource, int a, int b) const;
  /// `node` has writes that `peer` lacks.
  bool is_ahead(int resource, int node, int peer) const;
  /// What is read on `node` lacks writes that `peer` has.
  bool reads_old_data(int resource, int node, int peer) const;
  bool is_diskless(int node) const { return shape_.diskless.contains(node); }
  bool has_quorum(int resource, int node) const {
    return shape_.quorum == "off" || site(resource, node).quorum;
  }
  /// Quorum and good data are in reach, and no peer is waited for that is lost but not missed yet:
  /// what is written there is written [10].
  bool completes_writes(int resource, int node) const;
  /// What is written there waits until quorum is back, and who writes cannot close the device [10].
  bool is_frozen(int resource, int node) const {
    return shape_.suspends_io && is_primary(resource, node) && !has_quorum(resource, node);
  }

  /// What the node's kernel has said since it was booted.
  const std::string& kernel_log(int node) const { return logs_[static_cast<std::size_t>(node)]; }
  /// The node is StandAlone towards the peer because their settings differ.
  bool is_parted_by_settings(int resource, int node, int peer) const {
    const Side& end = side(resource, node, peer);
    return end.link == Link::StandAlone && end.settings_differ;
  }

  /// What runs there may write: the node gets ahead of those it cannot reach.
  void wrote(int resource, int node);

  /// How long a node takes to notice that a peer is gone; by chance where it is not said.
  std::map<int, Time> notices_after;

  /// Who wants to hear of changes: every resource, on its node.
  std::function<void(int resource, int node)> changed;
  std::function<bool(int resource, int node)> is_written;  ///< a guest runs on it there
  std::function<void(int resource, int node, int volume)> demoted;
  std::function<void()> check;
  /// A node's kernel says that settings differ.
  std::function<void(int resource, int node)> settings_differ;
  /// A change of the setting was on its way when the connection was lost: no node can know whether
  /// it arrived.
  std::function<void(int resource)> lost_update;
  /// Nodes do not connect, as they would see more than one Primary: a person has to, later.
  std::function<void(int resource)> met_primaries;

 private:
  struct Volume {
    bool primary = false;
    bool good = true;  ///< UpToDate, else Inconsistent
    int openers = 0;
    bool writable = false;  ///< since somebody opened it for writing; until all is closed
  };
  struct Site {
    bool up = true;
    std::vector<Volume> volumes;
    /// How many bouts of writing of each node it has. A node without disk has none of its own:
    /// what it sees through its peers, and only while it is Primary.
    std::vector<int> data;
    bool outdated = false;    ///< DRBD 9: others have newer data, and told this node
    bool by_command = false;  ///< Primary since somebody typed so, not since somebody opened it [8]
    bool quorum = true;
  };
  struct Side {  ///< a node's end of a connection
    Link link = Link::Connecting;
    bool two_primaries = false;
    bool sent_two_primaries = false;  ///< in this handshake
    bool update_under_way = false;    ///< a change that has not reached the peer
    bool peer_primary = false;        ///< as shown here
    bool syncing = false;             ///< target
    bool settings_differ = false;     ///< StandAlone for that
    bool disconnecting = false;       ///< not shown as StandAlone yet
    std::uint64_t epoch = 0;
  };

  int index(int a, int b) const { return a * shape_.nodes + b; }
  const Site& site(int resource, int node) const;
  Site& site(int resource, int node) {
    return const_cast<Site&>(std::as_const(*this).site(resource, node));
  }
  const Side& side(int resource, int node, int peer) const;
  Side& side(int resource, int node, int peer) {
    return const_cast<Side&>(std::as_const(*this).side(resource, node, peer));
  }
  bool reachable(int a, int b) const { return is_on(a) && is_on(b) && !is_cut(a, b); }
  bool reaches_hidden_primary(int resource, int node) const;
  bool allows_two_primaries(int resource, int node) const;
  std::optional<drbd::Answer> take_role(int resource, int node, int volume);
  bool has_data(int resource, int node, int volume) const;
  bool is_written_to(int resource, int node) const;
  bool is_read_only_open(int resource, int node) const;
  int votes(int resource, int node) const;
  bool count_quorum(int resource, int node) const;
  void count_votes(int resource);
  void see_through_peers(int resource);
  /// Being Primary without the peer is as good as having written.
  bool begins_generation(int resource, int node) const {
    return shape_.generation == 8 && !shape_.unwritten_side_follows && is_primary(resource, node);
  }
  void notify(int resource, int node);
  void announce(int resource, int node);
  void set_role(int resource, int node, int volume, bool primary);
  void look_for_partners(int resource);
  void begin_handshake(int resource, int a, int b);
  void end_handshake(int resource, int a, int b);
  enum class Meeting { Fine, Later, Refused };
  Meeting meet_primaries(int resource, int a, int b);
  void lose(int resource, int node, int peer, Link link);
  void miss(int resource, int node, int peer, Time within);
  void stand_alone(int resource, int node, int peer, const char* why);
  void part(int resource, int node, int peer);
  void begin_to_connect(int resource, int node, int peer);
  void log(int node, const std::string& about, const char* text);
  std::string connection_of(int resource, int peer) const;
  std::string device_of(int resource, int peer) const;
  void begin_sync(int resource, int source, int target);
  void reconcile(int resource, int node);
  void outdate_those_left_behind(int resource, int node);
  bool has_a_good_disk(int resource, int node) const {
    for (int volume = 0; volume < shape_.volumes; ++volume)
      if (is_good(resource, node, volume))
        return true;
    return false;
  }
  bool is_good(int resource, int node, int volume) const {
    const Site& here = site(resource, node);
    return !is_diskless(node) && here.volumes[static_cast<std::size_t>(volume)].good &&
           !here.outdated;
  }

  World& world_;
  DrbdShape shape_;
  std::vector<bool> configured_;
  std::vector<bool> on_;
  std::vector<int> boots_;
  std::vector<bool> cut_;
  std::vector<std::string> logs_;
  std::vector<Site> sites_;
  std::vector<Side> sides_;
};

/// A refusal as drbdsetup words it.
drbd::Answer refusal(int code);

}  // namespace block_drbd::simulation
