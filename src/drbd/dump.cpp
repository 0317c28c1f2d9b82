// The text of `drbdadm dump RES`: the configuration file's sections, `common` already taken into
// them. `net` may be the resource's, a connection's, or both.
#include <vector>

#include "drbd/readers.h"
#include "drbd/text.h"

namespace block_drbd::drbd {

Result<bool> read_dump(const std::string_view dumped, std::string_view resource) {
  constexpr std::string_view command = "drbdadm dump";
  std::string_view text = dumped;
  std::vector<std::string_view> sections;  // where we are, by their first words
  std::vector<std::string_view> words;
  std::string_view start;  // of the statement that is being read, for the message
  bool found = false;
  bool allowed = false;
  for (skip_blanks_and_comments(text); !text.empty(); skip_blanks_and_comments(text)) {
    if (words.empty())
      start = text;
    const char kind = text.front();
    const std::string_view token = take_token(text);
    if (kind != '{' && kind != '}' && kind != ';') {
      words.push_back(token);
      continue;
    }
    // A section has a name, and the outermost one is the resource.
    bool understood = kind == '}' ? words.empty() && !sections.empty() : !words.empty();
    if (understood && sections.empty()) {
      understood = !found && kind == '{' && words.size() == 2 && words[0] == "resource" &&
                   words[1] == resource;
      found = understood;
    }
    if (understood && kind == ';' && sections.back() == "net" &&
        words.front() == "allow-two-primaries") {
      const std::string_view value = words.size() == 1 ? "yes" : words[1];
      understood = words.size() <= 2 && (value == "yes" || value == "no");
      allowed = allowed || value == "yes";
    }
    if (!understood)
      return line_not_understood(command, dumped, start);
    if (kind == '{')
      sections.push_back(words.front());
    else if (kind == '}')
      sections.pop_back();
    words.clear();
  }
  if (!found || !sections.empty() || !words.empty())
    return broke_off(command);
  return allowed;
}

}  // namespace block_drbd::drbd
