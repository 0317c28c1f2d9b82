#include "policy/refusals.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace block_drbd::policy {

namespace code = drbd::code;

namespace {

template <typename Codes>
bool is_one_of(const drbd::Answer& answer, const Codes& codes) {
  return answer.code &&
         std::find(std::begin(codes), std::end(codes), *answer.code) != std::end(codes);
}

/// What each refusal means and what to do, put behind DRBD's own words.
std::string meaning(const drbd::Resource& state, const drbd::Answer& answer) {
  const std::string& resource = state.name;
  switch (answer.code.value_or(0)) {
    case code::two_primaries:
    case code::other_volume_primary_on_peer:
    case code::not_strongly_connected:
      return drbd::has_lost_one_of_many(state)
                 ? "another node is Primary, most likely one that this node does not see, but a "
                   "node that it sees does: the guest may run there. Look at `xl list` on all "
                   "nodes, and at `drbdadm status " +
                       resource + "` which link is missing"
                 : "another node became Primary at the same moment";
    case code::no_up_to_date:
      return "neither this node nor a connected one has data that is known to be good. Look at "
             "`drbdadm status " +
             resource +
             "`: a resync must finish first, or the link to the node with the good data must come "
             "back. A new resource, Inconsistent on every node, needs its first data: see "
             "`new-current-uuid` and `primary --force` in drbdadm(8)";
    case code::peer_not_outdated:
      return "fencing is configured, and the other node could not be fenced. Look in the kernel "
             "log "
             "for the fence-peer handler";
    case code::refused_by_peer:
    case code::peer_opened_read_only:
      return "the other node does not agree, most likely because something there has the device "
             "open. "
             "Look there with `fuser -v` on the device";
    case code::diskless:
      return "this node has no disk for it and sees no other. Look in the kernel log for I/O "
             "errors, "
             "replace the disk, then run `drbdadm attach " +
             resource + "`";
    case code::no_quorum:
      return "too few nodes are connected for a majority. Bring the others back";
    default:
      return "see `drbdadm status " + resource + "` and the kernel log";
  }
}

}  // namespace

std::string no_such_volume(const drbd::Resource& resource, std::optional<int> number) {
  std::string list;
  for (const drbd::Volume& volume : resource.volumes)
    list += (list.empty() ? "" : ", ") + std::to_string(volume.number);
  return "DRBD resource " + resource.name +
         (number ? " has no volume " + std::to_string(*number) : " does not have just one volume") +
         " on this node (it has: " + (list.empty() ? "none" : list) +
         "). Write drbd:" + resource.name + "/VOLUME in the guest's disk line";
}

bool promotion_may_pass(const drbd::Answer& answer) {
  return is_one_of(
      answer,
      std::to_array({code::two_primaries, code::other_volume_primary_on_peer, code::refused_by_peer,
                     code::in_transient_state, code::concurrent_changes, code::interrupted,
                     code::peer_opened_read_only, code::timeout, code::retry}));
}

bool peer_is_primary(const drbd::Answer& answer) {
  return is_one_of(answer,
                   std::to_array({code::two_primaries, code::other_volume_primary_on_peer}));
}

std::string explain_promotion(const drbd::Resource& resource, const drbd::Answer& answer) {
  return "DRBD resource " + resource.name +
         " cannot become Primary on this node: " + meaning(resource, answer) + ". DRBD says " +
         drbd::quoted(answer);
}

std::string cannot_be_taken_over(const std::string& resource, const std::string& because,
                                 const std::string& advice) {
  return "the migration of DRBD resource " + resource + " cannot be taken over: " + because +
         ". The guest goes on at its source. " + advice;
}

bool opening_may_pass(const drbd::Answer& answer) {
  return is_one_of(
      answer, std::to_array({code::in_transient_state, code::concurrent_changes, code::interrupted,
                             code::timeout, code::retry, code::connection_unknown}));
}

std::string explain_opening(const std::string& resource, const drbd::Answer& answer) {
  return cannot_be_taken_over(
      resource,
      "during the hand-over both nodes are Primary, and DRBD does not allow that now. DRBD says " +
          drbd::quoted(answer),
      "See `drbdadm status " + resource + "` and the kernel log, then migrate again");
}

std::string explain_hand_over(const drbd::Resource& resource, const drbd::Answer& answer) {
  if (peer_is_primary(answer))
    return "DRBD resource " + resource.name +
           " cannot be handed over: during the hand-over both nodes are Primary, and each time "
           "that "
           "this was allowed, something forbade it again. The guest goes on at its source. Look "
           "whether something runs `drbdadm adjust` all the time, on either node, then migrate "
           "again";
  return explain_promotion(resource, answer) + ". The guest goes on at its source";
}

}  // namespace block_drbd::policy
