#include "drbd/answer.h"

#include "drbd/text.h"

namespace block_drbd::drbd {

namespace {

/// What stands before a number: "r0: State change failed: (-12) Device is held open by someone".
constexpr std::string_view refusals[] = {"State change failed: (", "Failure: ("};

/// Where the refusal in a line begins: what it is about stands before it. npos: it has none.
std::size_t find_refusal(std::string_view line) {
  for (const std::string_view refusal : refusals)
    if (const auto found = line.find(refusal); found != std::string_view::npos)
      return found;
  return std::string_view::npos;
}

/// The number of a line that begins with a refusal.
std::optional<int> number_of_refusal(std::string_view line) {
  line.remove_prefix(line.find('(') + 1);
  return number_from(line.substr(0, line.find(')')));
}

/// drbdsetup has exit codes of their own for three refusals.
std::optional<int> number_of_exit(int exit_code) {
  switch (exit_code) {
    case 17:
      return code::no_up_to_date;
    case 16:
      return code::no_local_disk;
    case 5:
      return code::lower_than_outdated;
    default:
      return std::nullopt;
  }
}

}  // namespace

Answer read_answer(int exit_code, std::string_view standard_error) {
  Answer answer;
  answer.exit_code = exit_code;
  std::string_view joint;
  std::string_view next_joint = " ";
  while (!standard_error.empty()) {
    std::string_view line = take_line(standard_error);
    if (line.empty() || line.starts_with("Command '"))  // drbdadm repeats what it ran
      continue;
    if (line == "additional info from kernel:") {
      joint = ": ";
      next_joint = ", ";
      continue;
    }
    if (const auto refusal = find_refusal(line); refusal != std::string_view::npos) {
      line.remove_prefix(refusal);
      if (!answer.code)
        answer.code = number_of_refusal(line);
    }
    answer.text += joint;
    answer.text += line;
    joint = next_joint;
  }
  // The names of processes are in it, and a process may call itself anything.
  std::replace_if(
      answer.text.begin(), answer.text.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; },
      ' ');
  if (!answer.code)
    answer.code = number_of_exit(exit_code);
  return answer;
}

std::string quoted(const Answer& answer) {
  return answer.text.empty() ? "exit code " + std::to_string(answer.exit_code)
                             : '"' + answer.text + '"';
}

}  // namespace block_drbd::drbd
