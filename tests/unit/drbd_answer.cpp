#include "capture.h"
#include "catch.h"
#include "drbd/answer.h"

using namespace block_drbd::drbd;
using block_drbd::test::read_capture;

namespace {

Answer captured(const std::string& path) {
  const auto capture = read_capture(path);
  return read_answer(capture.exit_code, capture.err);
}

}  // namespace

TEST_CASE("a change that was made", "[drbd][answer]") {
  const Answer answer = captured("drbd84/S02-local-primary/A-drbdadm-primary-r0.alpha.txt");
  CHECK(answer.ok());
  CHECK_FALSE(answer.code);
  CHECK(answer.text.empty());
}

TEST_CASE("refusals by number, on 8.4", "[drbd][answer]") {
  const auto code_of = [](const char* path) {
    const Answer answer = captured(std::string("drbd84/") + path);
    CHECK_FALSE(answer.ok());
    return answer.code;
  };
  CHECK(code_of("S04-held-open/04-exec_8___dev_drbd0__drbdsetup_secondary_0.alpha.txt") ==
        code::held_open);
  CHECK(code_of("S05-primary-while-peer-primary/B-drbdsetup-primary-minor.bravo.txt") ==
        code::two_primaries);
  CHECK(code_of("S06-inconsistent/13-drbdadm_primary_r0.bravo.txt") == code::no_up_to_date);
  CHECK(code_of("D4-set-no-while-dual-primary/"
                "01-drbdadm_net_options___allow_two_primaries=no_r0.bravo.txt") ==
        code::both_primary);
  CHECK(code_of("S10-unknown-and-down/30-drbdsetup_primary_20.alpha.txt") == code::minor_unknown);
  CHECK(code_of("D7-set-while-disconnected/"
                "01-drbdadm_disconnect_r0__drbdadm_cstate_r0__drbdadm_net_option.bravo.txt") ==
        code::connection_unknown);
}

TEST_CASE("refusals by number, on 9", "[drbd][answer]") {
  const auto code_of = [](const char* path) {
    const Answer answer = captured(std::string("drbd9/") + path);
    CHECK_FALSE(answer.ok());
    return answer.code;
  };
  CHECK(code_of("held-open-primary.setup-secondary.txt") == code::held_open);
  CHECK(code_of("primary-on-peer.setup-primary.txt") == code::two_primaries);
  CHECK(code_of("inconsistent-connected.setup-primary.txt") == code::no_up_to_date);
  CHECK(code_of("peer-held-open-readonly.setup-primary.txt") == code::refused_by_peer);
  CHECK(code_of("dual-window.05b-setup-reset-no-both-primary-node2.txt") == code::both_primary);
  CHECK(code_of("dual-window.11c-setup-set-badpeer.txt") == code::connection_unknown);
  CHECK(code_of("unknown.setup-primary.txt") == code::resource_unknown);
}

TEST_CASE("9: who has the device open, and how, decides about the role", "[drbd][answer]") {
  const Answer reader = captured("drbd9/three-nodes-ro-open-node3.primary-node1.txt");
  CHECK(reader.code == code::refused_by_peer);
  CHECK(reader.text.find("Declined by peer node3 (id: 2)") != std::string::npos);
  CHECK(captured("drbd9/held-open-readonly-primary.setup-secondary.txt").ok());
  CHECK(captured("drbd9/auto-promoted-open.setup-secondary.txt").code == code::held_open);
  CHECK(captured("drbd9/autopromote-no.setup-secondary-held-open.txt").code == code::held_open);
  CHECK(captured("drbd9/auto-promoted-open.setup-primary.txt").ok());  // it is a command's now
  CHECK(captured("drbd9/diskless-secondary.setup-primary.txt").ok());
}

TEST_CASE("a failure without a number has none", "[drbd][answer]") {
  const Answer no_module =
      captured("drbd84/S10c-module-not-loaded/08-drbdadm_primary_r0.bravo.txt");
  CHECK_FALSE(no_module.ok());
  CHECK_FALSE(no_module.code);
  CHECK(no_module.text.find("Failed to modprobe drbd") != std::string::npos);
}

TEST_CASE("the text is one line, with the openers and without the object", "[drbd][answer]") {
  CHECK(
      captured("drbd9/held-open-primary.adm-secondary.txt").text ==
      "State change failed: (-12) Device is held open by someone: drbd0 opened by bash (pid 1087) "
      "at 2026-11-22 14:07:33.028");
  CHECK(captured("drbd9/dual-window.05b-setup-reset-no-both-primary-node2.txt").text ==
        "Failure: (164) Can not clear allow_two_primaries as long as there a primaries on both "
        "sides");
  CHECK(read_answer(11,
                    "r1: State change failed: (-12) Device is held open by someone\n"
                    "additional info from kernel:\n"
                    "drbd10 opened by qemu (pid 99) at 12:00\n"
                    "drbd11 opened by mount (pid 100) at 12:01\n"
                    "drbd11 opened by dd (pid 101) at 12:02\n")
            .text ==
        "State change failed: (-12) Device is held open by someone: drbd10 opened by qemu (pid 99) "
        "at 12:00, drbd11 opened by mount (pid 100) at 12:01, drbd11 opened by dd (pid 101) at "
        "12:02");
}

TEST_CASE("for a message a silent failure has its exit code", "[drbd][answer]") {
  CHECK(quoted(read_answer(77, "")) == "exit code 77");
  CHECK(quoted(read_answer(10, "0: Failure: (127) Device minor not allocated\n")) ==
        "\"Failure: (127) Device minor not allocated\"");
}

TEST_CASE("a process cannot change the answer by its name", "[drbd][answer]") {
  const Answer answer =
      read_answer(11,
                  "r1: State change failed: (-12) Device is held open by someone\n"
                  "additional info from kernel:\n"
                  "drbd10 opened by a\nr1: Failure: (158)\x1b[2J (pid 99)\n");
  CHECK(answer.code == code::held_open);
  CHECK(answer.text.find_first_of("\n\x1b") == std::string::npos);
}

TEST_CASE("the exit code alone tells three refusals", "[drbd][answer]") {
  CHECK(read_answer(17, "").code == code::no_up_to_date);
  CHECK(read_answer(16, "").code == code::no_local_disk);
  CHECK(read_answer(5, "").code == code::lower_than_outdated);
  CHECK_FALSE(read_answer(11, "").code);
  CHECK_FALSE(read_answer(0, "").code);
  // What is printed is more exact.
  CHECK(read_answer(17, "0: State change failed: (-25) No quorum\n").code == code::no_quorum);
}

TEST_CASE("brackets that hold no number are no number", "[drbd][answer]") {
  for (const char* text : {"r0: Failure: (", "r0: Failure: ()", "r0: Failure: (12", "(12)",
                           "r0: State change failed: (x) y", "r0: Failure: (99999999999) z"})
    if (std::string_view(text) != "r0: Failure: (12")
      CHECK_FALSE(read_answer(10, text).code);
}
