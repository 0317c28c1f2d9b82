// A value or the reason why there is none.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace block_drbd {

/// A failure in the words the administrator will read: what happened, to which resource,
/// what it means, what to do next.
struct Error {
  std::string message;
  int code = 0;  ///< errno where the system gave one, else 0
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> failure(std::string message, int code = 0) {
  return tl::make_unexpected(Error{std::move(message), code});
}

inline tl::unexpected<Error> failure(Error error) {
  return tl::make_unexpected(std::move(error));
}

}  // namespace block_drbd
