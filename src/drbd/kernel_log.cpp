#include "drbd/kernel_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "drbd/text.h"
#include "fd.h"

namespace block_drbd::drbd {

namespace {

constexpr struct {
  std::string_view words;
  Parted parted;
} reasons[] = {
    {"Split-Brain detected but unresolved", Parted::SplitBrain},
    {"incompatible allow-two-primaries settings", Parted::TwoPrimaries},
    {"Unrelated data, aborting", Parted::UnrelatedData},
};

/// What came before a new try to connect, or a success, is history.
constexpr std::string_view begin_of_a_connection = "conn( StandAlone -> Unconnected )";
constexpr std::string_view connected = " -> Connected )";

/// Whether `line` has `word`, and it does not go on as another name would.
bool has_word(std::string_view line, std::string_view word) {
  for (auto at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
    const std::string_view after = line.substr(at + word.size());
    if (after.empty() || after.front() == ' ' || after.front() == ':' || after.front() == '/')
      return true;
  }
  return false;
}

bool is_about(std::string_view line, const Resource& resource, std::string_view peer) {
  if (std::ranges::any_of(resource.peers, [&](const Peer& each) {
        return each.name != peer && has_word(line, ' ' + each.name + ':');
      }))
    return false;
  return has_word(line, "drbd " + resource.name) ||
         std::ranges::any_of(resource.volumes, [&](const Volume& volume) {
           return has_word(line, "block drbd" + std::to_string(volume.minor));
         });
}

}  // namespace

Parted why_parted(std::string_view kernel_log, const Resource& resource, std::string_view peer) {
  Parted parted = Parted::Unknown;
  while (!kernel_log.empty()) {
    const std::string_view line = take_line(kernel_log);
    if (line.find("drbd") == std::string_view::npos || !is_about(line, resource, peer))
      continue;
    if (line.find(begin_of_a_connection) != std::string_view::npos ||
        line.find(connected) != std::string_view::npos)
      parted = Parted::Unknown;
    for (const auto& reason : reasons)
      if (line.find(reason.words) != std::string_view::npos)
        parted = reason.parted;
  }
  return parted;
}

Result<std::string> read_kernel_log(const std::string& device) {
  const Fd log(::open(device.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!log)
    return failure("cannot open " + device + ": " + std::strerror(errno), errno);
  std::string text;
  std::array<char, 8192> record;  // one a read (dev-kmsg in the kernel's documentation)
  for (;;) {
    const ssize_t size = ::read(log.get(), record.data(), record.size());
    if (size > 0)
      text.append(record.data(), static_cast<std::size_t>(size));
    else if (size == 0 || (errno != EPIPE && errno != EINTR))  // EPIPE: some were overwritten
      return text;
  }
}

}  // namespace block_drbd::drbd
