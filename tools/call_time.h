// How long one call of a file tool may go on.
#pragma once

#include <algorithm>

#include "base/time.h"
#include "tools/tool.h"

namespace weft::tools {

// One call's thread. Work is done in slices that each end soon, and looks here between them; a single system call that
// hangs (a file system of the network, FUSE) is not ended by it.
class CallTime {
 public:
  CallTime(Duration limit, const Cancelled& cancelled)
      : end_(SystemClock().monotonic() + limit), cancelled_(cancelled) {}

  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  // True: what is done so far is the result.
  bool over() const { return cancelled() || left() <= Duration(0); }
  Duration left() const { return end_ - SystemClock().monotonic(); }

 private:
  Duration end_;
  const Cancelled& cancelled_;
};

}  // namespace weft::tools
