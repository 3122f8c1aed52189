#include "tools/tool_threads.h"

#include <algorithm>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"

namespace weft::tools {

struct ToolThreads::State {
  struct Work {
    std::string tool;
    Task task;
  };

  explicit State(const ThreadLimits& of) : limits(of) {}

  const ThreadLimits limits;
  std::mutex mutex;
  std::condition_variable due;
  // Guarded by mutex:
  std::list<Work> waiting;
  std::map<std::string, std::size_t> at_work;  // Threads, by tool.
  std::size_t idle = 0;
  bool stopping = false;
  std::vector<std::thread> threads;

  // The first whose tool may have another thread.
  std::list<Work>::iterator next() {
    return std::ranges::find_if(waiting, [this](const Work& work) {
      const auto busy = at_work.find(work.tool);
      return busy == at_work.end() || busy->second < limits.threads_per_tool_max;
    });
  }

  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      auto found = waiting.end();
      ++idle;
      due.wait(lock, [&] {
        found = stopping ? waiting.end() : next();
        return stopping || found != waiting.end();
      });
      --idle;
      if (stopping) return;
      Work work = std::move(*found);
      waiting.erase(found);
      ++at_work[work.tool];
      lock.unlock();
      work.task();
      work.task = nullptr;  // What it holds dies without the lock.
      lock.lock();
      if (const auto busy = at_work.find(work.tool); --busy->second == 0) at_work.erase(busy);
    }
  }
};

ToolThreads::ToolThreads(const ThreadLimits& limits) : state_(std::make_unique<State>(limits)) {
  WEFT_CHECK(limits.tool_threads_max > 0 && limits.threads_per_tool_max > 0, "tools have no thread");
}

ToolThreads::~ToolThreads() {
  std::list<State::Work> dropped;  // They die without the lock: what they hold may give more work.
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    dropped.swap(state_->waiting);
    threads.swap(state_->threads);
  }
  state_->due.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void ToolThreads::run(std::string tool, Task work) {
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->stopping) return;
    state_->waiting.push_back({std::move(tool), std::move(work)});
    const bool all_busy = state_->idle < state_->waiting.size();
    if (all_busy && state_->threads.size() < state_->limits.tool_threads_max)
      state_->threads.emplace_back([state = state_.get()] { state->serve(); });
  }
  state_->due.notify_one();
}

std::size_t ToolThreads::started() const {
  const std::lock_guard lock(state_->mutex);
  return state_->threads.size();
}

}  // namespace weft::tools
