// The examination for people, 80 columns wide, and in one line for a monitoring system.
#pragma once

#include <string>

#include "diagnose/examination.h"

namespace block_drbd::diagnose {

struct Style {
  bool in_colour = false;
  /// The two verdicts on every disk; else only on those that would not work.
  bool every_verdict = false;
};

std::string in_words(const Facts& facts, const Examination& examination, Style style);

/// What Nagios and its like read: exit code 0 OK, 1 WARNING (a resync will mend it), 2 CRITICAL,
/// 3 UNKNOWN.
struct Monitoring {
  int exit_code = 0;
  std::string line;
};

Monitoring for_monitoring(const Facts& facts, const Examination& examination);

}  // namespace block_drbd::diagnose
