// What /proc/drbd looks like, for the stand-in of DRBD and for who reads and makes it. A minor
// takes the same room whatever its role, so that the role can be written in its place.
#pragma once

#include <string>
#include <string_view>

namespace block_drbd::bench {

inline constexpr std::string_view header =
    "version: 8.4.11 (api:1/proto:86-101)\nsrcversion: 059B1B470318F053F5077D5 \n";
inline constexpr std::string_view connected = ": cs:Connected ro:";
inline constexpr std::size_t before_role = 5 + connected.size();
inline constexpr std::size_t role_size = std::string_view("Secondary/Secondary").size();
inline constexpr std::string_view after_role =
    " ds:UpToDate/UpToDate C r-----\n"
    "    ns:0 nr:0 dw:0 dr:0 al:8 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0\n";
inline constexpr std::size_t minor_size = before_role + role_size + after_role.size();

inline std::string minor_in_proc_drbd(int minor) {
  const std::string number = std::to_string(minor);
  return std::string(5 - number.size(), ' ')
      .append(number)
      .append(connected)
      .append("Secondary/Secondary")
      .append(after_role);
}

}  // namespace block_drbd::bench
