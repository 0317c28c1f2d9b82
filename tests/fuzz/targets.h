// What reads texts that others wrote: each is fed with any text at all, must neither crash nor
// hang, and must keep its promises about what it made of it.
#pragma once

#include <map>
#include <string_view>

#include "result.h"

namespace block_drbd::fuzz {

using Feed = void (*)(std::string_view text);

/// By the name of their directory in the corpus.
const std::map<std::string_view, Feed>& targets();

/// Ends the program where a promise is broken.
void demand(bool is_kept, std::string_view promise, std::string_view found = {});

/// What goes to a terminal or into the log: printable ASCII.
void demand_plain(std::string_view text);
/// Some of it.
void demand_sentence(std::string_view text);

/// What was read, or a sentence about why not.
template <typename Value>
void demand_told(const Result<Value>& result) {
  if (!result)
    demand_sentence(result.error().message);
}

/// Takes off the text up to the next line that is just "%": some are fed with several.
std::string_view take_part(std::string_view& text);

// Those that are more than one reader.
void feed_add_and_remove(std::string_view text);
void feed_ancestry(std::string_view text);
void feed_devices(std::string_view text);
void feed_drbdsetup(std::string_view text);
void feed_inventory(std::string_view text);
void feed_test(std::string_view text);

}  // namespace block_drbd::fuzz
