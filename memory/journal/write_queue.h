// What waits to be written into an SQLite store, and the one thread that writes it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/time.h"
#include "memory/journal/commit_times.h"
#include "memory/journal/sqlite_writer.h"

namespace weft::memory {

// One entry of the queue. Made by any thread, then the writer's.
class WriteEntry {
 public:
  explicit WriteEntry(std::size_t weight) : weight_(weight) {}
  virtual ~WriteEntry() = default;
  // Within a transaction; again in another one, if that one failed. An error: the store failed, and the transaction
  // must be rolled back.
  virtual Status apply(SqliteWriter& writer) = 0;
  virtual void fail(const Error& cause, SqliteWriter& writer) = 0;
  virtual void answer() = 0;
  // The queue is full. The entry keeps its place, so that its answer comes in order, and drops what it would write.
  void refuse(Error cause) {
    weight_ = 0;
    drop(std::move(cause));
  }
  std::size_t weight() const { return weight_; }  // Bytes.

 private:
  virtual void drop(Error cause) = 0;

  std::size_t weight_;
};

// Invariants:
//  1. Natural group commit: whatever queued while the last commit ran goes into the next transaction, at most
//     `batch_bytes_max` of it; the thread never waits for more.
//  2. Entries are answered in the order of push(), each once, after the commit that holds it, on the queue's thread, or
//     within push() for an entry that was committed there.
//  3. A transaction that fails is tried again entry by entry.
//  4. Only the queue's thread runs checkpoints: when it has nothing to do, or when the WAL has become so large that it
//     cannot wait.
//  5. One thread at a time writes: the queue's, or a caller whose entry finds the queue empty and the disk quick.
// Thread-safe.
class WriteQueue {
 public:
  struct Limits {
    std::size_t queue_bytes_max = 0;
    std::size_t batch_bytes_max = 0;
    std::size_t checkpoint_pages = 0;
  };
  // How much of the queue an entry may fill.
  enum class Room : std::uint8_t { kHalf, kAll, kAlways };
  // kHere: by the caller's thread, where that need not wait for another and commits take no longer than kHereMax.
  enum class Where : std::uint8_t { kQueue, kHere };
  static constexpr Duration kHereMax{1'000};

  WriteQueue(const Limits& limits, SqliteWriter writer);
  ~WriteQueue() { stop(); }

  // Returns when all that is queued is durable and answered. Nothing is pushed afterwards.
  void stop();

  // An entry without room is refused with RESOURCE_EXHAUSTED, and answered in its turn.
  void push(std::unique_ptr<WriteEntry> entry, Room room, Where where = Where::kQueue);
  // Of those that answer now.
  bool is_own_thread() const {
    const std::thread::id id = std::this_thread::get_id();
    return id == thread_.get_id() || id == here_.load(std::memory_order_relaxed);
  }
  const CommitTimes& commits() const { return commits_; }

 private:
  using Batch = std::vector<std::unique_ptr<WriteEntry>>;

  void serve();
  void write(Batch& batch);
  void write_here(std::unique_ptr<WriteEntry> entry);
  bool wait_for_work(Batch& batch);
  void commit(Batch& batch);
  Status commit_together(std::span<const std::unique_ptr<WriteEntry>> entries);

  const Limits limits_;
  const SystemClock clock_;
  SqliteWriter writer_;  // Of the thread that set `writing_`.
  CommitTimes commits_;

  std::mutex mutex_;
  std::condition_variable queued_;
  // Guarded by mutex_:
  std::deque<std::unique_ptr<WriteEntry>> queue_;
  std::size_t weight_ = 0;  // Bytes of what is queued or not yet answered.
  bool stopping_ = false;
  bool writing_ = false;            // A thread commits, answers or checkpoints.
  Duration last_commit_{0};         // How long it took.
  std::size_t wal_pages_ = 0;       // After it.
  std::uint64_t written_here_ = 0;  // How often a caller wrote.

  std::atomic<std::thread::id> here_{};  // The caller that writes.

  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace weft::memory
