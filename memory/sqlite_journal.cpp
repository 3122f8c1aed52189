// The journal over SQLite: a queue, and one thread that drains it into transactions.
//
// Natural group commit: whatever queued while the last commit ran goes into the next transaction, never a wait for
// more. The thread owns the writing connection, calls back in the order of the calls, and alone runs checkpoints: when
// it has nothing to do, or when the WAL has become so large that it cannot wait.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <future>
#include <limits>
#include <mutex>
#include <span>
#include <thread>

#include "base/check.h"
#include "memory/journal.h"
#include "memory/sqlite_care.h"
#include "memory/sqlite_reader.h"
#include "memory/sqlite_writer.h"
#include "memory/store_file.h"

namespace weft::memory {
namespace {

// So long without work, the writer thinks itself idle: a checkpoint would otherwise delay the next append of a run that
// is busy.
constexpr std::chrono::milliseconds kIdle{20};
// At this many times `checkpoint_pages` the checkpoint waits for no idle moment.
constexpr std::size_t kBusyCheckpointFactor = 8;
// What an entry weighs in the queue beside its payload, about.
constexpr std::size_t kEntryBytes = 1'024;

// One entry of the queue. Made by any thread, then the writer's.
class Entry {
 public:
  explicit Entry(std::size_t weight) : weight_(weight) {}
  virtual ~Entry() = default;
  // Within a transaction. An error: the store failed, and the transaction is to be rolled back.
  virtual Status apply(SqliteWriter& writer) = 0;
  virtual void fail(const Error& cause, SqliteWriter& writer) = 0;
  virtual void answer() = 0;
  std::size_t weight() const { return weight_; }  // Bytes.

 private:
  const std::size_t weight_;
};

class AppendEntry final : public Entry {
 public:
  AppendEntry(std::size_t bytes, Append append, OnDurable on_durable)
      : Entry(bytes), append_(std::move(append)), on_durable_(std::move(on_durable)) {}

  Status apply(SqliteWriter& writer) override {
    WEFT_TRY(result_, writer.append(append_));
    return {};
  }
  void fail(const Error& cause, SqliteWriter& writer) override {
    writer.note_failed(append_.run, cause);
    result_ = cause;
  }
  void answer() override { on_durable_(std::move(result_)); }

 private:
  Append append_;
  OnDurable on_durable_;
  Result<Appended> result_ = Appended{};
};

// An append for which the queue had no room: it keeps its place, so that its answer comes in order.
class RefusedEntry final : public Entry {
 public:
  RefusedEntry(std::string run, Error cause, OnDurable on_durable)
      : Entry(0), run_(std::move(run)), cause_(std::move(cause)), on_durable_(std::move(on_durable)) {}

  Status apply(SqliteWriter& writer) override {
    writer.note_failed(run_, cause_);
    return {};
  }
  void fail(const Error& cause, SqliteWriter&) override { cause_ = cause; }
  void answer() override { on_durable_(std::move(cause_)); }

 private:
  std::string run_;
  Error cause_;
  OnDurable on_durable_;
};

// A call for which the queue had no room.
template <class Value>
class RefusedCall final : public Entry {
 public:
  RefusedCall(Error cause, std::move_only_function<void(Result<Value>)> done)
      : Entry(0), cause_(std::move(cause)), done_(std::move(done)) {}
  Status apply(SqliteWriter&) override { return {}; }
  void fail(const Error&, SqliteWriter&) override {}
  void answer() override { done_(std::move(cause_)); }

 private:
  Error cause_;
  std::move_only_function<void(Result<Value>)> done_;
};

// A workflow's version, the claim of the partitions, or nothing but its place in the queue.
template <class Value>
class CallEntry final : public Entry {
 public:
  using Call = std::move_only_function<Result<Value>(SqliteWriter&)>;
  CallEntry(std::size_t bytes, Call call, std::move_only_function<void(Result<Value>)> done)
      : Entry(bytes), call_(std::move(call)), done_(std::move(done)) {}

  Status apply(SqliteWriter& writer) override {
    auto result = call_(writer);
    if (!result) return Error(std::move(result).error());
    result_ = std::move(result);
    return {};
  }
  void fail(const Error& cause, SqliteWriter&) override { result_ = cause; }
  void answer() override { done_(std::move(result_)); }

 private:
  Call call_;
  std::move_only_function<void(Result<Value>)> done_;
  Result<Value> result_ = Value{};
};

std::size_t weight_of(const std::optional<RunRow>& row) { return row ? kEntryBytes + row->summary.size() : 0; }

std::size_t weight_of(const Append& append) {
  std::size_t bytes =
      kEntryBytes + append.events.size() + append.snapshot.size() + weight_of(append.create) + weight_of(append.update);
  for (const EventBatch& batch : append.before) bytes += batch.events.size();
  for (const Blob& blob : append.blobs) bytes += blob.bytes->size();
  return bytes;
}

// For so long it is believed that the epoch is what it was when it was last looked at.
constexpr Duration kSeenMax{1'000};

// Goes on while the machine sleeps or the process is stopped.
Duration boot_time() {
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

class SqliteJournal final : public Journal {
 public:
  // `options.path` is the store's whole path.
  SqliteJournal(const SqliteOptions& options, StoreLock lock, SqliteWriter writer, std::unique_ptr<SqliteReader> reader)
      : options_(options),
        lock_(std::move(lock)),
        writer_(std::move(writer)),
        reader_(std::move(reader)),
        care_(options_.path, *reader_, commits_, [this](SqliteCare::Work work) { return on_writer(std::move(work)); }) {
    thread_ = std::thread([this] { serve(); });
  }

  // What is queued becomes durable and is called back first.
  ~SqliteJournal() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    queued_.notify_one();
    thread_.join();
  }

  Result<Epoch> claim_all() override {
    auto claimed = wait_for<Epoch>([](SqliteWriter& writer) { return writer.claim_all(); });
    // What an earlier owner has seen of the epochs is too old by then for anything to leave it.
    if (claimed) std::this_thread::sleep_for(2 * kSeenMax);
    return claimed;
  }

  // The kernel's lock keeps a second owner out while this one lives, but where its file was removed. Where the epoch
  // cannot be read now, it is believed: nobody could have claimed a store that cannot be read.
  bool owns(Epoch epoch) const override {
    const Duration now = boot_time();
    if (now - Duration(seen_us_.load(std::memory_order_relaxed)) < kSeenMax) return true;
    const auto current = reader_->epoch();
    if (current && *current != epoch) return false;
    seen_us_.store(now.count(), std::memory_order_relaxed);
    return true;
  }

  void append(Append append, OnDurable on_durable) override {
    const std::size_t bytes = weight_of(append);
    const std::lock_guard lock(mutex_);
    // What begins leaves half of the room to runs that are at work, since those cannot ask again.
    if (weight_ + bytes > (append.create ? options_.queue_bytes_max / 2 : options_.queue_bytes_max)) {
      push(std::make_unique<RefusedEntry>(std::move(append.run), full(), std::move(on_durable)));
      return;
    }
    push(std::make_unique<AppendEntry>(bytes, std::move(append), std::move(on_durable)));
  }

  void put_workflow(WorkflowRow row, std::move_only_function<void(Result<WorkflowRow>)> done) override {
    const std::size_t bytes = kEntryBytes + row.bundle.size() + row.summary.size();
    auto put = [row = std::move(row)](SqliteWriter& writer) { return writer.put_workflow(row); };
    const std::lock_guard lock(mutex_);
    if (weight_ + bytes > options_.queue_bytes_max / 2) {
      push(std::make_unique<RefusedCall<WorkflowRow>>(full(), std::move(done)));
      return;
    }
    push(std::make_unique<CallEntry<WorkflowRow>>(bytes, std::move(put), std::move(done)));
  }

  void put_schedule(ScheduleRow row, std::move_only_function<void(Status)> done) override {
    const std::size_t bytes = kEntryBytes + row.state.size();
    auto put = [row = std::move(row)](SqliteWriter& writer) { return writer.put_schedule(row); };
    auto told = [done = std::move(done)](Result<Status> answer) mutable {
      done(answer ? *std::move(answer) : Status(std::move(answer).error()));
    };
    const std::lock_guard lock(mutex_);
    if (weight_ + bytes > options_.queue_bytes_max) {
      push(std::make_unique<RefusedCall<Status>>(full(), std::move(told)));
      return;
    }
    push(std::make_unique<CallEntry<Status>>(bytes, std::move(put), std::move(told)));
  }

  void drain() override {
    // Its answer comes after those of all that was queued before.
    (void)wait_for<bool>([](SqliteWriter&) { return Result<bool>(true); });
  }

  Care* care() override { return &care_; }

  Result<std::vector<RunRow>> unfinished() const override { return reader_->unfinished(); }
  Result<std::optional<Snapshot>> snapshot(std::string_view run) const override { return reader_->snapshot(run); }
  Result<RunRow> run(std::string_view key) const override { return reader_->run(key); }
  Result<RunPage> runs(const RunFilter& filter, std::size_t limit, std::string_view after) const override {
    return reader_->runs(filter, limit, after);
  }
  Result<std::vector<EventBatch>> events(std::string_view run, std::uint64_t from_seq,
                                         std::size_t bytes_max) const override {
    return reader_->events(run, from_seq, bytes_max);
  }
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override { return reader_->blob(digest); }
  Result<WorkflowRow> workflow_by_hash(std::string_view hash) const override { return reader_->workflow_by_hash(hash); }
  Result<WorkflowRow> workflow_by_name(std::string_view name) const override { return reader_->workflow_by_name(name); }
  Result<std::vector<WorkflowRow>> workflows(std::size_t limit, std::string_view after_name) const override {
    return reader_->workflows(limit, after_name);
  }
  Result<std::vector<ScheduleRow>> schedules() const override { return reader_->schedules(); }

 private:
  using Batch = std::vector<std::unique_ptr<Entry>>;

  template <class Value>
  Result<Value> wait_for(typename CallEntry<Value>::Call call) {
    WEFT_CHECK(std::this_thread::get_id() != thread_.get_id(), "a callback of the journal waits for the journal");
    // Shared, since set_value() may still be at work on it when get() has returned.
    auto promise = std::make_shared<std::promise<Result<Value>>>();
    auto done = [promise](Result<Value> result) { promise->set_value(std::move(result)); };
    {
      const std::lock_guard lock(mutex_);
      push(std::make_unique<CallEntry<Value>>(0, std::move(call), std::move(done)));
    }
    return promise->get_future().get();
  }

  Status on_writer(SqliteCare::Work work) {
    auto done = wait_for<bool>([work = std::move(work)](SqliteWriter& writer) mutable -> Result<bool> {
      WEFT_RETURN_IF_ERROR(work(writer.connection()));
      return true;
    });
    if (!done) return std::move(done).error();
    return {};
  }

  // REQUIRES: mutex_ is held.
  Error full() const {
    return resource_exhausted(fmt::format("the journal's queue holds {} bytes (queue_bytes_max {})", weight_,
                                          options_.queue_bytes_max))
        .with("limit", "queue_bytes_max");
  }
  // REQUIRES: mutex_ is held.
  void push(std::unique_ptr<Entry> entry) {
    weight_ += entry->weight();
    queue_.push_back(std::move(entry));
    if (queue_.size() == 1) queued_.notify_one();
  }

  void serve();
  bool wait_for_work(Batch& batch);
  void commit(Batch& batch);
  Status commit_together(std::span<const std::unique_ptr<Entry>> entries);

  const SqliteOptions options_;
  const StoreLock lock_;
  const SystemClock clock_;
  SqliteWriter writer_;  // The thread's.
  const std::unique_ptr<SqliteReader> reader_;
  mutable std::atomic<std::int64_t> seen_us_ = std::numeric_limits<std::int64_t>::min() / 2;  // When, of boot_time().
  CommitTimes commits_;
  SqliteCare care_;

  std::mutex mutex_;
  std::condition_variable queued_;
  // Guarded by mutex_:
  std::deque<std::unique_ptr<Entry>> queue_;
  std::size_t weight_ = 0;  // Bytes of what is queued or not yet answered.
  bool stopping_ = false;

  std::thread thread_;  // Last: it uses all of the above.
};

void SqliteJournal::serve() {
  Batch batch;
  while (wait_for_work(batch)) {
    commit(batch);
    std::size_t answered = 0;
    for (const auto& entry : batch) {
      answered += entry->weight();
      entry->answer();
    }
    batch.clear();
    const std::lock_guard lock(mutex_);
    weight_ -= answered;
  }
  writer_.checkpoint();
}

// Takes what is queued, at most batch_bytes_max of it. False: there is no more work, for ever.
bool SqliteJournal::wait_for_work(Batch& batch) {
  const auto has_news = [this] { return !queue_.empty() || stopping_; };
  std::size_t checkpoint_at = options_.checkpoint_pages;
  std::unique_lock lock(mutex_);
  while (!has_news()) {
    if (writer_.wal_pages() < checkpoint_at) {
      queued_.wait(lock, has_news);
    } else if (!queued_.wait_for(lock, kIdle, has_news)) {
      lock.unlock();
      writer_.checkpoint();
      // What a reader or a full disk kept back is tried again when more has come.
      checkpoint_at = std::max(checkpoint_at, writer_.wal_pages() + 1);
      lock.lock();
    }
  }
  std::size_t bytes = 0;
  while (!queue_.empty() && (batch.empty() || bytes + queue_.front()->weight() <= options_.batch_bytes_max)) {
    bytes += queue_.front()->weight();
    batch.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return !batch.empty();
}

void SqliteJournal::commit(Batch& batch) {
  if (writer_.wal_pages() >= options_.checkpoint_pages * kBusyCheckpointFactor) writer_.checkpoint();
  const Status together = commit_together(batch);
  if (together) return;
  if (batch.size() == 1) return batch.front()->fail(together.error(), writer_);
  for (const auto& entry : batch) {
    if (const Status alone = commit_together({&entry, 1}); !alone) entry->fail(alone.error(), writer_);
  }
}

Status SqliteJournal::commit_together(std::span<const std::unique_ptr<Entry>> entries) {
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

}  // namespace

Result<std::unique_ptr<Journal>> open_sqlite(const SqliteOptions& options) {
  WEFT_TRY(const std::string path, find_or_create_store(options.path));
  WEFT_TRY(StoreLock lock, StoreLock::take(path));
  WEFT_TRY(SqliteWriter writer, SqliteWriter::open(path));
  WEFT_TRY(auto reader, SqliteReader::open(path));
  SqliteOptions found = options;
  found.path = path;
  return std::make_unique<SqliteJournal>(found, std::move(lock), std::move(writer), std::move(reader));
}

}  // namespace weft::memory
