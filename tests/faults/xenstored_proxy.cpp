#include "xenstored_proxy.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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

XenstoredProxy::XenstoredProxy(std::string xenstored, std::function<Fate(const Request&)> decide)
    : xenstored_(std::move(xenstored)),
      decide_(std::move(decide)),
      listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_un address = address_of(socket());
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), 8) != 0)
    throw std::runtime_error("no socket to be had");
  std::thread([this] {
    for (;;)
      if (const int program = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
          program >= 0)
        std::thread([this, program] { serve(program); }).detach();
      else
        ::usleep(1000);
  }).detach();
}

void XenstoredProxy::close() {
  ::unlink(socket().c_str());
}

void XenstoredProxy::serve(int program) {
  const Fd held(program);
  const Fd xenstored(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un address = address_of(xenstored_);
  if (::connect(xenstored.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
    while (pass(program, xenstored.get())) {
    }
}

/// One request and its answer. False: the connection is over.
bool XenstoredProxy::pass(int program, int xenstored) {
  xsd_sockmsg head{};
  std::string payload;
  if (!read_message(program, head, payload))
    return false;
  const Fate fate = decide_({.type = head.type, .payload = payload, .number = ++requests_});
  if (fate != Fate{})
    has_interfered_ = true;
  std::this_thread::sleep_for(fate.delay);
  if (fate.is_cut)
    return false;
  xsd_sockmsg answer = head;
  // A commit that is refused is none.
  if (!fate.error.empty() && head.type == XS_TRANSACTION_END)
    payload = std::string("F\0", 2);
  if (fate.error.empty() || head.type == XS_TRANSACTION_END)
    if (!send_whole(xenstored, head, payload) || !read_message(xenstored, answer, payload))
      return false;
  if (!fate.error.empty()) {
    payload = fate.error + '\0';
    answer.type = XS_ERROR;
    answer.len = static_cast<std::uint32_t>(payload.size());
  }
  return send_whole(program, answer, payload);
}

}  // namespace block_drbd::faults
