#include "drbd/kernel_log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "drbd/text.h"
#include "fd.h"
#include "spec/disk_spec.h"

namespace block_drbd::drbd {

namespace {

constexpr std::string_view two_primaries_differ = "incompatible allow-two-primaries settings";

constexpr struct {
  std::string_view words;
  Parted parted;
} reasons[] = {
    {"Split-Brain detected but unresolved", Parted::SplitBrain},
    {"incompatible ", Parted::SettingsDiffer},  // "protocol settings", and a dozen others
    {two_primaries_differ, Parted::TwoPrimaries},
    {"Unrelated data, aborting", Parted::UnrelatedData},
    {"Authentication of peer failed", Parted::SecretsDiffer},
};

/// What came before a new try to connect, or a success, is history.
constexpr std::string_view begin_of_a_connection = "conn( StandAlone -> Unconnected )";
constexpr std::string_view connected = " -> Connected )";
/// A change of the state that was refused.
constexpr std::string_view not_done = ": Failed: ";

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

std::set<std::string> lost_as_primary(std::string_view kernel_log, const Resource& resource) {
  std::set<std::string> lost;
  if (!has_lost_one_of_many(resource))
    return lost;
  while (!kernel_log.empty()) {
    const std::string_view line = take_line(kernel_log);
    if (!has_word(line, "drbd " + resource.name) || line.find(not_done) != std::string_view::npos)
      continue;
    for (const Peer& peer : resource.peers) {
      if (is_settled(peer) || !has_word(line, ' ' + peer.name + ':'))
        continue;
      if (line.find("peer( Primary -> Unknown )") != std::string_view::npos)
        lost.insert(peer.name);
      else if (line.find("peer( Unknown -> ") != std::string_view::npos)
        lost.erase(peer.name);
    }
  }
  return lost;
}

std::set<std::string> ever_parted_by_two_primaries(std::string_view kernel_log) {
  constexpr std::string_view begin = ";drbd ";
  std::set<std::string> names;
  while (!kernel_log.empty()) {
    std::string_view line = take_line(kernel_log);
    const auto found = line.find(begin);
    if (found == std::string_view::npos ||
        line.find(two_primaries_differ) == std::string_view::npos)
      continue;
    line.remove_prefix(found + begin.size());
    std::string name(line.substr(0, line.find_first_of(" :")));
    if (is_resource_name(name))
      names.insert(std::move(name));
  }
  return names;
}

namespace {

Result<Fd> open_log(const std::string& device) {
  Fd log(::open(device.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!log)
    return failure("cannot open " + device + ": " + std::strerror(errno), errno);
  return log;
}

/// "3,812,99,-;text", the first number being facility and level: a program can write there, but not
/// in the name of the kernel, whose facility is 0.
bool is_the_kernels(std::string_view record) {
  constexpr int levels = 8;
  return number_from(record.substr(0, record.find(','))).value_or(levels) < levels;
}

/// What can be read from here on, and whether it has ended: a file does, the kernel's log does not.
Result<std::pair<std::string, bool>> read_on(const Fd& log) {
  std::string text;
  std::array<char, 8192> record;  // one a read (dev-kmsg in the kernel's documentation)
  for (;;) {
    const ssize_t size = ::read(log.get(), record.data(), record.size());
    if (size > 0) {
      if (const std::string_view one(record.data(), static_cast<std::size_t>(size));
          is_the_kernels(one))
        text += one;
    } else if (size == 0 || errno == EAGAIN) {
      return std::pair(std::move(text), size == 0);
    } else if (errno != EPIPE && errno != EINTR) {  // EPIPE: some were overwritten
      return failure(std::string("cannot read the kernel's log: ") + std::strerror(errno), errno);
    }
  }
}

class RingBuffer final : public KernelLog {
 public:
  RingBuffer(std::string device, Fd news, int interruption)
      : device_(std::move(device)), news_(std::move(news)), interruption_(interruption) {
    ::lseek(news_.get(), 0, SEEK_END);
  }

  Result<std::string> read() override { return read_kernel_log(device_); }

  void wait(Duration limit) override {
    const auto end = std::chrono::steady_clock::now() + limit;
    for (;;) {
      const auto left = std::chrono::ceil<Duration>(end - std::chrono::steady_clock::now()).count();
      std::array<pollfd, 2> descriptors{
          pollfd{.fd = interruption_, .events = POLLIN, .revents = 0},
          pollfd{.fd = ended_ ? -1 : news_.get(), .events = POLLIN, .revents = 0}};
      const int ready = ::poll(descriptors.data(), descriptors.size(),
                               static_cast<int>(std::clamp<Duration::rep>(left, 0, INT_MAX)));
      if (ready == 0 || descriptors[0].revents != 0)
        return;
      if (ready < 0)
        continue;
      const auto news = read_on(news_);
      ended_ = !news || news->second;
      if (news && news->first.find(two_primaries_differ) != std::string::npos)
        return;
    }
  }

 private:
  std::string device_;
  Fd news_;
  int interruption_;
  bool ended_ = false;
};

}  // namespace

Result<std::string> read_kernel_log(const std::string& device) {
  return open_log(device)
      .and_then([](const Fd& log) { return read_on(log); })
      .map([](const auto& read) { return read.first; });
}

Result<std::unique_ptr<KernelLog>> follow_kernel_log(int interruption, const std::string& device) {
  auto log = open_log(device);
  if (!log)
    return failure(log.error());
  return std::make_unique<RingBuffer>(device, std::move(*log), interruption);
}

}  // namespace block_drbd::drbd
