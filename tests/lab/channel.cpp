#include "channel.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace block_drbd::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int connections = 3;
constexpr std::chrono::seconds grace{20};

std::string reason() {
  return std::strerror(errno);
}

Result<Fd> connect_to(int directory, const std::string& name) {
  // Through the directory's descriptor: the address has room for 108 characters only.
  const std::string path = "/proc/self/fd/" + std::to_string(directory) + "/" + name;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket)
    return failure("socket: " + reason(), errno);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failure("the node does not run (" + name + ": " + reason() + ")", errno);
  return socket;
}

}  // namespace

Result<Channel> Channel::open(const std::filesystem::path& build, int node) {
  const std::filesystem::path path = build / ("node" + std::to_string(node));
  const Fd directory(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!directory)
    return failure("no lab in " + path.string() + ": " + reason(), errno);
  for (int index = 0; index < connections; ++index) {
    const std::string name = "lab" + std::to_string(index);
    Fd lock(
        ::openat(directory.get(), (name + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock)
      return failure(path.string() + "/" + name + ".lock: " + reason(), errno);
    // Others may use the first ones; for the last one we wait.
    const int wait = index + 1 == connections ? 0 : LOCK_NB;
    if (::flock(lock.get(), LOCK_EX | wait) != 0)
      continue;
    Result<Fd> socket = connect_to(directory.get(), name);
    if (!socket)
      return failure(socket.error());
    return Channel(std::move(lock), std::move(*socket));
  }
  return failure("no free connection to " + path.string());
}

Result<Reply> Channel::run(const std::string& script, std::chrono::seconds limit) {
  const std::string token = std::to_string(::getpid()) + "." +
                            std::to_string(Clock::now().time_since_epoch().count()) + "." +
                            std::to_string(++asked_);
  const std::string request = "RUN " + token + " " + std::to_string(limit.count()) + " " +
                              std::to_string(script.size()) + "\n" + script;
  std::size_t sent = 0;
  while (sent < request.size()) {
    const ssize_t put =
        ::send(socket_.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (put < 0)
      return failure("the node hung up: " + reason(), errno);
    sent += static_cast<std::size_t>(put);
  }

  // What an earlier asker did not wait for comes first and is passed over.
  const auto deadline = Clock::now() + limit + grace;
  while (true) {
    Result<std::string> header = read_line(deadline);
    if (!header)
      return failure(header.error());
    std::array<char, 64> answered{};
    int status = 0;
    std::size_t size = 0;
    if (std::sscanf(header->c_str(), "DONE %63s %d %zu", answered.data(), &status, &size) != 3)
      continue;
    Result<std::string> output = read_bytes(size, deadline);
    if (!output)
      return failure(output.error());
    if (token == answered.data())
      return Reply{status, std::move(*output)};
  }
}

Result<bool> Channel::fill(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  pollfd state{socket_.get(), POLLIN, 0};
  if (left.count() <= 0 || ::poll(&state, 1, static_cast<int>(left.count())) <= 0)
    return failure("the node does not answer");
  std::array<char, 65536> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got <= 0)
    return failure("the node hung up");
  pending_.append(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

Result<std::string> Channel::read_line(Clock::time_point deadline) {
  std::size_t end = 0;
  while ((end = pending_.find('\n')) == std::string::npos) {
    if (const Result<bool> more = fill(deadline); !more)
      return failure(more.error());
  }
  std::string line = pending_.substr(0, end);
  pending_.erase(0, end + 1);
  return line;
}

Result<std::string> Channel::read_bytes(std::size_t size, Clock::time_point deadline) {
  while (pending_.size() < size) {
    if (const Result<bool> more = fill(deadline); !more)
      return failure(more.error());
  }
  std::string bytes = pending_.substr(0, size);
  pending_.erase(0, size);
  return bytes;
}

}  // namespace block_drbd::lab
