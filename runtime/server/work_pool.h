// Threads for calls that may take long, so that gRPC's own only parse, check and hand over.
//
// Callers take turns, each in the order of its calls. One that has many calls waits for itself: it has never all
// threads, and never all places of the queue.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"

namespace weft::server {

struct PoolLimits {
  std::string name;  // Of the limit on its queue, as a refusal names it.
  std::size_t threads = 0;
  std::size_t threads_of_caller = 0;
  std::size_t queue = 0;
  std::size_t queue_of_caller = 0;
};

// Thread-safe.
class WorkPool {
 public:
  // Called once: with success on a thread of the pool, or with UNAVAILABLE where the pool closes before its turn.
  using Job = std::move_only_function<void(const Status& turn)>;

  explicit WorkPool(PoolLimits limits);
  ~WorkPool();  // Closes.
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;

  // RESOURCE_EXHAUSTED where the queue is full; then `job` is not called, and still the caller's.
  Status run(const std::string& caller, Job& job);
  // Refuses what waits and waits for what works. Once closed it takes nothing more.
  void close();

 private:
  struct Line {
    std::deque<Job> jobs;
    std::size_t running = 0;
  };
  void serve();
  // The line whose turn it is; none where nobody may begin. REQUIRES: mutex_.
  Line* next();

  const PoolLimits limits_;
  std::mutex mutex_;
  std::condition_variable woken_;
  // Guarded by mutex_:
  std::map<std::string, Line> lines_;  // By caller; none that is empty.
  std::string last_;                   // Whose turn it was.
  std::size_t waiting_ = 0;
  bool closed_ = false;
  std::vector<std::thread> threads_;  // Last: they use the rest.
};

}  // namespace weft::server
