#include "memory/journal/write_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weft::memory {
namespace {

// After so long without work the writer counts as idle: a checkpoint would otherwise delay the next append of a run
// that is busy.
constexpr std::chrono::milliseconds kIdle{20};
// At this many times `checkpoint_pages` the checkpoint waits for no idle moment.
constexpr std::size_t kBusyCheckpointFactor = 8;

}  // namespace

WriteQueue::WriteQueue(const Limits& limits, SqliteWriter writer) : limits_(limits), writer_(std::move(writer)) {
  thread_ = std::thread([this] { serve(); });
}

void WriteQueue::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  queued_.notify_one();
  thread_.join();
}

void WriteQueue::push(std::unique_ptr<WriteEntry> entry, Room room, Where where) {
  std::unique_lock lock(mutex_);
  const std::size_t bytes_max = room == Room::kHalf ? limits_.queue_bytes_max / 2 : limits_.queue_bytes_max;
  if (room != Room::kAlways && weight_ + entry->weight() > bytes_max) {
    entry->refuse(resource_exhausted(fmt::format("the journal's queue holds {} bytes (queue_bytes_max {})", weight_,
                                                 limits_.queue_bytes_max))
                      .with("limit", "queue_bytes_max"));
  }
  weight_ += entry->weight();
  // A checkpoint that is due is the queue's, as is a commit that may take long.
  const bool quick = last_commit_ <= kHereMax && wal_pages_ < limits_.checkpoint_pages * kBusyCheckpointFactor;
  if (where == Where::kHere && quick && queue_.empty() && !writing_) {
    writing_ = true;
    lock.unlock();
    return write_here(std::move(entry));
  }
  queue_.push_back(std::move(entry));
  if (queue_.size() == 1) queued_.notify_one();
}

void WriteQueue::serve() {
  Batch batch;
  while (wait_for_work(batch)) write(batch);
  writer_.checkpoint();
}

void WriteQueue::write_here(std::unique_ptr<WriteEntry> entry) {
  here_ = std::this_thread::get_id();
  Batch batch;
  batch.push_back(std::move(entry));
  write(batch);
}

void WriteQueue::write(Batch& batch) {
  const Duration from = clock_.monotonic();
  commit(batch);
  const Duration took = clock_.monotonic() - from;
  std::size_t answered = 0;
  for (const auto& entry : batch) {
    answered += entry->weight();
    entry->answer();
  }
  batch.clear();
  const std::lock_guard lock(mutex_);
  weight_ -= answered;
  if (answered > 0) last_commit_ = took;  // Otherwise nothing was written.
  const std::size_t pages_before = std::exchange(wal_pages_, writer_.wal_pages());
  writing_ = false;
  if (here_.exchange({}) == std::thread::id()) return;
  ++written_here_;
  // The thread that sleeps is told of what came meanwhile, and that a checkpoint has become due.
  const bool due = pages_before < limits_.checkpoint_pages && wal_pages_ >= limits_.checkpoint_pages;
  if (!queue_.empty() || stopping_ || due) queued_.notify_one();
}

// Takes what is queued, at most batch_bytes_max of it. False: there is no more work, for ever.
bool WriteQueue::wait_for_work(Batch& batch) {
  const auto has_news = [this] { return !writing_ && (!queue_.empty() || stopping_); };
  std::size_t checkpoint_at = limits_.checkpoint_pages;
  std::unique_lock lock(mutex_);
  while (!has_news()) {
    if (wal_pages_ < checkpoint_at) {
      queued_.wait(lock, [&] { return has_news() || wal_pages_ >= checkpoint_at; });
      continue;
    }
    const std::uint64_t written = written_here_;
    if (queued_.wait_for(lock, kIdle, has_news) || writing_ || written != written_here_) continue;
    writing_ = true;
    lock.unlock();
    writer_.checkpoint();
    lock.lock();
    writing_ = false;
    wal_pages_ = writer_.wal_pages();
    // What a reader or a full disk kept back is tried again when more has come.
    checkpoint_at = std::max(checkpoint_at, wal_pages_ + 1);
  }
  std::size_t bytes = 0;
  while (!queue_.empty() && (batch.empty() || bytes + queue_.front()->weight() <= limits_.batch_bytes_max)) {
    bytes += queue_.front()->weight();
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  writing_ = !batch.empty();
  return !batch.empty();
}

void WriteQueue::commit(Batch& batch) {
  if (writer_.wal_pages() >= limits_.checkpoint_pages * kBusyCheckpointFactor) writer_.checkpoint();
  const Status together = commit_together(batch);
  if (together) return;
  if (batch.size() == 1) return batch.front()->fail(together.error(), writer_);
  for (const auto& entry : batch) {
    if (const Status alone = commit_together({&entry, 1}); !alone) entry->fail(alone.error(), writer_);
  }
}

Status WriteQueue::commit_together(std::span<const std::unique_ptr<WriteEntry>> entries) {
  const auto work = [&]() -> Status {
    WEFT_RETURN_IF_ERROR(writer_.begin());
    for (const auto& entry : entries) WEFT_RETURN_IF_ERROR(entry->apply(writer_));
    const Duration from = clock_.monotonic();
    WEFT_RETURN_IF_ERROR(writer_.commit());
    const Duration at = clock_.monotonic();
    commits_.add(at, at - from);
    return {};
  };
  Status done = work();
  if (!done) writer_.roll_back(done.error());
  return done;
}

}  // namespace weft::memory
