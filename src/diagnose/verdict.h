// Would the disk work: if its guest started here now, if it migrated to here now? Pure.
#pragma once

#include <string>

#include "diagnose/facts.h"
#include "diagnose/target.h"

namespace block_drbd::diagnose {

enum class Outcome {
  Works,
  InUse,      ///< a guest has it, here or on another node, and so it should
  Elsewhere,  ///< a driver domain serves it: what that would say cannot be seen from here
  Fails,
};

struct Verdict {
  Outcome outcome = Outcome::Fails;
  std::string text;  ///< a sentence; for Fails with the reason, and what to do
};

struct Verdicts {
  Verdict start;
  Verdict migration;

  /// The guest can run: it does, or it can start here, or come here from where it runs.
  bool is_fine() const {
    return start.outcome == Outcome::Works ||
           (start.outcome == Outcome::InUse && migration.outcome != Outcome::Fails);
  }
};

/// By the decisions that `add` itself takes (policy/decide.h, policy/window.h).
Verdicts judge(const Facts& facts, const Target& target);

}  // namespace block_drbd::diagnose
