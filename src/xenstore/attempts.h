// A transaction, as often as it takes.
#pragma once

#include <functional>

#include "result.h"

namespace block_drbd::xenstore {

/// How a store begins a transaction and ends it; each answers with an errno, 0 when it is done.
struct Transactions {
  std::function<int()> begin;
  std::function<int(bool commit)> end;
};

/// Runs `body` between the two: Store::transaction.
Result<void> until_committed(const Transactions& transactions,
                             const std::function<Result<void>()>& body);

}  // namespace block_drbd::xenstore
