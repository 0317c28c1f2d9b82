// xenstore through xenstored's socket, many questions at once.
#pragma once

#include <memory>

#include "xenstore/store.h"

namespace block_drbd::xenstore {

/// Nothing where xenstored has no socket for us (xenstore/pipeline.h), or lets nobody in.
std::unique_ptr<Store> connect_pipelined();

}  // namespace block_drbd::xenstore
