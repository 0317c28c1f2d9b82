// The scripts of events (tests/events) in the model: it may claim nothing that the lab does not
// show.
#include "../unit/catch.h"
#include "cluster.h"
#include "script.h"
#include "toolstack.h"

using namespace block_drbd::simulation;
namespace events = block_drbd::events;
using block_drbd::drbd::Answer;
using events::Event;
using events::Step;

namespace {

// Nodes are 0 and 1 here.
class Model : public events::World {
 public:
  Model(const events::Script& script, Choices& choices)
      : world_(choices, true), cluster_(world_, shape_of(script), false) {}
  ~Model() override { world_.scheduler().end_all(); }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  events::Outcome does(const Step& step) override {
    const int node = step.node - 1;
    switch (step.event) {
      case Event::Create:
        return runs_xl([&] { toolstack_.create(node, guest(step.object)); },
                       [&] { return runs(node, step.object) != nullptr; });
      case Event::Migrate:
        return runs_xl([&] { toolstack_.migrate(guest(step.object), node, 1 - node); },
                       [&] {
                         return runs(1 - node, step.object) != nullptr &&
                                runs(node, step.object) == nullptr;
                       });
      case Event::Reboot: {
        const unsigned before = cluster_.find(node, step.object)->id;
        return runs_xl([&] { toolstack_.shutdown(node, step.object, true); },
                       [&] {
                         const Domain* domain = runs(node, step.object);
                         return domain != nullptr && domain->id != before;
                       });
      }
      case Event::Shutdown:
        return runs_xl([&] { toolstack_.shutdown(node, step.object); },
                       [&] { return cluster_.find(node, step.object) == nullptr; });
      case Event::Destroy:
        return runs_xl([&] { toolstack_.destroy(node, step.object); },
                       [&] { return cluster_.find(node, step.object) == nullptr; });
      case Event::Primary:
        return each_volume(
            step, [&, node](int volume) { return drbd().try_promote(resource, node, volume); });
      case Event::Secondary:
        return each_volume(step, [&, node](int volume) {
          return std::optional(drbd().demote(resource, node, volume));
        });
      case Event::Allow:
        return commands(node, [&, node] {
          return drbd().set_two_primaries(resource, node, 1 - node, step.object == "yes");
        });
      case Event::Adjust:
        return commands(node, [&, node] { return drbd().adjust(resource, node); });
      case Event::Connect:
        return commands(node, [&, node] { return drbd().connect(resource, node), Answer{}; });
      case Event::Disconnect:
        return commands(node, [&, node] { return drbd().disconnect(resource, node); });
      case Event::Invalidate:
        return commands(node, [&, node] { return drbd().invalidate(resource, node), Answer{}; });
      case Event::Write:
        if (!drbd().is_primary(resource, node))
          return {.ok = false, .code = {}, .said = "Secondary"};
        drbd().wrote(resource, node);
        return {};
      case Event::Hold:
        return {.ok = drbd().open(resource, node, 0, true), .code = {}, .said = ""};
      case Event::LetGo:
        drbd().close(resource, node, 0);
        return {};
      case Event::CutLink:
        drbd().cut(0, 1);
        return {};
      case Event::RestoreLink:
        drbd().restore(0, 1);
        return {};
      case Event::PowerOff:
        cluster_.crash(node);
        return {};
      case Event::PowerOn:
        cluster_.boot(node);
        return {};
      case Event::Look:
      case Event::End:
        break;
    }
    return {.ok = false, .code = {}, .said = "not an event"};
  }

  /// What block-drbd would see there.
  std::optional<events::View> view(int number) override {
    const int node = number - 1;
    if (!drbd().is_on(node))
      return std::nullopt;
    events::View view;
    const auto shown = drbd().status(resource, node);
    for (const auto& volume : shown.volumes) {
      const std::string role =
          volume.role == block_drbd::drbd::Role::Primary ? "Primary" : "Secondary";
      view.role = view.role.empty() || view.role == role ? role : "mixed";
    }
    view.connection = shown.peers.empty() ? "StandAlone" : "Connecting";
    for (const auto& peer : shown.peers)
      if (peer.connection == block_drbd::drbd::Connection::Connected &&
          peer.role != block_drbd::drbd::Role::Unknown)
        view.connection = "Connected";
    view.two_primaries = "-";
    for (const auto& connection : drbd().settings(resource, node).connections)
      view.two_primaries = connection.two_primaries ? "yes" : "no";
    for (const auto& [id, domain] : cluster_.node(node).domains)
      if (domain.run == Run::Running)
        view.guests.push_back(domain.name);
    return view;
  }

  bool comes(const std::function<bool()>& so) override {
    const Time end = world_.now() + seconds(120);
    while (!so()) {
      if (world_.now() >= end)
        return false;
      run(milliseconds(20));
    }
    return true;
  }

  void rests() override { run(seconds(30)); }

  std::string story() const {
    std::string all;
    for (const std::string& line : world_.story())
      all += line + '\n';
    return all;
  }

 private:
  static constexpr int resource = 0;

  static DrbdShape shape_of(const events::Script& script) {
    DrbdShape shape;
    shape.volumes = script.kind == events::Kind::TwoVolumes ? 2 : 1;
    shape.configured_two_primaries = script.kind == events::Kind::TwoPrimaries;
    shape.unwritten_side_follows = script.unwritten_side_follows;
    return shape;
  }

  DrbdModel& drbd() { return cluster_.drbd(); }

  void run(Time duration) {
    world_.scheduler().run_until(world_.now() + duration);
    if (world_.violated()) {
      INFO(story());
      FAIL(world_.violated()->rule << ": " << world_.violated()->text);
    }
  }

  Guest guest(const std::string& name) {
    Guest guest{.name = name, .uuid = "uuid-" + name, .disks = {}};
    for (int v = 0; v < drbd().shape().volumes; ++v)
      guest.disks.push_back({.resource = resource,
                             .volume = v,
                             .names_volume = drbd().shape().volumes > 1,
                             .mode = "w",
                             .device = 51712 + 16 * static_cast<unsigned>(v)});
    return guest;
  }

  const Domain* runs(int node, const std::string& name) {
    const Domain* domain = cluster_.find(node, name);
    return domain != nullptr && domain->run == Run::Running ? domain : nullptr;
  }

  /// Until every xl has ended.
  events::Outcome runs_xl(const std::function<void()>& begin, const std::function<bool()>& worked) {
    const std::size_t before = toolstack_.calls.size();
    begin();
    do
      run(milliseconds(100));
    while (world_.scheduler().any_alive(
        [](const Actor& actor) { return actor.name().starts_with("xl"); }));
    events::Outcome outcome{.ok = worked(), .code = {}, .said = ""};
    for (std::size_t i = before; i < toolstack_.calls.size(); ++i)
      outcome.said += toolstack_.calls[i].message + '\n';
    return outcome;
  }

  /// As the kernel carries out a command; without an answer it is not decided yet.
  events::Outcome carries_out(int node, const std::function<std::optional<Answer>()>& act) {
    std::optional<Answer> answer;
    auto command = std::make_shared<Command>();
    command->act = [&] { return (answer = act()).has_value(); };
    cluster_.commands().submit(resource, node, command);
    if (!comes([&] { return command->done; }))
      return {.ok = false, .code = {}, .said = "no answer"};
    return {.ok = answer->ok(), .code = answer->code, .said = answer->text};
  }

  events::Outcome commands(int node, const std::function<Answer()>& act) {
    return carries_out(node, [&] { return std::optional(act()); });
  }

  /// drbdadm takes one after another, and stops at the first that is refused.
  events::Outcome each_volume(const Step& step,
                              const std::function<std::optional<Answer>(int volume)>& act) {
    events::Outcome outcome;
    for (int v = 0; v < drbd().shape().volumes && outcome.ok; ++v)
      if (step.object.empty() || step.object == std::to_string(v))
        outcome = carries_out(step.node - 1, [&] { return act(v); });
    return outcome;
  }

  block_drbd::simulation::World world_;
  Cluster cluster_;
  Toolstack toolstack_{cluster_};
};

void must_play(const events::Script& script, Choices choices) {
  Model model(script, choices);
  const std::string difference = events::play(script, model);
  INFO(model.story());
  INFO(difference);
  REQUIRE(difference.empty());
}

}  // namespace

// First with the shortest of all delays, then with some by chance: none may make a difference.
TEST_CASE("scripts of events") {
  for (const char* folder : {"drbd", "guests"})
    for (const events::Script& script : events::scripts_of(folder))
      DYNAMIC_SECTION(script.name) {
        must_play(script, Choices(std::vector<std::uint32_t>{}));
        for (Seed seed = 1; seed <= 20; ++seed)
          must_play(script, Choices(seed));
      }
}
