// Stands between programs and xenstored, and may do with each request what a test wants.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
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
  /// Its threads end with the process.
  XenstoredProxy(std::string xenstored, std::function<Fate(const Request&)> decide);

  std::string socket() const { return place_ / "socket"; }
  unsigned requests() const { return requests_; }
  /// Whether any request had another fate than xenstored's own answer.
  bool has_interfered() const { return has_interfered_; }
  /// Nobody is let in any more.
  void close();

 private:
  void serve(int program);
  bool pass(int program, int xenstored);

  test::TempDir place_;
  std::string xenstored_;
  std::function<Fate(const Request&)> decide_;
  Fd listener_;
  std::atomic<unsigned> requests_{0};
  std::atomic<bool> has_interfered_{false};
};

}  // namespace block_drbd::faults
