// A run taken to its end, and what Ctrl-C does on the way.
#pragma once

#include <unistd.h>

#include <mutex>

#include "runtime/cli/session.h"

namespace weft::cli {

// Thread-safe. Ctrl-C once: the run is no longer followed, and the engine of this process stops. Twice: leaves at once.
class Interrupts {
 public:
  void on_signal(int count) {
    if (count >= 2) ::_exit(static_cast<int>(Exit::kInterrupted));
    const std::lock_guard lock(mutex_);
    asked_ = true;
    if (target_ != nullptr) target_->interrupt();
  }
  void attach(Target* target) {
    const std::lock_guard lock(mutex_);
    target_ = target;
    if (asked_ && target_ != nullptr) target_->interrupt();
  }
  bool asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  std::mutex mutex_;
  Target* target_ = nullptr;
  bool asked_ = false;
};

// Follows, reports: what comes after a run has been begun.
Exit follow_to_end(const Context& context, Session& session, const std::string& run_id, Interrupts& interrupts,
                   Show show);
// Submits, follows, reports: what `run` and `submit --wait` do once there is a session.
Exit run_to_end(const Context& context, Session& session, Submission& submission, Interrupts& interrupts, Show show);

}  // namespace weft::cli
