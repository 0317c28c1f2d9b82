#include "schedule.h"

#include <algorithm>

#include "cluster.h"
#include "toolstack.h"

namespace block_drbd::simulation {

namespace {

/// What may happen, in an order in which the first is the dullest.
enum class Deed {
  Nothing,
  Migrate,
  Create,
  Shutdown,
  Reboot,
  Destroy,
  CutLink,
  RestoreLink,
  BreakMigration,
  CutAll,  ///< DRBD's link and the migration's at once
  Crash,
  Adjust,
  Reconnect,
  DestroyLeftover,
  UnpauseLeftover,
  RenameGuest,
  DecideByPerson,
  ConfigureTwoPrimaries,
  CreateEverywhere,
  LocalMigration,
  KillReceiver,
  OpenByHand,
  Isolate,  ///< a node loses all its links
};

class Story {
 public:
  Story(Choices& choices, bool tells_story)
      : choices_(choices),
        world_(choices, tells_story),
        cluster_(world_, draw_shape()),
        toolstack_(cluster_) {}
  ~Story() { world_.scheduler().end_all(); }
  Story(const Story&) = delete;
  Story& operator=(const Story&) = delete;

  Ending run() {
    draw_faults();
    draw_guests();
    cluster_.configured.starts_unseen = choices_.one_in(8);
    // Nobody can know then what the configuration says.
    if (world_.faults.broken_drbdadm)
      for (int r = 0; r < cluster_.drbd().shape().resources; ++r)
        cluster_.may_stand_alone.insert(r);
    toolstack_.on_stage = [this](const Migration& migration) { at_stage(migration.stage); };
    create(0, guests_.front());
    run_until(seconds(3));
    const std::uint32_t deeds = 1 + choices_.below(6);
    for (std::uint32_t i = 0; i < deeds && !world_.violated(); ++i)
      one_deed(i);
    if (!world_.violated())
      come_to_rest();
    return {.violation = world_.violated(), .story = world_.story()};
  }

 private:
  DrbdShape draw_shape() {
    DrbdShape shape;
    shape.generation = choices_.weighted({3, 2}) == 0 ? 8 : 9;
    if (shape.generation == 9) {
      shape.nodes = 2 + static_cast<int>(choices_.weighted({2, 3, 1}));
      draw_what_is_new(shape);
    }
    shape.resources = 1 + static_cast<int>(choices_.weighted({5, 1}));
    shape.volumes = 1 + static_cast<int>(choices_.weighted({4, 1}));
    shape.configured_two_primaries = choices_.one_in(7);
    return shape;
  }

  void draw_what_is_new(DrbdShape& shape) {
    const auto any_node = [&] {
      return static_cast<int>(choices_.below(static_cast<std::uint32_t>(shape.nodes)));
    };
    while (static_cast<int>(shape.diskless.size()) < shape.nodes - 1 && choices_.one_in(4))
      shape.diskless.insert(any_node());
    constexpr const char* quorum[] = {"off", "majority", "1"};
    shape.quorum = quorum[choices_.weighted({3, 3, 1})];
    shape.suspends_io = !choices_.one_in(3);
    shape.auto_promote = !choices_.one_in(4);
  }

  void draw_faults() {
    world_.faults.slow = choices_.one_in(4);
    world_.faults.hanging_drbd = choices_.one_in(8);
    world_.faults.kills = choices_.one_in(8);
    world_.faults.late_close = choices_.one_in(8);
    world_.faults.skipped_removes = choices_.one_in(12);
    world_.faults.unawaited_removes = choices_.one_in(12);
    world_.faults.broken_drbdadm = choices_.one_in(16);
    world_.faults.half_heard = choices_.one_in(3);
  }

  void draw_guests() {
    const DrbdShape& shape = cluster_.drbd().shape();
    Guest web{.name = "web", .uuid = "uuid-web", .disks = {}};
    unsigned device = 51712;
    const auto add = [&](Guest& guest, int resource, int volume) {
      guest.disks.push_back({.resource = resource,
                             .volume = volume,
                             .names_volume = shape.volumes > 1,
                             .mode = "w",
                             .device = device});
      device += 16;
    };
    const bool all_volumes = shape.volumes > 1 && !choices_.one_in(3);
    for (int r = 0; r < shape.resources; ++r)
      for (int v = 0; v < (all_volumes ? shape.volumes : 1); ++v)
        add(web, r, v);
    guests_.push_back(web);
    // Another one that was given the same disk by mistake.
    Guest copy{.name = "copy", .uuid = "uuid-copy", .disks = {}};
    device = 51712;
    add(copy, 0, 0);
    guests_.push_back(copy);
  }

  // -- deeds --

  Deed draw_deed() {
    return static_cast<Deed>(choices_.weighted(
        {2, 20, 12, 6, 6, 2, 5, 5, 5, 4, 5, 4, 2, 4, 2, 1, 2, 1, 4, 1, 2, 12, 8}));
  }

  void one_deed(std::uint32_t number) {
    // The first is most often a migration, and the others meet it at one of its stages.
    const Deed deed = number == 0 && !choices_.one_in(3) ? Deed::Migrate : draw_deed();
    const auto node =
        static_cast<int>(choices_.below(static_cast<std::uint32_t>(cluster_.nodes())));
    const std::uint32_t offset = choices_.below(30);
    const std::uint32_t unit = choices_.weighted({3, 3, 2, 1});
    const Time delay = milliseconds(Time{offset} * (unit == 0   ? 1
                                                    : unit == 1 ? 10
                                                    : unit == 2 ? 100
                                                                : 1000));
    const std::uint32_t stage = choices_.weighted({6, 1, 2, 4, 2, 2, 1});
    if (stage > 0) {
      waiting_.push_back(
          {.stage = static_cast<int>(stage), .delay = delay, .deed = deed, .node = node});
      return;
    }
    run_until(world_.now() + delay);
    do_it(deed, node);
  }

  void at_stage(int stage) {
    for (auto& each : waiting_)
      if (each.stage == stage) {
        each.stage = -1;
        world_.scheduler().after(each.delay, [this, deed = each.deed, node = each.node] {
          if (!resting_)
            do_it(deed, node);
        });
      }
  }

  const Guest& web() const { return guests_.front(); }
  void create(int node, Guest guest) {
    guest.boots_from_disk = choices_.one_in(8);
    toolstack_.create(node, guest);
  }
  int other(int node) {
    const int nodes = cluster_.nodes();
    if (nodes == 2)
      return 1 - node;
    return (node + 1 + static_cast<int>(choices_.below(static_cast<std::uint32_t>(nodes - 1)))) %
           nodes;
  }
  int home() {
    for (int n = 0; n < cluster_.nodes(); ++n)
      if (const Domain* domain = cluster_.find(n, web().name);
          domain != nullptr && domain->run == Run::Running && !domain->ending)
        return n;
    return -1;
  }

  void do_it(Deed deed, int node) {
    DrbdModel& drbd = cluster_.drbd();
    switch (deed) {
      case Deed::Nothing:
        return;
      case Deed::Migrate:
        if (const int from = home(); from >= 0)
          toolstack_.migrate(web(), from, other(from));
        return;
      case Deed::LocalMigration:
        cluster_.shared_by_local_migration = true;
        if (const int from = home(); from >= 0)
          toolstack_.migrate(web(), from, from);
        return;
      case Deed::Create:
        if (cluster_.configured.starts_unseen && guest_may_exist())
          return;
        create(node, guests_[choices_.weighted({5, 1})]);
        return;
      case Deed::CreateEverywhere:
        if (cluster_.configured.starts_unseen)
          return;
        for (int n = 0; n < cluster_.nodes(); ++n)
          toolstack_.create(n, web());
        return;
      case Deed::Shutdown:
      case Deed::Reboot:
        if (const int from = home(); from >= 0)
          toolstack_.shutdown(from, web().name, deed == Deed::Reboot);
        return;
      case Deed::Destroy:
        toolstack_.destroy(node, web().name);
        return;
      case Deed::CutLink:
      case Deed::CutAll:
        cluster_.drbd().cut(node, other(node));
        if (deed == Deed::CutAll)
          toolstack_.break_migration();
        return;
      case Deed::RestoreLink:
        note_uneven_settings();  // its ends may have had no time to close a window
        restore_links();
        return;
      case Deed::BreakMigration:
        toolstack_.break_migration();
        return;
      case Deed::Crash:
        crash(node);
        return;
      case Deed::Adjust:
        if (!drbd.is_on(node))
          return;
        world_.tell(node, "administrator", "drbdadm adjust");
        type(node, [this, node](int r) { cluster_.drbd().adjust(r, node); });
        return;
      case Deed::Reconnect:
        // In a larger cluster a guest could then migrate from a node that nobody sees, while
        // another is still Primary for it: that one is taken for the source. A person's doing.
        if (cluster_.nodes() == 2)
          reconnect(node);
        return;
      case Deed::KillReceiver:
        for (int n = 0; n < cluster_.nodes(); ++n)
          toolstack_.kill_receiver(n);
        return;
      case Deed::DestroyLeftover:
        toolstack_.destroy(node, web().name + "--migratedaway");
        toolstack_.destroy(node, web().name + "--incoming");
        return;
      case Deed::UnpauseLeftover:
        // The person has looked that the guest runs nowhere.
        if (runs_somewhere())
          return;
        toolstack_.unpause(node, web().name + "--incoming");
        return;
      case Deed::RenameGuest:
        if (Domain* domain = cluster_.find(node, web().name); domain != nullptr) {
          world_.tell(node, "xl", "rename ", web().name, ' ', web().name, "--incoming");
          cluster_.rename(*domain, web().name + "--incoming");
          // Nobody can see then that a guest has arrived.
          for (int r = 0; r < drbd.shape().resources; ++r)
            cluster_.may_stand_alone.insert(r);
        }
        return;
      case Deed::DecideByPerson:
        decide(node);
        return;
      case Deed::Isolate:
        for (int p = 0; p < cluster_.nodes(); ++p)
          if (p != node)
            drbd.cut(node, p);
        return;
      case Deed::OpenByHand:
        if (drbd.shape().generation == 9)
          open_by_hand(node);
        return;
      case Deed::ConfigureTwoPrimaries:
        world_.tell(-1, "administrator", "configures two primaries, and runs drbdadm adjust");
        for (int r = 0; r < drbd.shape().resources; ++r) {
          drbd.set_configured_two_primaries(r, true);
          cluster_.may_stand_alone.insert(r);
        }
        for (int n = 0; n < cluster_.nodes(); ++n)
          if (drbd.is_on(n))
            type(n, [this, n](int r) { cluster_.drbd().adjust(r, n); });
        return;
    }
  }

  /// A person's command, for each resource.
  void type(int node, const std::function<void(int resource)>& act) {
    for (int r = 0; r < cluster_.drbd().shape().resources; ++r) {
      auto command = std::make_shared<Command>();
      command->act = [this, act, r] {
        note_uneven_settings();
        act(r);
        return true;
      };
      cluster_.commands().submit(r, node, std::move(command));
    }
  }

  void open_by_hand(int node) {
    const DrbdShape& shape = cluster_.drbd().shape();
    const auto below = [&](int end) {
      return static_cast<int>(choices_.below(static_cast<std::uint32_t>(end)));
    };
    const bool writes = !choices_.one_in(3);
    const Time unit = choices_.one_in(3) ? seconds(1) : milliseconds(20);
    cluster_.open_by_hand(below(shape.resources), node, below(shape.volumes), writes,
                          unit * (1 + choices_.below(50)));
  }

  bool runs_somewhere() {
    for (int n = 0; n < cluster_.nodes(); ++n)
      for (const auto& [id, domain] : cluster_.node(n).domains)
        if (domain.run == Run::Running || domain.run == Run::Suspended)
          return true;
    return false;
  }

  /// A guest is somewhere, or is being made. Where guests start unseen, what starts them knows all
  /// nodes, and starts none then.
  bool guest_may_exist() {
    for (int n = 0; n < cluster_.nodes(); ++n)
      if (!cluster_.node(n).domains.empty())
        return true;
    return is_busy();
  }

  void restore_links() {
    for (int a = 0; a < cluster_.nodes(); ++a)
      for (int b = a + 1; b < cluster_.nodes(); ++b)
        if (cluster_.drbd().is_cut(a, b))
          cluster_.drbd().restore(a, b);
  }

  void crash(int node) {
    if (!cluster_.drbd().is_on(node))
      return;
    cluster_.crash(node);
    const Time off = seconds(1) + milliseconds(500) * choices_.below(100);
    world_.scheduler().after(off, [this, node] {
      if (!cluster_.drbd().is_on(node))
        cluster_.boot(node);
    });
  }

  /// A person's `adjust`, `connect` or `disconnect` in a window leaves two values behind; or the
  /// source is still Primary when the two meet again, and the target has written.
  void note_uneven_settings() {
    const DrbdModel& drbd = cluster_.drbd();
    for (int r = 0; r < drbd.shape().resources; ++r)
      for (int n = 0; n < cluster_.nodes(); ++n)
        for (int p = 0; p < cluster_.nodes(); ++p)
          if (p != n && (drbd.two_primaries(r, n, p) != drbd.configured_two_primaries(r) ||
                         (drbd.is_primary(r, n) && drbd.is_primary(r, p))))
            cluster_.may_stand_alone.insert(r);
  }

  void reconnect(int node) {
    DrbdModel& drbd = cluster_.drbd();
    if (!drbd.is_on(node))
      return;
    world_.tell(node, "administrator", "drbdadm disconnect");
    type(node, [this, node](int r) { cluster_.drbd().disconnect(r, node); });
    world_.scheduler().after(milliseconds(500) * (1 + choices_.below(20)), [this, node] {
      if (!cluster_.drbd().is_on(node))
        return;
      world_.tell(node, "administrator", "drbdadm connect");
      type(node, [this, node](int r) { cluster_.drbd().connect(r, node); });
    });
  }

  /// Cut off from the other node, a person says that the guest may run here.
  void decide(int node) {
    DrbdModel& drbd = cluster_.drbd();
    if (drbd.shape().quorum != "off")
      return;  // it is refused, but for --force
    for (int r = 0; r < drbd.shape().resources; ++r) {
      bool alone = drbd.is_on(node);
      for (int p = 0; p < cluster_.nodes(); ++p)
        alone = alone && (p == node || drbd.link(r, node, p) <= Link::Connecting);
      if (!alone)
        continue;
      cluster_.decided_by_person.insert(r);
      world_.tell(node, "administrator", "drbdadm primary ", DrbdModel::name_of(r));
      for (int v = 0; v < drbd.shape().volumes; ++v) {
        auto command = std::make_shared<Command>();
        command->act = [&drbd, r, node, v] { return drbd.try_promote(r, node, v).has_value(); };
        cluster_.commands().submit(r, node, std::move(command));
      }
    }
  }

  // -- the end --

  void run_until(Time end) {
    if (!world_.violated())
      world_.scheduler().run_until(end);
  }

  bool is_busy() {
    return world_.scheduler().any_alive(
        [](const Actor& actor) { return !is_in_background(actor); });
  }

  void wait_for_actors(Time most) {
    const Time end = world_.now() + most;
    while (!world_.violated() && world_.now() < end && is_busy())
      run_until(world_.now() + seconds(1));
  }

  void let_actors_end() {
    run_until(world_.now() + seconds(2));
    wait_for_actors(seconds(90));
  }

  void come_to_rest() {
    let_actors_end();
    resting_ = true;
    cluster_.close_all_by_hand();
    const Faults& faults = world_.faults;
    // When the link is lost in a hand-over each end closes the window for itself, as soon as it is
    // sure that it may. Where that takes long the link may be back before, and the two refuse each
    // other. In plain schedules they must not.
    if (faults.kills || faults.skipped_removes || faults.late_close || faults.hanging_drbd ||
        toolstack_.migrations_begun() > 1 || toolstack_.any_migration_broke())
      for (int r = 0; r < cluster_.drbd().shape().resources; ++r)
        cluster_.may_stand_alone.insert(r);
    world_.tell(-1, "world", "all links and nodes come back, and everything comes to rest");
    world_.faults = {};
    run_until(world_.now() + seconds(10));
    restore_links();
    for (int n = 0; n < cluster_.nodes(); ++n)
      if (!cluster_.drbd().is_on(n))
        cluster_.boot(n);
    // What a person finds in the list of guests and knows to be a leftover.
    for (int n = 0; n < cluster_.nodes(); ++n) {
      toolstack_.destroy(n, web().name + "--migratedaway");
      toolstack_.destroy(n, web().name + "--incoming");
      for (auto& [id, domain] : cluster_.node(n).domains)
        if (domain.run == Run::Ended && !domain.ending)
          toolstack_.destroy(n, domain.name);
    }
    run_until(world_.now() + seconds(30));
    wait_for_actors(seconds(120));
    // The next call takes over from a process of ours that was lost.
    for (int n = 0; n < cluster_.nodes(); ++n)
      if (cluster_.node(n).lost_a_helper && !world_.violated())
        use_once(n);
    run_until(world_.now() + seconds(300));  // a late answer of DRBD is waited for that long
    if (!world_.violated())
      cluster_.check_at_rest();
  }

  bool sees_all(int node) {
    for (int r = 0; r < cluster_.drbd().shape().resources; ++r)
      if (!cluster_.sees_all(r, node))
        return false;
    return true;
  }

  void end_all_guests() {
    for (int n = 0; n < cluster_.nodes(); ++n)
      for (const auto& [id, domain] : cluster_.node(n).domains)
        toolstack_.destroy(n, domain.name);
    let_actors_end();
  }

  void use_once(int node) {
    if (cluster_.find(node, web().name) != nullptr) {
      toolstack_.shutdown(node, web().name);
      toolstack_.destroy(node, web().name);
    } else {
      if (cluster_.configured.starts_unseen && !sees_all(node))
        end_all_guests();
      toolstack_.create(node, web());
    }
    let_actors_end();
    toolstack_.destroy(node, web().name);
    let_actors_end();
  }

  struct Waiting {
    int stage;
    Time delay;
    Deed deed;
    int node;
  };

  Choices& choices_;
  World world_;
  Cluster cluster_;
  Toolstack toolstack_;
  std::vector<Guest> guests_;
  std::vector<Waiting> waiting_;
  bool resting_ = false;
};

}  // namespace

Ending run_schedule(Choices& choices, bool tells_story) {
  return Story(choices, tells_story).run();
}

}  // namespace block_drbd::simulation
