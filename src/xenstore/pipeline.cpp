#include "xenstore/pipeline.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace block_drbd::xenstore {

namespace {

/// What is under way at a time. More gains nothing, and this many of the longest answers fit into a
/// socket's buffer: xenstored never waits for us while we wait for it.
constexpr std::size_t most_under_way = 32;

/// Where libxenstore looks, too: both must talk to the same xenstored.
std::string socket_path() {
  if (const char* path = std::getenv("XENSTORED_PATH"))
    return path;
  const char* directory = std::getenv("XENSTORED_RUNDIR");
  return std::string(directory != nullptr ? directory : "/var/run/xenstored") + "/socket";
}

std::string request(xsd_sockmsg_type type, std::uint32_t number, std::uint32_t transaction,
                    const std::string& payload) {
  const xsd_sockmsg head{.type = type,
                         .req_id = number,
                         .tx_id = transaction,
                         .len = static_cast<std::uint32_t>(payload.size())};
  std::string text(reinterpret_cast<const char*>(&head), sizeof head);
  return text.append(payload);
}

/// xenstored names its errors.
int error_from(const std::string& name) {
  for (const auto& [number, known] : xsd_errors)
    if (name.c_str() == std::string_view(known))
      return number;
  return EINVAL;
}

}  // namespace

std::optional<Pipeline> Pipeline::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = socket_path();
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || path.size() >= sizeof address.sun_path)
    return std::nullopt;
  path.copy(address.sun_path, path.size());
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return std::nullopt;
  return Pipeline(std::move(socket));
}

std::vector<Pipeline::Answer> Pipeline::ask(xsd_sockmsg_type type, std::uint32_t transaction,
                                            const std::vector<std::string>& payloads) {
  std::vector<Answer> answers(payloads.size(), Answer{.error = EIO, .payload = {}});
  // xenstored hangs up on whoever sends more.
  const auto fits = [&](std::size_t i) { return payloads[i].size() <= XENSTORE_PAYLOAD_MAX; };
  for (std::size_t first = 0; first < payloads.size(); first += most_under_way) {
    const std::size_t end = std::min(first + most_under_way, payloads.size());
    std::string requests;
    for (std::size_t i = first; i < end; ++i)
      if (fits(i))
        requests += request(type, static_cast<std::uint32_t>(i), transaction, payloads[i]);
    bool whole = send(requests);
    for (std::size_t i = first; whole && i < end; ++i)
      if (fits(i))
        whole = receive(type, static_cast<std::uint32_t>(i), answers[i]);
      else
        answers[i].error = E2BIG;
    if (!whole) {
      socket_ = Fd();
      break;
    }
  }
  return answers;
}

bool Pipeline::send(const std::string& requests) {
  for (std::size_t sent = 0; sent < requests.size();) {
    const ssize_t size =
        ::send(socket_.get(), requests.data() + sent, requests.size() - sent, MSG_NOSIGNAL);
    if (size < 0 && errno != EINTR)
      return false;
    sent += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
  }
  return true;
}

/// xenstored answers in the order of the questions.
bool Pipeline::receive(std::uint32_t type, std::uint32_t number, Answer& answer) {
  xsd_sockmsg head{};
  if (!fill(sizeof head))
    return false;
  std::memcpy(&head, received_.data(), sizeof head);
  if (head.req_id != number || (head.type != type && head.type != XS_ERROR) ||
      head.len > XENSTORE_PAYLOAD_MAX || !fill(sizeof head + head.len))
    return false;
  answer.payload = received_.substr(sizeof head, head.len);
  received_.erase(0, sizeof head + head.len);
  answer.error = head.type == XS_ERROR ? error_from(answer.payload) : 0;
  return true;
}

/// Until so much has been received.
bool Pipeline::fill(std::size_t size) {
  std::array<char, 16384> buffer;
  while (received_.size() < size) {
    const ssize_t more = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (more == 0 || (more < 0 && errno != EINTR))
      return false;
    received_.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(more, 0)));
  }
  return true;
}

}  // namespace block_drbd::xenstore
