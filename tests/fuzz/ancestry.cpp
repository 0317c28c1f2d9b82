// Who started us: the name of a process, and of each of its ancestors the words that it was called
// with, one a line, and its name, or all of what /proc/PID/stat shows.
#include "process/ancestry.h"

#include <algorithm>
#include <array>
#include <string>

#include "drbd/text.h"
#include "targets.h"
#include "temp_dir.h"

namespace block_drbd::fuzz {

namespace {

constexpr pid_t youngest = 100;

struct Ancestor {
  pid_t pid;
  std::string words;
  std::string_view text;
};

void write(const test::TempDir& proc, pid_t pid, std::string_view file, std::string_view text) {
  proc.write(std::to_string(pid).append("/").append(file), text);
}

/// The kernel's line of a process, whose parent has the number before.
std::string stat_of(pid_t pid, std::string_view name) {
  return std::to_string(pid).append(" (").append(name).append(") S ") + std::to_string(pid - 1) +
         " 812 812 0 -1 4194304 1 0 0 0\n";
}

bool is_migrate_receive(std::string_view words) {
  const auto take = [&] {
    const std::string_view word = words.substr(0, words.find('\0'));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    return word;
  };
  const std::string_view tool = take();
  if (tool != "xl" && !tool.ends_with("/xl"))
    return false;
  while (!words.empty())
    if (take() == "migrate-receive")
      return true;
  return false;
}

}  // namespace

void feed_ancestry(std::string_view text) {
  static const test::TempDir proc;
  const auto is_found = [&] { return process::is_below_migrate_receive(youngest, proc.path()); };
  write(proc, youngest, "cmdline", "sh");
  write(proc, youngest, "stat", stat_of(youngest, take_part(text)));
  write(proc, youngest - 1, "cmdline", std::string_view("/usr/sbin/xl\0migrate-receive\0", 29));
  demand(is_found(), "whatever we are called, xl is found above us");

  std::array<Ancestor, 3> ancestors;
  pid_t pid = youngest;
  for (Ancestor& each : ancestors) {
    each = {.pid = --pid, .words = std::string(take_part(text)), .text = take_part(text)};
    std::ranges::replace(each.words, '\n', '\0');
    write(proc, each.pid, "cmdline", each.words);
    write(proc, each.pid, "stat", stat_of(each.pid, each.text));
  }
  const bool is_one = std::ranges::any_of(ancestors, is_migrate_receive, &Ancestor::words);
  demand(is_found() == is_one, "just xl migrate-receive is one, whatever others are called");

  for (const Ancestor& each : ancestors)
    write(proc, each.pid, "stat", each.text);
  demand(!is_found() || is_one, "where there is none, none is found");
}

}  // namespace block_drbd::fuzz
