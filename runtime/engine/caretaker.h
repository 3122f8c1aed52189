// One thread beside the shards for what may take long: the retention, now and then, and what an operator asks for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "base/time.h"

namespace weft::engine {

// Thread-safe.
class Caretaker {
 public:
  using Job = std::move_only_function<void(const std::atomic<bool>& stop)>;
  static constexpr std::size_t kJobsMax = 16;

  // Calls `round` after `first`, then every `period`, until it is stopped.
  Caretaker(Duration first, Duration period, Job round);
  ~Caretaker();  // Waits for the job at hand, which sees `stop`; what is queued is dropped.
  Caretaker(const Caretaker&) = delete;
  Caretaker& operator=(const Caretaker&) = delete;

  // False: kJobsMax wait already.
  bool ask(Job job);

 private:
  void serve();

  const Duration period_;
  Job round_;
  std::chrono::steady_clock::time_point next_round_;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable woken_;
  std::deque<Job> jobs_;  // Guarded by mutex_.
  std::thread thread_;    // Last: it uses the rest.
};

}  // namespace weft::engine
