// xenstored misbehaves: it is slow, silent, gone, full, or always of another mind.
#include <memory>
#include <stdexcept>

#include "cases.h"
#include "catch.h"
#include "xenstored_proxy.h"

extern "C" {
#include <xen/io/xs_wire.h>
}

using namespace block_drbd::faults;
using namespace std::chrono_literals;

namespace {

using Decide = std::function<Fate(const Request&)>;

/// What is decided about requests, and what is said of it; nothing: it does no harm.
struct XenstoredFault {
  std::string name;
  Decide decide;
  Words words;
  bool may_be_too_late = false;  ///< all may be done by then

  const Words& words_for(const Ended& ended) const {
    static const Words none;
    return may_be_too_late && ended.code == 0 ? none : words;
  }
};

Fate refused(const char* error) {
  return {.error = error, .delay = 0ms, .is_cut = false};
}

Fate late(std::chrono::milliseconds delay) {
  return {.error = {}, .delay = delay, .is_cut = false};
}

constexpr std::chrono::milliseconds for_ever = 10min;

void must_have_interfered(const XenstoredProxy& proxy, Complaints& complaints) {
  if (!proxy.has_interfered())
    complaints.push_back("nothing went wrong in all " + std::to_string(proxy.requests()) +
                         " requests");
}

/// Once xenstored is as it should be, what libxl does next makes all well.
void add_with(Node& node, const XenstoredFault& fault, Complaints& complaints) {
  node.create(web);
  XenstoredProxy proxy(node.xenstored().socket(), fault.decide);
  node.xenstored_at(proxy.socket());
  const Ended added = node.add(web);
  must_have_interfered(proxy, complaints);
  judge_add(node, web, added, fault.words_for(added), complaints);
  node.xenstored_at(node.xenstored().socket());
  all_is_well_again(node, web, complaints);
}

void remove_with(Node& node, const XenstoredFault& fault, Complaints& complaints) {
  node.create(web);
  judge_add(node, web, node.add(web), {}, complaints);
  node.close(web);
  XenstoredProxy proxy(node.xenstored().socket(), fault.decide);
  node.xenstored_at(proxy.socket());
  const Ended removed = node.remove(web);
  must_have_interfered(proxy, complaints);
  judge_remove(node, removed, fault.words_for(removed), complaints);
  node.xenstored_at(node.xenstored().socket());
  all_is_well_again(node, web, complaints);
}

/// How many requests an add or a remove makes where nothing goes wrong.
unsigned requests_of(void (*play)(Node&, const XenstoredFault&, Complaints&)) {
  auto requests = std::make_shared<unsigned>(0);
  Node node;
  Complaints complaints;
  play(node,
       {.name = {},
        .decide =
            [=](const Request& request) {
              *requests = request.number;
              return late(1ms);
            },
        .words = {}},
       complaints);
  if (!complaints.empty())
    throw std::runtime_error(complaints.front());
  return *requests;
}

std::vector<Case> cases_of(const std::vector<XenstoredFault>& faults,
                           void (*play)(Node&, const XenstoredFault&, Complaints&)) {
  std::vector<Case> cases;
  for (const XenstoredFault& fault : faults)
    cases.push_back({fault.name, [fault, play](Node& node, Complaints& complaints) {
                       play(node, fault, complaints);
                     }});
  return cases;
}

/// From a request on.
Decide from(unsigned number, const Fate& fate) {
  return [=](const Request& request) { return request.number >= number ? fate : Fate{}; };
}

/// Requests of one type, whatever they are about.
Decide each(unsigned type, const Fate& fate) {
  return [=](const Request& request) { return request.type == type ? fate : Fate{}; };
}

const Fate cut{.error = {}, .delay = 0ms, .is_cut = true};

std::vector<Case> while_a_guest_starts(unsigned requests) {
  std::vector<XenstoredFault> faults{
      {"each answer takes 20 ms", [](const Request&) { return late(20ms); }, {}},
      {"each answer takes 4 s", [](const Request&) { return late(4s); }, {"xenstore"}},
      {"no answer at all", [](const Request&) { return late(for_ever); }, {"did not answer"}},
      {"it is full", each(XS_WRITE, refused("ENOSPC")), {"xenstore: cannot write", "No space"}},
      {"it is out of memory", each(XS_WRITE, refused("ENOMEM")), {"xenstore: cannot write"}},
      {"no transaction to be had",
       each(XS_TRANSACTION_START, refused("ENOSPC")),
       {"xenstore: cannot start a transaction"}},
      {"others always win", each(XS_TRANSACTION_END, refused("EAGAIN")), {"20 times in a row"}},
      {"it cannot write to its disk",
       each(XS_TRANSACTION_END, refused("EIO")),
       {"xenstore: cannot commit"}},
      {"nothing can be read", each(XS_READ, refused("EIO")), {"xenstore: cannot read"}},
      {"nothing can be listed", each(XS_DIRECTORY, refused("EIO")), {"xenstore: cannot list"}},
  };
  for (unsigned number = 1; number <= requests; ++number)
    faults.push_back(
        {"it is gone at request " + std::to_string(number), from(number, cut), {"xenstore"}, true});
  for (unsigned number = 2; number <= requests; number += 6)
    faults.push_back({"it falls silent at request " + std::to_string(number),
                      from(number, late(for_ever)),
                      {"did not answer"},
                      true});
  return cases_of(faults, add_with);
}

std::vector<Case> while_a_guest_ends(unsigned requests) {
  std::vector<XenstoredFault> faults{
      {"each answer takes 20 ms", [](const Request&) { return late(20ms); }, {}},
      {"no answer at all", [](const Request&) { return late(for_ever); }, {"did not answer"}},
      {"nothing can be read", each(XS_READ, refused("EIO")), {"xenstore: cannot read"}},
      {"nothing can be listed", each(XS_DIRECTORY, refused("EIO")), {"xenstore: cannot list"}},
  };
  for (unsigned number = 1; number <= requests; ++number)
    faults.push_back(
        {"it is gone at request " + std::to_string(number), from(number, cut), {"xenstore"}, true});
  faults.push_back({"it falls silent at request 7", from(7, late(for_ever)), {"did not answer"}});
  return cases_of(faults, remove_with);
}

std::vector<Case> its_connection_breaks(unsigned requests) {
  std::vector<Case> cases;
  for (unsigned number = 1; number <= requests; ++number)
    cases.push_back(
        {"at request " + std::to_string(number), [number](Node& node, Complaints& complaints) {
           const XenstoredFault fault{.name = {},
                                      .decide =
                                          [number](const Request& request) {
                                            return request.number == number ? cut : Fate{};
                                          },
                                      .words = {"xenstore"},
                                      .may_be_too_late = true};
           add_with(node, fault, complaints);
         }});
  return cases;
}

}  // namespace

TEST_CASE("xenstored misbehaves", "[xenstored]") {
  const unsigned of_add = requests_of(add_with);
  play_all({
      {"xenstored misbehaves while a guest starts", while_a_guest_starts(of_add)},
      {"xenstored misbehaves while a guest ends", while_a_guest_ends(requests_of(remove_with))},
      {"the connection to xenstored breaks while a guest starts", its_connection_breaks(of_add)},
  });
}
