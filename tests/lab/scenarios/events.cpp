// The scripts of events (tests/events), which the simulation's model plays, too.
#include <sstream>
#include <thread>

#include "lab.h"
#include "script.h"

namespace block_drbd::lab {
namespace {

using events::Event;
using events::Kind;
using events::Outcome;
using events::Step;

struct Names {
  const char* resource;
  const char* config;
  const char* device;  ///< of its first volume
};

Names names_of(Kind kind) {
  switch (kind) {
    case Kind::OnePrimary:
      break;
    case Kind::TwoPrimaries:
      return {"Jessie", "jessie", "/dev/drbd2"};
    case Kind::TwoVolumes:
      return {"Buster", "buster", "/dev/drbd3"};
  }
  return {"Wheezy", "wheezy", "/dev/drbd1"};
}

// What is seen of a node belongs together, and a look is taken often: all in one go, line by line.
constexpr const char* look_at = R"(
  status=$(drbdsetup status --verbose $resource)
  sed -n 's/^ *volume:[0-9]* minor:\([0-9]*\) .*/\1/p' <<<"$status" |
    while read -r minor; do echo role $(drbdsetup role $minor | tr / ' '); done
  sed -n 's/^ *peer connection:\([A-Za-z]*\) role:\([A-Za-z]*\) .*/peer \1 \2/p' <<<"$status"
  echo two-primaries $(/lab/two-primaries $resource)
  xl list | sed -n '3,$s/\([^ ]*\) .*/guest \1/p'
)";

class RealWorld : public events::World {
 public:
  RealWorld(Lab& lab, const events::Script& script)
      : lab_(lab),
        resource_(names_of(script.kind).resource),
        config_(names_of(script.kind).config),
        device_(names_of(script.kind).device) {
    if (script.unwritten_side_follows)
      lab.unwritten_side_follows(resource_);
  }

  Outcome does(const Step& step) override {
    switch (step.event) {
      case Event::Create:
        return with_guest(at(step), step,
                          xl(step, "xl create /etc/xen/" + config_ +
                                       ".cfg 'type=\"pvh\"' 'name=\"" + step.object + "\"'"));
      case Event::Migrate:
        return with_guest(other(step), step, outcome(at(step).migrates(step.object, other(step))));
      case Event::Reboot:
        return reboot(step);
      case Event::Shutdown:
        return xl(step, "xl shutdown -w " + step.object);
      case Event::Destroy:
        return xl(step, "xl destroy " + step.object);
      case Event::Primary:
        return drbdadm(step, "primary");
      case Event::Secondary:
        return drbdadm(step, "secondary");
      case Event::Allow:
        return outcome(at(step).tries("drbdadm net-options --allow-two-primaries=" + step.object +
                                      ' ' + resource_));
      case Event::Adjust:
        return drbdadm(step, "adjust");
      case Event::Connect:
        return drbdadm(step, "connect");
      case Event::Disconnect:
        return drbdadm(step, "disconnect");
      case Event::Invalidate:
        return drbdadm(step, "invalidate");
      case Event::Write:
        // Far behind what a guest writes. udev looks at what was written.
        return outcome(at(step).tries("dd if=/dev/zero of=" + device_ +
                                      " bs=4096 seek=4096 count=1 oflag=direct conv=nocreat && "
                                      "udevadm settle"));
      case Event::Hold:
        return hold(at(step));
      case Event::LetGo:
        REQUIRE(holder_);
        holder_->killed();
        REQUIRE(eventually([&] { return !holder_->runs(); }));
        holder_.reset();
        return {};
      case Event::CutLink:
        lab_.link_is_cut();
        return {};
      case Event::RestoreLink:
        lab_.link_is_restored();
        return {};
      case Event::PowerOff:
        off_ = step.node;
        at(step).loses_power();
        return {};
      case Event::PowerOn:
        at(step).boots();
        off_ = 0;
        return {};
      case Event::Look:
      case Event::End:
        break;
    }
    return {.ok = false, .code = {}, .said = "not an event"};
  }

  std::optional<events::View> view(int number) override {
    if (number == off_)
      return std::nullopt;
    std::istringstream seen(this->node(number).types("resource=" + resource_ + look_at));
    // DRBD 8.4 shows neither peer nor settings while StandAlone.
    events::View view{.role = "", .connection = "StandAlone", .two_primaries = "-", .guests = {}};
    for (std::string line; std::getline(seen, line);) {
      std::istringstream words(line);
      std::string what;
      std::string first;
      std::string second;
      words >> what >> first >> second;
      if (what == "role")
        view.role = view.role.empty() || view.role == first ? first : "mixed";
      else if (what == "peer")  // in the handshake it says Connected, and no role
        view.connection = second == "Unknown" ? "Connecting" : first;
      else if (what == "two-primaries" && !first.empty())
        view.two_primaries = first;
      else if (what == "guest")
        view.guests.push_back(first);
    }
    return view;
  }

  bool comes(const std::function<bool()>& so) override { return eventually(so); }
  void rests() override { std::this_thread::sleep_for(3s); }

 private:
  Node& node(int number) { return number == 1 ? lab_.node1 : lab_.node2; }
  Node& at(const Step& step) { return node(step.node); }
  Node& other(const Step& step) { return node(3 - step.node); }

  /// As drbdsetup and drbdadm print a refusal: "0: State change failed: (-12) ...".
  static Outcome outcome(Typed typed) {
    Outcome outcome{.ok = typed.status == 0, .code = {}, .said = std::move(typed.output)};
    for (const std::string before : {"State change failed: (", "Failure: ("})
      if (const auto found = outcome.said.find(before); found != std::string::npos)
        outcome.code = std::stoi(outcome.said.substr(found + before.size()));
    return outcome;
  }

  Outcome drbdadm(const Step& step, const std::string& command) {
    const std::string volume = step.object.empty() ? "" : '/' + step.object;
    return outcome(at(step).tries("drbdadm " + command + ' ' + resource_ + volume));
  }

  Outcome xl(const Step& step, const std::string& command) {
    return outcome(at(step).tries(command));
  }

  /// xl prints the sentence where it was typed; what a migration's target said is in its log.
  Outcome with_guest(Node& where, const Step& step, Outcome outcome) {
    if (outcome.ok)
      where.guest_writes(step.object);
    else
      outcome.said += where.log();
    return outcome;
  }

  Outcome reboot(const Step& step) {
    Node& node = at(step);
    const std::string domid = "xl domid " + step.object + " 2>/dev/null";
    const std::string before = node.types(domid);
    node.types("xl reboot " + step.object);
    Outcome outcome;
    outcome.ok = eventually([&] {
      const Typed now = node.tries(domid);
      return now.status == 0 && now.output != before;
    });
    return with_guest(node, step, std::move(outcome));
  }

  Outcome hold(Node& node) {
    node.types("rm -f /run/held");
    Task task = node.starts("exec 9<" + device_ + " || exit; touch /run/held; exec sleep 600");
    const auto has_it = [&] { return node.tries("test -e /run/held").status == 0; };
    eventually([&] { return has_it() || !task.runs(); });
    if (!task.runs())
      return outcome(task.ends());
    holder_.emplace(std::move(task));
    return {};
  }

  Lab& lab_;
  std::string resource_;
  std::string config_;
  std::string device_;
  std::optional<Task> holder_;
  int off_ = 0;
};

void must_play(Lab& lab, const events::Script& script) {
  RealWorld world(lab, script);
  const std::string difference = events::play(script, world);
  INFO(difference);
  REQUIRE(difference.empty());
}

}  // namespace

TEST_CASE_METHOD(Lab, "scripts of events: DRBD alone") {
  for (const events::Script& script : events::scripts_of("drbd"))
    DYNAMIC_SECTION(script.name) {
      must_play(*this, script);
    }
}

TEST_CASE_METHOD(Lab, "scripts of events: guests") {
  for (const events::Script& script : events::scripts_of("guests"))
    DYNAMIC_SECTION(script.name) {
      must_play(*this, script);
    }
}

}  // namespace block_drbd::lab
