// One thread's event loop: tasks from other threads, and timers. Over libuv, which no other file sees (base/http.cpp
// excepted).
//
// A turn is what the loop does before it looks at sockets and timers again. Where many tasks or timers are due, a turn
// takes about 10 ms of them, and the next one goes on: so nothing waits for more than that and one task.
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
  // Destroys what was posted and all timers, on the calling thread, and from now on what is posted, at once.
  // REQUIRES: run() has returned or was never called.
  void drop();

  TimerId after(Duration delay, Task task);  // Loop only.
  void cancel(TimerId timer);                // Loop only; a timer that fired or is unknown is ignored.

  // For how long the loop has been doing what it is at; zero where it waits for something to happen. Thread-safe.
  Duration busy_for() const;
  // The longest that anything has kept it so far. Thread-safe.
  Duration longest_turn() const;

  void* native();  // The uv_loop_t, for base/http.cpp.
  // Around what native handles call back.
  void begin_turn();
  void end_turn();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
