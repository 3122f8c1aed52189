#include "base/pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace weft {

struct Pool::State {
  std::mutex mutex;
  std::condition_variable given;
  std::deque<Task> waiting;  // Guarded by mutex, as below.
  bool stopping = false;
  std::vector<std::thread> threads;

  void serve() {
    for (;;) {
      Task work;
      {
        std::unique_lock lock(mutex);
        given.wait(lock, [this] { return stopping || !waiting.empty(); });
        if (stopping) return;
        work = std::move(waiting.front());
        waiting.pop_front();
      }
      work();
    }
  }
};

Pool::Pool(std::size_t threads) : state_(std::make_unique<State>()) {
  for (std::size_t i = 0; i < threads; ++i) state_->threads.emplace_back([this] { state_->serve(); });
}

Pool::~Pool() {
  std::deque<Task> dropped;  // They die without the lock: what they hold may give more work.
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->given.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
  {
    const std::lock_guard lock(state_->mutex);
    dropped.swap(state_->waiting);
  }
}

void Pool::run(Task work) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    state_->waiting.push_back(std::move(work));
  }
  state_->given.notify_one();
}

}  // namespace weft
