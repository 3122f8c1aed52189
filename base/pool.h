// A few threads for work that may take long, so that no loop does it. Work begins in the order in which it was given.
#pragma once

#include <cstddef>
#include <memory>

#include "base/loop.h"

namespace weft {

// Thread-safe. What waits for a thread waits here without bound: limits are the caller's.
class Pool {
 public:
  explicit Pool(std::size_t threads);
  ~Pool();  // Waits for work that has begun; drops what has not.
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void run(Task work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
