// Stands between programs and xenstored, and may do with each request what a test wants.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "fd.h"
#include "temp_dir.h"

namespace block_drbd::faults {

/// What becomes of a request.
struct Fate {
  std::string error;  ///< xenstored's answer ("ENOSPC"); empty: its own
  std::chrono::milliseconds delay{0};
  bool is_cut = false;  ///< the connection ends instead

  bool operator==(const Fate&) const = default;
};

/// A request, as xs_wire.h numbers its type; and its place among all, from 1.
struct Request {
  unsigned type;
  std::string payload;
  unsigned number;
};

class XenstoredProxy {
 public:
  XenstoredProxy(std::string xenstored, std::function<Fate(const Request&)> decide);
  XenstoredProxy(const XenstoredProxy&) = delete;
  XenstoredProxy& operator=(const XenstoredProxy&) = delete;
  /// Nobody is let in any more. Whoever has a connection keeps it, and `decide` with it.
  ~XenstoredProxy();

  std::string socket() const { return place_ / "socket"; }
  unsigned requests() const { return relay_->requests; }
  /// Whether any request had another fate than xenstored's own answer.
  bool has_interfered() const { return relay_->has_interfered; }

 private:
  /// What its threads need, which end with the process.
  struct Relay {
    std::string xenstored;
    std::function<Fate(const Request&)> decide;
    Fd listener;
    std::atomic<unsigned> requests{0};
    std::atomic<bool> has_interfered{false};

    void serve(int program);
    bool pass(int program, int to_xenstored);
  };

  test::TempDir place_;
  std::shared_ptr<Relay> relay_ = std::make_shared<Relay>();
};

}  // namespace block_drbd::faults
