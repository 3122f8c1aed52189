// SIGINT and SIGTERM as calls of a function.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace weft::cli {

// While it lives, the two signals end nothing by themselves: each calls `on_signal` with how many have come, on a
// thread of its own. REQUIRES: made before any other thread is started, which would take the signals otherwise.
class Signals {
 public:
  explicit Signals(std::function<void(int count)> on_signal);
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

 private:
  std::function<void(int)> on_signal_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace weft::cli
