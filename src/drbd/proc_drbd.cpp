// /proc/drbd. The first line is "version: 8.4.11 (api:1/proto:86-101)"; up to 8.4 a line follows
// for each minor:
//
//    0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
//
// where DRBD before 8.3 has `st:` for `ro:`, and a minor without disk and peer has nothing after
// `cs:Unconfigured`. While a minor is in resync its progress follows:
//
//    [=>..................] sync'ed: 10.3% (3776/4204)K
//    finish: 0:01:30 speed: 10,240 (10,240) K/sec
#include <cstdint>
#include <utility>

#include "drbd/readers.h"
#include "drbd/text.h"

namespace block_drbd::drbd {

namespace {

/// Takes "1:" off a minor's line.
std::optional<int> take_minor(std::string_view& line) {
  std::string_view word = take_word(line);
  if (!word.ends_with(':'))
    return std::nullopt;
  word.remove_suffix(1);
  return number_from(word);
}

/// "0:01:30" in seconds.
std::optional<int> seconds_of(std::string_view time) {
  std::int64_t seconds = 0;
  for (;;) {
    const auto end = time.find(':');
    const auto part = number_from(time.substr(0, end));
    if (!part || *part < 0)
      return std::nullopt;
    seconds = seconds * 60 + *part;
    if (!std::in_range<int>(seconds))
      return std::nullopt;
    if (end == std::string_view::npos)
      return static_cast<int>(seconds);
    time.remove_prefix(end + 1);
  }
}

}  // namespace

std::string read_version(std::string_view proc_drbd) {
  std::string_view line = take_line(proc_drbd);
  return std::string(take_word(line) == "version:" ? take_word(line) : std::string_view());
}

Generation read_generation(std::string_view proc_drbd) {
  const std::string version = read_version(proc_drbd);
  const int major = number_from(std::string_view(version).substr(0, version.find('.'))).value_or(0);
  if (major < 8)
    return Generation::Absent;
  return major == 8 ? Generation::V8 : Generation::V9;
}

std::map<int, Role> read_minor_roles(std::string_view proc_drbd) {
  std::map<int, Role> roles;
  while (!proc_drbd.empty()) {
    std::string_view line = take_line(proc_drbd);
    const auto minor = take_minor(line);
    if (!minor)
      continue;
    for (std::string_view word; !(word = take_word(line)).empty();)
      if (word.starts_with("ro:") || word.starts_with("st:"))
        roles[*minor] = role_from(word.substr(3, word.find('/') - 3));
  }
  return roles;
}

std::map<int, int> read_resync_times(std::string_view proc_drbd) {
  std::map<int, int> times;
  std::optional<int> minor;
  while (!proc_drbd.empty()) {
    const std::string_view line = take_line(proc_drbd);
    std::string_view rest = line;
    if (const auto next = take_minor(rest)) {
      minor = next;
      continue;
    }
    rest = line;
    if (!minor || take_word(rest) != "finish:")
      continue;
    if (const auto seconds = seconds_of(take_word(rest)))
      times[*minor] = *seconds;
  }
  return times;
}

}  // namespace block_drbd::drbd
