// The wire to xenstored: many requests at once.
#pragma once

#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

extern "C" {
#include <xen/io/xs_wire.h>  // takes the errnos and fixed widths for granted
}

#include "fd.h"

namespace block_drbd::xenstore {

/// libxenstore waits for each answer before it asks the next, and most of that time goes into
/// waking up xenstored and us in turn: two to ten times what an answer takes by itself. A look at
/// all disks of a host is hundreds of them, and the guest that arrives waits.
class Pipeline {
 public:
  /// Nothing where xenstored has no socket for us: in a driver domain, or where it runs in a domain
  /// of its own, the kernel carries one question after the other.
  static std::optional<Pipeline> connect();

  struct Answer {
    int error = 0;  ///< errno; EIO when the connection broke
    std::string payload;
  };

  /// An answer to each payload, in their order. `transaction`: 0 stands for none. Once the
  /// connection broke, all are EIO.
  std::vector<Answer> ask(xsd_sockmsg_type type, std::uint32_t transaction,
                          const std::vector<std::string>& payloads);

  bool is_connected() const { return static_cast<bool>(socket_); }

 private:
  explicit Pipeline(Fd socket) : socket_(std::move(socket)) {}

  bool send(const std::string& requests);
  bool receive(std::uint32_t type, std::uint32_t number, Answer& answer);
  bool fill(std::size_t size);

  Fd socket_;
  std::string received_;  ///< and not yet taken
};

}  // namespace block_drbd::xenstore
