// What a run that was loaded, or that shares another one's past, goes on with: each command without a result, one at a
// time. A call that had left is lost or in doubt; a timer is started again; what had not left is carried out.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "runtime/run/command.h"

namespace weft::engine {

class ActiveRun;

// Loop only; pending() by the thread that has the run.
class Resumption {
 public:
  explicit Resumption(ActiveRun& run) : run_(run) {}  // Outlives it.

  // The run goes on when it advances. `stopped`: what kept calls under way from being answered, in words.
  void begin(std::string stopped = "weft stopped");
  bool pending() const { return pending_ != nullptr; }
  bool resume_one();  // False where nothing is left. The run may be away afterwards. REQUIRES: pending().

 private:
  struct Pending {
    std::string stopped;
    bool listed = false;
    std::deque<run::Command> commands;
    std::int64_t last_at_us = 0;  // When the run last did something.
  };
  void resume(const run::Command& command);

  ActiveRun& run_;
  std::unique_ptr<Pending> pending_;  // Null: nothing.
};

}  // namespace weft::engine
