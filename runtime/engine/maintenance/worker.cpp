#include "runtime/engine/maintenance/worker.h"

namespace weft::engine {

MaintenanceWorker::MaintenanceWorker(Duration first, Duration period, Job round)
    : period_(period), round_(std::move(round)), next_round_(std::chrono::steady_clock::now() + first) {
  thread_ = std::thread([this] { serve(); });
}

MaintenanceWorker::~MaintenanceWorker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  woken_.notify_one();
  thread_.join();
}

bool MaintenanceWorker::ask(Job job) {
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= kJobsMax) return false;
  jobs_.push_back(std::move(job));
  woken_.notify_one();
  return true;
}

void MaintenanceWorker::serve() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    woken_.wait_until(lock, next_round_, [this] { return stop_ || !jobs_.empty(); });
    if (stop_) return;
    Job job;
    if (!jobs_.empty()) {
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    lock.unlock();
    if (job) {
      job(stop_);
    } else {
      round_(stop_);
      next_round_ = std::chrono::steady_clock::now() + period_;
    }
    lock.lock();
  }
}

}  // namespace weft::engine
