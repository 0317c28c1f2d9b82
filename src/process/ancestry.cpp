#include "process/ancestry.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "file.h"

namespace block_drbd::process {

namespace {

constexpr int most_generations = 64;

/// proc(5), cmdline: every word ends with a NUL.
std::vector<std::string> command_line(const std::string& directory) {
  std::vector<std::string> words;
  const std::string text = read_file(directory + "/cmdline").value_or("");
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\0', begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

/// proc(5), stat: "pid (name) state ppid …"; the name may hold anything, brackets too. 0 when
/// unknown.
pid_t parent_of(const std::string& directory) {
  const std::string text = read_file(directory + "/stat").value_or("");
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos || end_of_name + 4 >= text.size())
    return 0;
  return static_cast<pid_t>(std::strtol(text.c_str() + end_of_name + 4, nullptr, 10));
}

bool is_migrate_receive(const std::vector<std::string>& words) {
  if (words.empty())
    return false;
  const std::string_view tool =
      std::string_view(words.front()).substr(words.front().rfind('/') + 1);
  return tool == "xl" &&
         std::find(words.begin() + 1, words.end(), "migrate-receive") != words.end();
}

}  // namespace

bool is_below_migrate_receive(pid_t pid, const std::string& proc) {
  for (int generation = 0; pid > 1 && generation < most_generations; ++generation) {
    const std::string directory = proc + '/' + std::to_string(pid);
    if (is_migrate_receive(command_line(directory)))
      return true;
    pid = parent_of(directory);
  }
  return false;
}

}  // namespace block_drbd::process
