#include "cases.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <set>

#include "catch.h"

namespace block_drbd::faults {

namespace {

std::string code_of(const Ended& ended) {
  return ended.code ? std::to_string(*ended.code) : "(it did not end)";
}

std::string played(const Case& each) {
  Complaints complaints;
  try {
    Node node;
    each.play(node, complaints);
  } catch (const std::exception& error) {
    complaints.emplace_back(error.what());
  }
  std::string text;
  for (const std::string& complaint : complaints)
    text += "  - " + complaint + '\n';
  return text;
}

void judge_sentence(const Ended& ended, const Words& words, Complaints& complaints) {
  const auto names = [&](const char* what) { return ended.said.find(what) != std::string::npos; };
  if (!names("r0") && !names("backend/vbd/") && !names("domain 5"))
    complaints.push_back("it does not say what it is about: " + ended.said);
  expect_words(ended.said, words, complaints);
}

/// A keeper is all that may outlast the program, with the tools that it runs. Others may be about
/// to end.
void judge_processes(const Node& node, Complaints& complaints) {
  const auto left = [&] {
    const std::vector<Node::Process> processes = node.processes();
    std::set<pid_t> keepers;
    for (const Node::Process& process : processes)
      if (process.line.find(" keep ") != std::string::npos)
        keepers.insert(process.pid);
    std::vector<std::string> lines;
    for (const Node::Process& process : processes)
      if (!process.line.empty() && !keepers.contains(process.pid) &&
          !keepers.contains(process.parent))
        lines.push_back(process.line);
    return lines;
  };
  if (!test::eventually([&] { return left().empty(); }))
    for (const std::string& line : left())
      complaints.push_back("still there: " + line);
}

}  // namespace

void play_all(const std::vector<Group>& groups) {
  const char* wanted = std::getenv("FAULTS");
  std::vector<Case> cases;
  for (const Group& group : groups)
    for (const Case& each : group.cases)
      if (const std::string name = group.name + ": " + each.name;
          wanted == nullptr || name.find(wanted) != std::string::npos)
        cases.push_back({name, each.play});

  std::vector<pid_t> players;
  std::vector<Fd> results;
  for (const Case& each : cases) {
    results.emplace_back(::memfd_create("result", MFD_CLOEXEC));
    const pid_t player = ::fork();
    if (player == 0) {
      const std::string text = played(each);
      const ssize_t size = ::write(results.back().get(), text.data(), text.size());
      std::_Exit(size == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    players.push_back(player);
  }
  for (std::size_t each = 0; each < cases.size(); ++each) {
    int status = 0;
    ::waitpid(players[each], &status, 0);
    std::string text(static_cast<std::size_t>(::lseek(results[each].get(), 0, SEEK_END)), '\0');
    static_cast<void>(!::pread(results[each].get(), text.data(), text.size(), 0));
    INFO(cases[each].name << ":\n" << text);
    CHECK(status == 0);
    CHECK(text.empty());
  }
}

void expect_words(const std::string& text, const Words& words, Complaints& complaints) {
  for (const std::string& word : words)
    if (text.find(word) == std::string::npos)
      complaints.push_back("it does not say '" + word + "': " + text);
}

void judge_add(Node& node, const Guest& guest, const Ended& ended, const Words& words,
               Complaints& complaints) {
  const DrbdState drbd = node.drbd();
  const bool connected = node.is_connected(guest);
  const bool done = ended.code == 0;
  if (ended.code != (words.empty() ? 0 : 1))
    complaints.push_back("add ended with " + code_of(ended) + ": " + ended.said);
  if (done != connected || (done && !drbd.is_primary))
    complaints.push_back("add ended with " + code_of(ended) + ", the guest has " +
                         (connected ? "its" : "no") + " device, and the node is " +
                         described(drbd));
  judge_processes(node, complaints);
  if (done)
    return;
  judge_sentence(ended, words, complaints);
  if (drbd.is_primary && ended.said.find("Primary") == std::string::npos)
    complaints.push_back("it does not say that the node is Primary: " + ended.said);
}

void judge_remove(Node& node, const Ended& ended, const Words& words, Complaints& complaints) {
  const DrbdState drbd = node.drbd();
  if (ended.code != (words.empty() ? 0 : 1))
    complaints.push_back("remove ended with " + code_of(ended) + ": " + ended.said);
  if (ended.code == 0 && drbd.is_primary)
    complaints.push_back("remove succeeded, and the node is " + described(drbd));
  judge_processes(node, complaints);
  if (ended.code == 0)
    return;
  judge_sentence(ended, words, complaints);
  expect_words(ended.said, {"Primary"}, complaints);
}

void all_is_well_again(Node& node, const Guest& guest, Complaints& complaints) {
  node.close(guest);
  if (const Ended ended = node.remove(guest); ended.code != 0)
    complaints.push_back("the next remove ended with " + code_of(ended) + ": " + ended.said);
  node.destroy(guest);
  next_guest_is_well(node, complaints);
}

void next_guest_is_well(Node& node, Complaints& complaints) {
  node.create(next);
  if (const Ended ended = node.add(next); ended.code != 0)
    complaints.push_back("the next add ended with " + code_of(ended) + ": " + ended.said);
  if (!node.is_connected(next) || !node.drbd().is_primary)
    complaints.push_back("the next guest has no device, or the node is " + described(node.drbd()));
  node.close(next);
  if (const Ended ended = node.remove(next); ended.code != 0)
    complaints.push_back("the last remove ended with " + code_of(ended) + ": " + ended.said);
  node.destroy(next);
  for (const std::string& complaint : never_idle(node))
    complaints.push_back("at last: " + complaint);
}

}  // namespace block_drbd::faults
