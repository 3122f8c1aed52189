// One thread, apart from the shards, for long jobs on the store: the retention at regular times, and what an operator
// asks for.
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
class MaintenanceWorker {
 public:
  using Job = std::move_only_function<void(const std::atomic<bool>& stop)>;
  static constexpr std::size_t kJobsMax = 16;

  // Calls `round` after `first`, then every `period`, until it is stopped.
  MaintenanceWorker(Duration first, Duration period, Job round);
  ~MaintenanceWorker();  // Waits for the job at hand, which sees `stop`; what is queued is dropped.
  MaintenanceWorker(const MaintenanceWorker&) = delete;
  MaintenanceWorker& operator=(const MaintenanceWorker&) = delete;

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
