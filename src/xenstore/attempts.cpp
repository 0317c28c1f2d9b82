#include "xenstore/attempts.h"

#include <cerrno>
#include <string>

#include "xenstore/refused.h"

namespace block_drbd::xenstore {

namespace {

/// Others win a transaction now and then; that they win this often means that something is wrong.
constexpr int most_attempts = 20;

}  // namespace

Result<void> until_committed(const Transactions& transactions,
                             const std::function<Result<void>()>& body) {
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    if (const int error = transactions.begin())
      return refused("start a transaction for", "the backend", error);
    Result<void> done = body();
    const int error = transactions.end(done.has_value());
    if (!done || error == 0)
      return done;
    if (error != EAGAIN)
      return refused("commit", "the backend", error);
  }
  return failure("xenstore: others changed the same data " + std::to_string(most_attempts) +
                     " times in a row; gave up writing",
                 EAGAIN);
}

}  // namespace block_drbd::xenstore
