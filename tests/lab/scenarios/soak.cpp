// One guest, and whatever an administrator and fate do to it, in any order, for as long as is
// wanted.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "lab.h"

namespace block_drbd::lab {
namespace {

using Clock = std::chrono::steady_clock;

unsigned setting(const char* name, unsigned otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? static_cast<unsigned>(std::stoul(value)) : otherwise;
}

/// Every step leaves the guest running at its home, or ended, and both nodes as they must be then.
class Soak {
 public:
  Soak(Lab& lab, unsigned seed) : lab_(lab), random_(seed) {}

  void goes_on_until(Clock::time_point end) {
    const auto begin = Clock::now();
    while (Clock::now() < end) {
      const Step& step = chosen();
      std::cout << std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count()
                << " s: the guest is " << (home_ == nullptr ? "nowhere" : "on " + home_->name())
                << ", " << step.name << std::endl;
      INFO("step: " << step.name);
      (this->*step.happens)();
      is_as_it_must_be();
      ++done_[step.name];
    }
  }

  void ends() {
    if (home_ == nullptr)
      starts();
    is_shut_down();
    for (Node* node : {&lab_.node1, &lab_.node2})
      node->left_nothing("Wheezy");
    lab_.records_are_whole("wheezy", disk_of_wheezy);
    for (const auto& [step, times] : done_)
      std::cout << times << " times: " << step << '\n';
    std::cout << lab_.node1.chain_on_disk(disk_of_wheezy) << std::endl;
  }

 private:
  struct Step {
    const char* name;
    unsigned weight;
    void (Soak::*happens)();
  };

  const Step& chosen() {
    static const std::vector<Step> with_guest = {
        {"it migrates", 6, &Soak::migrates},
        {"it migrates, and its target's keeper is killed", 2, &Soak::migrates_without_keeper},
        {"it reboots", 2, &Soak::reboots},
        {"it is shut down", 2, &Soak::is_shut_down},
        {"it is destroyed", 2, &Soak::is_destroyed},
        {"it is destroyed while its device is held open", 1, &Soak::is_destroyed_held_open},
        {"it is started a second time, on the other node", 1, &Soak::is_refused_elsewhere},
        {"its node's disk is detached, and attached again", 1, &Soak::loses_its_disk},
        {"the link is cut, and restored", 2, &Soak::link_fails},
        {"drbdadm adjust is run", 1, &Soak::is_adjusted},
        {"the other node loses power, boots, and gets it", 1, &Soak::peer_loses_power},
        {"its node loses power, and boots", 1, &Soak::home_loses_power},
    };
    static const std::vector<Step> without_guest = {
        {"it starts", 6, &Soak::starts},
        {"both nodes start it at once", 2, &Soak::starts_on_both},
        {"the link is cut, and restored", 1, &Soak::link_fails},
    };
    const auto& steps = home_ == nullptr ? without_guest : with_guest;
    std::vector<unsigned> weights;
    weights.reserve(steps.size());
    for (const Step& step : steps)
      weights.push_back(step.weight);
    return steps[std::discrete_distribution<std::size_t>(weights.begin(), weights.end())(random_)];
  }

  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  Node& other() { return home_ == &lab_.node1 ? lab_.node2 : lab_.node1; }

  void starts() {
    home_ = below(2) == 0 ? &lab_.node1 : &lab_.node2;
    home_->types("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
    home_->guest_writes("wheezy");
  }

  void starts_on_both() {
    Task first = lab_.node1.starts("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
    Task second = lab_.node2.starts("xl create /etc/xen/wheezy.cfg 'type=\"pvh\"'");
    const Typed on1 = first.ends();
    const Typed on2 = second.ends();
    INFO("node1: " << on1.output << "node2: " << on2.output);
    REQUIRE((on1.status == 0) != (on2.status == 0));
    home_ = on1.status == 0 ? &lab_.node1 : &lab_.node2;
    home_->guest_writes("wheezy");
  }

  void migrates() {
    Node& target = other();
    lab_.must_migrate(*home_, target, "wheezy");
    lab_.has_moved(*home_, target, "wheezy", "Wheezy");
    home_ = &target;
  }

  void migrates_without_keeper() {
    Node& target = other();
    target.after_next_add("pkill -KILL -f 'block-drbd keep'");
    lab_.must_migrate(*home_, target, "wheezy");
    // The source's keeper closes the window; the target's record of it goes with the next step.
    for (Node* node : {&lab_.node1, &lab_.node2})
      REQUIRE(eventually([&] { return node->two_primaries("Wheezy") == "no"; }));
    home_ = &target;
  }

  void reboots() {
    const std::string before = home_->types("xl domid wheezy");
    home_->types("xl reboot wheezy");
    REQUIRE(eventually([&] {
      const Typed now = home_->tries("xl domid wheezy 2>/dev/null");
      return now.status == 0 && now.output != before;
    }));
    home_->guest_writes("wheezy");
  }

  void is_shut_down() {
    home_->types("xl shutdown -w wheezy");
    home_ = nullptr;
  }

  void is_destroyed() {
    home_->types("xl destroy wheezy");
    home_ = nullptr;
  }

  void is_destroyed_held_open() {
    Task holder = home_->starts(hold_of_wheezy);
    home_->types("xl destroy wheezy");
    std::this_thread::sleep_for(std::chrono::seconds(below(8)));
    holder.killed();
    home_ = nullptr;
  }

  void is_refused_elsewhere() { other().fails("xl create /etc/xen/wheezy.cfg"); }

  void loses_its_disk() {
    home_->types("drbdadm detach Wheezy");
    home_->guest_writes("wheezy");
    home_->types("drbdadm attach Wheezy");
    home_->waits_until_up_to_date("Wheezy");
  }

  void link_fails() {
    lab_.link_is_cut();
    std::this_thread::sleep_for(std::chrono::seconds(below(15)));
    lab_.link_is_restored();
    for (Node* node : {&lab_.node1, &lab_.node2})
      node->waits_until_up_to_date("Wheezy");
  }

  void is_adjusted() { (below(2) == 0 ? *home_ : other()).types("drbdadm adjust Wheezy"); }

  void peer_loses_power() {
    Node& peer = other();
    peer.loses_power();
    home_->guest_writes("wheezy");
    peer.boots();
    peer.waits_until_up_to_date("Wheezy");
    const bool is_told_at_once = below(2) == 0;
    if (is_told_at_once)
      home_->drops_lost_connections();
    lab_.must_migrate(*home_, peer, "wheezy");
    if (!is_told_at_once)
      home_->drops_lost_connections();
    lab_.has_moved(*home_, peer, "wheezy", "Wheezy");
    home_ = &peer;
  }

  void home_loses_power() {
    reported_ = std::max(reported_, home_->last_record("wheezy"));
    Node& lost = *home_;
    home_ = nullptr;
    lost.loses_power();
    lost.boots();
    lost.waits_until_up_to_date("Wheezy");
    // Its console went with it, but not what that had shown.
    lab_.records_reach(reported_, disk_of_wheezy);
  }

  void is_as_it_must_be() {
    if (home_ == nullptr) {
      lab_.node1.becomes("Wheezy", "Secondary");
      lab_.node2.becomes("Wheezy", "Secondary");
      return;
    }
    REQUIRE(home_->role("Wheezy") == "Primary");
    REQUIRE(other().role("Wheezy") == "Secondary");
    home_->guest_writes("wheezy", 1);
  }

  Lab& lab_;
  std::mt19937 random_;
  Node* home_ = nullptr;
  long reported_ = 0;
  std::map<std::string, int> done_;
};

}  // namespace

TEST_CASE_METHOD(Lab, "a guest lives through anything in any order - its records are whole") {
  const unsigned seed = setting("LAB_SEED", static_cast<unsigned>(std::random_device()()));
  const unsigned minutes = setting("LAB_SOAK", 2);
  std::cout << "LAB_SEED=" << seed << " LAB_SOAK=" << minutes << std::endl;
  INFO("LAB_SEED=" << seed);
  Soak soak(*this, seed);
  soak.goes_on_until(Clock::now() + std::chrono::minutes(minutes));
  soak.ends();
}

}  // namespace block_drbd::lab
