// Many faults at once, each on a node of its own: most of them only wait.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "node.h"

namespace block_drbd::faults {

struct Case {
  std::string name;
  std::function<void(Node&, Complaints&)> play;
};

struct Group {
  std::string name;
  std::vector<Case> cases;
};

/// Plays all, and fails the test case for each complaint. With FAULTS in the environment only those
/// whose group and name hold that.
void play_all(const std::vector<Group>& groups);

const Guest web{.domid = 5};
const Guest next{.domid = 6};

/// What must be true of any add, whatever went wrong: it has ended by itself; it succeeded just
/// when the guest has a device of a Primary resource; else it said a sentence that names the
/// resource or the backend, also in xenstore if that can be reached, and holds all of `words`; no
/// process is left behind but a keeper. `words` empty: it must have succeeded.
void judge_add(Node& node, const Guest& guest, const Ended& ended, const Words& words,
               Complaints& complaints);

/// As above, of a remove: it succeeded just when the node is Secondary.
void judge_remove(Node& node, const Ended& ended, const Words& words, Complaints& complaints);

/// What libxl does next, with all in order again: remove, and another guest that starts and ends.
void all_is_well_again(Node& node, const Guest& guest, Complaints& complaints);
/// The second half of it.
void next_guest_is_well(Node& node, Complaints& complaints);

void expect_words(const std::string& text, const Words& words, Complaints& complaints);

}  // namespace block_drbd::faults
