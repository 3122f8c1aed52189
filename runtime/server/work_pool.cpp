#include "runtime/server/work_pool.h"

#include <fmt/format.h>

#include <utility>

namespace weft::server {
namespace {

constexpr int kTryAgainMs = 1'000;

}  // namespace

WorkPool::WorkPool(PoolLimits limits) : limits_(std::move(limits)) {
  for (std::size_t i = 0; i < limits_.threads; ++i) threads_.emplace_back([this] { serve(); });
}

WorkPool::~WorkPool() { close(); }

Status WorkPool::run(const std::string& caller, Job& job) {
  const std::lock_guard lock(mutex_);
  if (closed_) return unavailable("the server is stopping");
  const auto own = lines_.find(caller);
  const bool own_full = own != lines_.end() && own->second.jobs.size() >= limits_.queue_of_caller;
  if (own_full || waiting_ >= limits_.queue) {
    return resource_exhausted(
               fmt::format("{} calls of {} wait for a thread already, which is the limit; try again when some have "
                           "ended",
                           own_full ? limits_.queue_of_caller : limits_.queue,
                           own_full ? "this caller" : "all callers"))
        .with("limit", limits_.name)
        .with("retry_after_ms", std::to_string(kTryAgainMs));
  }
  lines_[caller].jobs.push_back(std::move(job));
  ++waiting_;
  woken_.notify_one();
  return {};
}

WorkPool::Line* WorkPool::next() {
  if (waiting_ == 0) return nullptr;
  // Round and round, from behind the one whose turn it was.
  auto at = lines_.upper_bound(last_);
  for (std::size_t i = 0; i < lines_.size(); ++i, ++at) {
    if (at == lines_.end()) at = lines_.begin();
    if (at->second.jobs.empty() || at->second.running >= limits_.threads_of_caller) continue;
    last_ = at->first;
    return &at->second;
  }
  return nullptr;
}

void WorkPool::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    Line* line = nullptr;
    woken_.wait(lock, [&] { return closed_ || (line = next()) != nullptr; });
    if (closed_) return;
    const std::string caller = last_;
    Job job = std::move(line->jobs.front());
    line->jobs.pop_front();
    --waiting_;
    ++line->running;
    lock.unlock();
    job(Status());
    job = nullptr;  // What it holds goes before the lock is taken.
    lock.lock();
    const auto own = lines_.find(caller);
    if (--own->second.running == 0 && own->second.jobs.empty()) {
      lines_.erase(own);
    } else if (!own->second.jobs.empty()) {
      woken_.notify_one();
    }
  }
}

void WorkPool::close() {
  std::vector<std::thread> threads;
  std::map<std::string, Line> left;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    threads.swap(threads_);
    for (auto& [caller, line] : lines_) left[caller].jobs.swap(line.jobs);
    waiting_ = 0;
  }
  woken_.notify_all();
  for (auto& [caller, line] : left) {
    for (Job& job : line.jobs) job(unavailable("the server is stopping"));
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace weft::server
