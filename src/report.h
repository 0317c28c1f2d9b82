// What this program says: to whoever sees its stderr, and to the system log.
#pragma once

#include <memory>
#include <string>

namespace block_drbd {

enum class Severity {
  Info,     ///< the log only: something went as it should
  Notice,   ///< stderr and the log: we wait, and for what
  Failure,  ///< stderr and the log
};

class Report {
 public:
  virtual ~Report() = default;
  virtual void tell(Severity severity, const std::string& text) = 0;
};

/// stderr and the system log. What cannot be written at once is left out. `log_socket` is where the
/// log daemon listens, elsewhere in tests.
std::unique_ptr<Report> stderr_and_syslog(std::string log_socket = "/dev/log");

}  // namespace block_drbd
