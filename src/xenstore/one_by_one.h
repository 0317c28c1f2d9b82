// xenstore through libxenstore, which waits for each answer before it asks the next.
#pragma once

#include <memory>

#include "xenstore/store.h"

namespace block_drbd::xenstore {

/// By whichever way this domain has to xenstored, without a reader thread.
Result<std::unique_ptr<Store>> connect_one_by_one();

}  // namespace block_drbd::xenstore
