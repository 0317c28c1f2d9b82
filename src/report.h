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

/// stderr and syslog. stderr may be a dead or stalled ssh session: what cannot be written there at
/// once is left out.
std::unique_ptr<Report> stderr_and_syslog();

}  // namespace block_drbd
