// Runs that have more to do than the loop does at a stretch. One run has its stretch, then all else that has come.
//
// Loop only.
#pragma once

#include <deque>
#include <memory>

#include "base/loop.h"

namespace weft::engine {

class ActiveRun;

class RunLine {
 public:
  explicit RunLine(Loop& loop) : loop_(loop) {}  // Outlives it.

  void stand(ActiveRun& run);

 private:
  void serve();
  void serve_later();

  Loop& loop_;
  std::deque<std::weak_ptr<ActiveRun>> line_;
  bool served_ = false;  // It goes on when the loop turns again.
};

}  // namespace weft::engine
