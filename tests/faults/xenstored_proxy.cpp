#include "xenstored_proxy.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <thread>

extern "C" {
#include <xen/io/xs_wire.h>
}

namespace block_drbd::faults {

namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

bool read_whole(int from, void* memory, std::size_t size) {
  return size == 0 || ::recv(from, memory, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

bool send_whole(int to, const xsd_sockmsg& head, const std::string& payload) {
  const std::string text(reinterpret_cast<const char*>(&head), sizeof head);
  const std::string message = text + payload;
  return ::send(to, message.data(), message.size(), MSG_NOSIGNAL) ==
         static_cast<ssize_t>(message.size());
}

bool read_message(int from, xsd_sockmsg& head, std::string& payload) {
  if (!read_whole(from, &head, sizeof head))
    return false;
  payload.resize(head.len);
  return read_whole(from, payload.data(), payload.size());
}

}  // namespace

XenstoredProxy::XenstoredProxy(std::string xenstored, std::function<Fate(const Request&)> decide) {
  relay_->xenstored = std::move(xenstored);
  relay_->decide = std::move(decide);
  relay_->listener = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(socket());
  const int listener = relay_->listener.get();
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 8) != 0)
    throw std::runtime_error("no socket to be had");
  std::thread([relay = relay_] {
    for (;;)
      if (const int program = ::accept4(relay->listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
          program >= 0)
        std::thread([relay, program] { relay->serve(program); }).detach();
      else if (errno == EINVAL)  // shut down
        return;
      else
        ::usleep(1000);
  }).detach();
}

XenstoredProxy::~XenstoredProxy() {
  ::shutdown(relay_->listener.get(), SHUT_RDWR);
}

void XenstoredProxy::Relay::serve(int program) {
  const Fd held(program);
  const Fd to_xenstored(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(xenstored);
  if (::connect(to_xenstored.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
      0)
    while (pass(program, to_xenstored.get())) {
    }
}

/// One request and its answer. False: the connection is over.
bool XenstoredProxy::Relay::pass(int program, int to_xenstored) {
  xsd_sockmsg head{};
  std::string payload;
  if (!read_message(program, head, payload))
    return false;
  const Fate fate = decide({.type = head.type, .payload = payload, .number = ++requests});
  if (fate != Fate{})
    has_interfered = true;
  std::this_thread::sleep_for(fate.delay);
  if (fate.is_cut)
    return false;
  xsd_sockmsg answer = head;
  // A commit that is refused is none.
  if (!fate.error.empty() && head.type == XS_TRANSACTION_END)
    payload = std::string("F\0", 2);
  if (fate.error.empty() || head.type == XS_TRANSACTION_END)
    if (!send_whole(to_xenstored, head, payload) || !read_message(to_xenstored, answer, payload))
      return false;
  if (!fate.error.empty()) {
    payload = fate.error + '\0';
    answer.type = XS_ERROR;
    answer.len = static_cast<std::uint32_t>(payload.size());
  }
  return send_whole(program, answer, payload);
}

}  // namespace block_drbd::faults
