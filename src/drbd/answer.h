// What drbdsetup answers to a command that changes something.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace block_drbd::drbd {

/// DRBD's numbers for refusals. They are printed in brackets, and are the stable part of the
/// message; the texts differ between versions. Negative: a state change was refused
/// (enum drbd_state_rv, linux/drbd.h); positive: the command was (enum drbd_ret_code).
namespace code {
inline constexpr int two_primaries = -1;  ///< multiple primaries not allowed by config
inline constexpr int no_up_to_date = -2;  ///< need access to UpToDate data
inline constexpr int no_local_disk = -4;
inline constexpr int peer_not_outdated = -7;  ///< fencing: the peer is not known to be outdated
inline constexpr int refused_by_peer = -10;
inline constexpr int diskless = -11;
inline constexpr int held_open = -12;
inline constexpr int lower_than_outdated = -16;
inline constexpr int in_transient_state = -18;
inline constexpr int concurrent_changes = -19;
inline constexpr int other_volume_primary_on_peer = -20;
inline constexpr int interrupted = -21;  ///< DRBD 9; in 8.4 the number means: needs a connection
inline constexpr int peer_opened_read_only = -22;
inline constexpr int timeout = -23;
inline constexpr int not_strongly_connected = -24;
inline constexpr int no_quorum = -25;
inline constexpr int retry = -28;
inline constexpr int minor_unknown = 127;
inline constexpr int needs_protocol_c = 139;
inline constexpr int resource_unknown = 158;
inline constexpr int connection_unknown = 162;  ///< also: StandAlone on 8.4
inline constexpr int both_primary = 164;  ///< two primaries cannot be forbidden while there are
}  // namespace code

/// The answer to one command.
struct Answer {
  int exit_code = 0;
  std::optional<int> code;  ///< the number in brackets, when one was printed
  /// What was said, in one line, for a message; empty when nothing was. Not which resource it is
  /// about, and not what drbdadm adds about itself.
  std::string text;

  bool ok() const { return exit_code == 0; }
};

/// What was said, in quotes, or else the exit code: for a message that goes on from "DRBD says".
std::string quoted(const Answer& answer);

/// Reads an answer from what drbdsetup printed. The number of a state change is known from the exit
/// code too where older versions print none: 17 is -2, 5 is -16, 16 is -4 (drbdsetup.c).
Answer read_answer(int exit_code, std::string_view standard_error);

}  // namespace block_drbd::drbd
