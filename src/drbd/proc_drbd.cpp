// /proc/drbd. The first line is "version: 8.4.11 (api:1/proto:86-101)"; up to 8.4 a line follows
// for each minor:
//
//    0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
//
// where DRBD before 8.3 has `st:` for `ro:`, and a minor without disk and peer has nothing after
// `cs:Unconfigured`.
#include "drbd/readers.h"
#include "drbd/text.h"

namespace block_drbd::drbd {

Generation read_generation(std::string_view proc_drbd) {
  std::string_view line = take_line(proc_drbd);
  if (take_word(line) != "version:")
    return Generation::Absent;
  const std::string_view version = take_word(line);
  const int major = number_from(version.substr(0, version.find('.'))).value_or(0);
  if (major < 8)
    return Generation::Absent;
  return major == 8 ? Generation::V8 : Generation::V9;
}

std::map<int, Role> read_minor_roles(std::string_view proc_drbd) {
  std::map<int, Role> roles;
  while (!proc_drbd.empty()) {
    std::string_view line = take_line(proc_drbd);
    std::string_view word = take_word(line);
    if (!word.ends_with(':'))
      continue;
    word.remove_suffix(1);
    const auto minor = number_from(word);
    if (!minor)
      continue;
    while (!(word = take_word(line)).empty())
      if (word.starts_with("ro:") || word.starts_with("st:"))
        roles[*minor] = role_from(word.substr(3, word.find('/') - 3));
  }
  return roles;
}

}  // namespace block_drbd::drbd
