// How the files in /run/block-drbd are called: a suffix says what one is. Names of resources have
// dots, but each suffix comes last.
#pragma once

#include <string_view>

namespace block_drbd::record {

inline constexpr std::string_view claim_suffix = ".claim";
inline constexpr std::string_view window_suffix = ".window";
inline constexpr std::string_view held_suffix = ".held";
inline constexpr std::string_view outage_suffix = ".outage";
inline constexpr std::string_view lock_suffix = ".lock";
inline constexpr std::string_view keeper_suffix = ".keeper";
inline constexpr std::string_view place_suffix = ".place";  ///< of the node, numbered
inline constexpr std::string_view healer_name = "healer";   ///< of the node

}  // namespace block_drbd::record
