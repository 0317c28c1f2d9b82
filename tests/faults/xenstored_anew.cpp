// xenstored is killed and started anew. Its store is empty then, and stays so, or the toolstack
// writes again what had been there.
#include <csignal>
#include <future>
#include <map>
#include <memory>
#include <thread>

#include "cases.h"
#include "catch.h"
#include "file.h"
#include "xenstored_proxy.h"

using namespace block_drbd::faults;
using block_drbd::test::eventually;

namespace {

enum class Store { Empty, Written };

std::string named(Store store) {
  return store == Store::Empty ? "its store stays empty" : "its store is written again";
}

void start_anew(Node& node, const Guest& guest, Store store) {
  std::map<std::string, std::string> values;
  for (const char* key : {"state", "online", "physical-device", "physical-device-path"})
    if (const std::string value = node.value(guest, key); !value.empty())
      values[key] = value;
  node.xenstored().start_anew();
  if (store == Store::Empty)
    return;
  node.create(guest);
  for (const auto& [key, value] : values)
    node.xenstored().write(guest.directory() + '/' + key, value);
}

/// The program runs, and before its request of this number is passed on xenstored starts anew; 0:
/// it does not. How many requests there were.
unsigned interrupted(Node& node, const Guest& guest, Store store, unsigned number,
                     const std::function<void()>& run) {
  struct Pause {
    std::promise<void> begin;
    std::promise<void> end;
  };
  const auto pause = std::make_shared<Pause>();
  XenstoredProxy proxy(node.xenstored().socket(), [pause, number](const Request& request) {
    if (request.number == number) {
      pause->begin.set_value();
      pause->end.get_future().wait();
    }
    return Fate{};
  });
  node.xenstored_at(proxy.socket());
  std::thread program(run);
  // In this thread, since a xenstored dies with the one that has started it.
  if (number != 0) {
    pause->begin.get_future().wait();
    start_anew(node, guest, store);
    pause->end.set_value();
  }
  program.join();
  node.xenstored_at(node.xenstored().socket());
  return proxy.requests();
}

/// A store that stays empty has nothing of the guest that the toolstack could close.
void all_is_well_with(Node& node, const Guest& guest, Store store, Complaints& complaints) {
  if (store == Store::Written) {
    all_is_well_again(node, guest, complaints);
    return;
  }
  judge_remove(node, node.remove(guest), {}, complaints);
  next_guest_is_well(node, complaints);
}

unsigned add_interrupted(Node& node, Store store, unsigned number, Complaints& complaints) {
  node.create(web);
  Ended added;
  const unsigned requests = interrupted(node, web, store, number, [&] { added = node.add(web); });
  judge_add(node, web, added, number == 0 ? Words{} : Words{"xenstore"}, complaints);
  return requests;
}

unsigned remove_interrupted(Node& node, Store store, unsigned number, Complaints& complaints) {
  node.create(web);
  judge_add(node, web, node.add(web), {}, complaints);
  node.close(web);
  Ended removed;
  const unsigned requests =
      interrupted(node, web, store, number, [&] { removed = node.remove(web); });
  // The last ones are about what may be remembered, and the role is given back without it.
  judge_remove(node, removed, removed.code == 0 ? Words{} : Words{"xenstore"}, complaints);
  return requests;
}

/// At each of its requests.
std::vector<Case> interrupted_anywhere(unsigned (*play)(Node&, Store, unsigned, Complaints&)) {
  Complaints none;
  Node undisturbed;
  const unsigned requests = play(undisturbed, Store::Written, 0, none);
  std::vector<Case> cases;
  for (const Store store : {Store::Empty, Store::Written})
    for (unsigned number = 1; number <= requests; ++number)
      cases.push_back({"at request " + std::to_string(number) + ", " + named(store),
                       [=](Node& node, Complaints& complaints) {
                         play(node, store, number, complaints);
                         all_is_well_with(node, web, store, complaints);
                       }});
  return cases;
}

/// blkback has a guest's device open until the guest's disk is closed, whatever xenstored does.
void open_device(Node& node, bool is_open) {
  node.change_drbd([is_open](DrbdState& state) { state.is_open = is_open; });
}

/// Nothing may be taken from a guest that runs, and nobody else let in.
void judge_running(Node& node, Complaints& complaints) {
  node.create(next);
  const Ended added = node.add(next);
  if (added.code == 0 || node.is_connected(next))
    complaints.push_back("another guest has been let in: " + added.said);
  expect_words(added.said, {"r0"}, complaints);
  node.close(next);
  if (const Ended removed = node.remove(next); removed.code != 0)
    complaints.push_back("the other guest's remove: " + removed.said);
  node.destroy(next);
  if (!node.drbd().is_primary)
    complaints.push_back("under a guest the node is " + described(node.drbd()));
  const std::string claim =
      block_drbd::read_file(node.run("block-drbd/vbd-5-51712@r0.claim")).value_or("no claim");
  if (claim.find("attached") == std::string::npos)
    complaints.push_back("the guest's claim is not what it was: " + claim);
}

std::vector<Case> under_a_guest() {
  std::vector<Case> cases;
  for (const Store store : {Store::Empty, Store::Written}) {
    cases.push_back({"that runs, " + named(store), [store](Node& node, Complaints& complaints) {
                       node.create(web);
                       judge_add(node, web, node.add(web), {}, complaints);
                       open_device(node, true);
                       start_anew(node, web, store);
                       judge_running(node, complaints);
                       open_device(node, false);
                       all_is_well_with(node, web, store, complaints);
                     }});
    // Its keeper closes the window, also when the guest's nodes are not there.
    cases.push_back({"that arrives, " + named(store), [store](Node& node, Complaints& complaints) {
                       Guest arriving = web;
                       arriving.name = "web--incoming";
                       node.change_drbd([](DrbdState& state) { state.peer_is_primary = true; });
                       node.receives_migration(true);
                       node.create(arriving);
                       judge_add(node, arriving, node.add(arriving), {}, complaints);
                       open_device(node, true);
                       start_anew(node, arriving, store);
                       node.receives_migration(false);
                       node.change_drbd([](DrbdState& state) { state.peer_is_primary = false; });
                       if (store == Store::Written)
                         node.rename(arriving, web.name);
                       const auto is_closed = [&] { return !node.drbd().two_primaries; };
                       // Where nobody tells that the guest has arrived, it waits for a while.
                       if (!eventually(is_closed) && !eventually(is_closed))
                         complaints.emplace_back("two primaries stay allowed");
                       judge_running(node, complaints);
                       open_device(node, false);
                       all_is_well_with(node, web, store, complaints);
                     }});
  }
  return cases;
}

/// A keeper gives the role of an ended guest back, when its device is closed.
std::vector<Case> after_a_guest() {
  return {{"whose device is closed later",
           [](Node& node, Complaints& complaints) {
             node.create(web);
             judge_add(node, web, node.add(web), {}, complaints);
             open_device(node, true);
             node.close(web);
             judge_remove(node, node.remove(web), {"A process stays behind"}, complaints);
             node.destroy(web);
             node.xenstored().start_anew();
             open_device(node, false);
             for (const std::string& complaint : never_idle(node))
               complaints.push_back(complaint);
             next_guest_is_well(node, complaints);
           }},
          {"whose keeper begins while there is none", [](Node& node, Complaints& complaints) {
             node.create(web);
             judge_add(node, web, node.add(web), {}, complaints);
             node.destroy(web);
             node.xenstored().stop();
             Ended kept;
             std::thread keeper([&] { kept = node.keep(); });
             if (!eventually([&] {
                   return node.log().find("Connecting to xenstored again") != std::string::npos;
                 }))
               complaints.emplace_back("nothing is told of it");
             node.xenstored().start_anew();
             keeper.join();
             if (kept.code != 0)
               complaints.push_back("the keeper did not go on: " + kept.said);
             for (const std::string& complaint : never_idle(node))
               complaints.push_back(complaint);
           }}};
}

}  // namespace

TEST_CASE("xenstored is started anew", "[xenstored]") {
  play_all({
      {"xenstored is started anew while a guest starts", interrupted_anywhere(add_interrupted)},
      {"xenstored is started anew while a guest ends", interrupted_anywhere(remove_interrupted)},
      {"xenstored is started anew under a guest", under_a_guest()},
      {"xenstored is started anew after a guest", after_a_guest()},
  });
}
