// One thread's event loop: tasks from other threads, timers, and blocking work on a bounded pool. Over libuv, which no
// other file sees (base/http.cpp excepted).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/time.h"

namespace weft {

using Task = std::move_only_function<void()>;

class Loop {
 public:
  using TimerId = std::uint64_t;

  Loop();
  ~Loop();  // REQUIRES: run() has returned or was never called. Pending tasks and timers are dropped.
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Serves until stop(); the calling thread is from then on "the loop's thread".
  void run();
  void stop();           // Thread-safe.
  void post(Task task);  // Thread-safe; tasks run on the loop's thread in the order of posting.

  TimerId after(Duration delay, Task task);  // Loop only.
  void cancel(TimerId timer);                // Loop only; a timer that fired or is unknown is ignored.

  // Runs `blocking` on a pool thread (4 a process, UV_THREADPOOL_SIZE), then `done` on the loop's thread. Loop only.
  // RESOURCE limits are the caller's: what waits for a thread waits here without bound.
  void work(Task blocking, Task done);

  void* native();  // The uv_loop_t, for base/http.cpp.

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
