// The journal over SQLite: what is written goes through a queue (write_queue.h), what is read through two pools of
// connections.
#include <fmt/format.h>

#include <atomic>
#include <ctime>
#include <future>
#include <limits>
#include <thread>

#include "base/check.h"
#include "memory/journal/sqlite_maintenance.h"
#include "memory/journal/sqlite_reader.h"
#include "memory/journal/sqlite_store.h"
#include "memory/journal/store_file.h"
#include "memory/journal/write_queue.h"

namespace weft::memory {
namespace {

// What an entry weighs in the queue beside its payload, about.
constexpr std::size_t kEntryBytes = 1'024;
// A larger append leaves its caller's thread also where it is alone.
constexpr std::size_t kAloneBytesMax = std::size_t{64} << 10;
// For so long the journal believes that the epoch is what it was when it was last looked at.
constexpr Duration kSeenMax{1'000};

class AppendEntry final : public WriteEntry {
 public:
  AppendEntry(std::size_t bytes, Append append, OnDurable on_durable)
      : WriteEntry(bytes), append_(std::move(append)), on_durable_(std::move(on_durable)) {}

  Status apply(SqliteWriter& writer) override {
    if (refused_) {
      fail(*refused_, writer);
      return {};
    }
    WEFT_TRY(result_, writer.append(append_));
    return {};
  }
  void fail(const Error& cause, SqliteWriter& writer) override {
    writer.note_failed(append_.run, cause);
    result_ = cause;
  }
  void answer() override { on_durable_(std::move(result_)); }

 private:
  void drop(Error cause) override {
    Append without;
    without.run = std::move(append_.run);
    append_ = std::move(without);
    refused_ = std::move(cause);
  }

  Append append_;
  OnDurable on_durable_;
  std::optional<Error> refused_;
  Result<Appended> result_ = Appended{};
};

// Everything else: a workflow's version, a schedule, a claim, upkeep, or nothing but its place in the queue.
template <class Value>
class CallEntry final : public WriteEntry {
 public:
  using Call = std::move_only_function<Result<Value>(SqliteWriter&)>;
  using Done = std::move_only_function<void(Result<Value>)>;
  CallEntry(std::size_t bytes, Call call, Done done)
      : WriteEntry(bytes), call_(std::move(call)), done_(std::move(done)) {}

  Status apply(SqliteWriter& writer) override {
    if (call_ == nullptr) return {};
    auto result = call_(writer);
    if (!result) return Error(std::move(result).error());
    result_ = std::move(result);
    return {};
  }
  void fail(const Error& cause, SqliteWriter&) override { result_ = cause; }
  void answer() override { done_(std::move(result_)); }

 private:
  void drop(Error cause) override {
    call_ = nullptr;
    result_ = std::move(cause);
  }

  Call call_;  // Null: it was refused.
  Done done_;
  Result<Value> result_ = Value{};
};

std::size_t weight_of(const std::optional<RunRow>& row) { return row ? kEntryBytes + row->summary.size() : 0; }

std::size_t weight_of(const Append& append) {
  std::size_t bytes =
      kEntryBytes + append.events.size() + append.snapshot.size() + weight_of(append.create) + weight_of(append.update);
  for (const EventBatch& batch : append.before) bytes += batch.events.size();
  for (const Blob& blob : append.blobs) bytes += blob.bytes->size();
  for (const RowChange& change : append.rows) bytes += bytes_of(change);
  return bytes;
}

// Goes on while the machine sleeps or the process is stopped.
Duration boot_time() {
  timespec now = {};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

class SqliteJournal final : public Journal {
 public:
  // `options.path` is the store's whole path.
  SqliteJournal(const SqliteOptions& options, StoreLock lock, SqliteWriter writer, std::unique_ptr<SqliteReader> reader,
                std::unique_ptr<SqliteReader> urgent)
      : lock_(std::move(lock)),
        reader_(std::move(reader)),
        urgent_(std::move(urgent)),
        queue_({options.queue_bytes_max, options.batch_bytes_max, options.checkpoint_pages}, std::move(writer)),
        maintenance_(options.path, lock_, *reader_, queue_.commits(),
                     [this](SqliteMaintenance::Work work) { return on_writer(std::move(work)); }) {}

  // What is queued becomes durable and is called back first; callbacks may still read.
  ~SqliteJournal() override { queue_.stop(); }

  // All partitions have one owner and one epoch.
  Result<std::vector<Claim>> claim(std::span<const std::uint32_t> wanted) override {
    WEFT_RETURN_IF_ERROR(check_partitions(wanted));
    WEFT_TRY(std::vector<Claim> claims,
             wait_for<std::vector<Claim>>([](SqliteWriter& writer) { return writer.catalog().claim_all(); }));
    claimed_.store(claims.front().epoch, std::memory_order_relaxed);
    // What an earlier owner has seen of the epochs is too old by then for anything to leave it.
    std::this_thread::sleep_for(2 * kSeenMax);
    return claims;
  }

  // The kernel's lock keeps a second owner out while this one lives, except where the lock's file was removed. An epoch
  // that cannot be read now is believed: nobody could have claimed a store that cannot be read.
  bool may_send(std::uint32_t partition, Epoch epoch) const override {
    if (partition >= kPartitions || epoch == 0 || epoch != claimed_.load(std::memory_order_relaxed)) return false;
    const Duration now = boot_time();
    if (now - Duration(seen_us_.load(std::memory_order_relaxed)) < kSeenMax) return true;
    const auto current = urgent_->epoch(partition);
    if (current && *current != epoch) return false;
    seen_us_.store(now.count(), std::memory_order_relaxed);
    return true;
  }

  void append(Append append, OnDurable on_durable) override {
    const std::size_t bytes = weight_of(append);
    // What begins leaves half of the room to runs that are at work, since those cannot ask again.
    const auto room = append.create ? WriteQueue::Room::kHalf : WriteQueue::Room::kAll;
    const auto where = append.alone && bytes <= kAloneBytesMax ? WriteQueue::Where::kHere : WriteQueue::Where::kQueue;
    queue_.push(std::make_unique<AppendEntry>(bytes, std::move(append), std::move(on_durable)), room, where);
  }

  void put_workflow(WorkflowRow row, std::move_only_function<void(Result<WorkflowRow>)> done) override {
    const std::size_t bytes = kEntryBytes + row.bundle.size() + row.summary.size();
    auto put = [row = std::move(row)](SqliteWriter& writer) { return writer.catalog().put_workflow(row); };
    queue_.push(std::make_unique<CallEntry<WorkflowRow>>(bytes, std::move(put), std::move(done)),
                WriteQueue::Room::kHalf);
  }

  void put_schedule(ScheduleRow row, std::move_only_function<void(Status)> done) override {
    const std::size_t bytes = kEntryBytes + row.state.size();
    auto put = [row = std::move(row)](SqliteWriter& writer) { return writer.catalog().put_schedule(row); };
    auto told = [done = std::move(done)](Result<Status> answer) mutable {
      done(answer ? *std::move(answer) : Status(std::move(answer).error()));
    };
    queue_.push(std::make_unique<CallEntry<Status>>(bytes, std::move(put), std::move(told)), WriteQueue::Room::kAll);
  }

  void drain() override {
    // Its answer comes after those of all that was queued before.
    (void)wait_for<bool>([](SqliteWriter&) { return Result<bool>(true); });
  }

  Maintenance* maintenance() override { return &maintenance_; }

  Result<std::vector<RunRow>> unfinished(std::span<const std::uint32_t> partitions) const override {
    return reader_->unfinished(partitions);
  }
  Result<std::optional<Snapshot>> snapshot(std::string_view run) const override { return reader_->snapshot(run); }
  const Reader& urgent() const override { return *urgent_; }
  Result<RunRow> run(std::string_view key) const override { return reader_->run(key); }
  Result<RunPage> runs(const RunFilter& filter, std::size_t limit, std::string_view after) const override {
    return reader_->runs(filter, limit, after);
  }
  Result<std::vector<EventBatch>> events(std::string_view run, std::uint64_t from_seq,
                                         std::size_t bytes_max) const override {
    return reader_->events(run, from_seq, bytes_max);
  }
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override { return reader_->blob(digest); }
  Result<BlobPiece> blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                               std::size_t bytes_max) const override {
    return reader_->blob_piece(run, digest, offset, bytes_max);
  }
  Result<WorkflowRow> workflow_by_hash(std::string_view hash) const override { return reader_->workflow_by_hash(hash); }
  Result<WorkflowRow> workflow_by_name(std::string_view name) const override { return reader_->workflow_by_name(name); }
  Result<std::vector<WorkflowRow>> workflows(std::size_t limit, std::string_view after_name) const override {
    return reader_->workflows(limit, after_name);
  }
  Result<std::vector<ScheduleRow>> schedules() const override { return reader_->schedules(); }
  Result<std::optional<std::string>> row(std::string_view kind, std::string_view key) const override {
    return reader_->row(kind, key);
  }
  Result<RowPage> rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                       std::string_view after) const override {
    return reader_->rows(kind, key_prefix, limit, after);
  }

 private:
  template <class Value>
  Result<Value> wait_for(typename CallEntry<Value>::Call call) {
    WEFT_CHECK(!queue_.is_own_thread(), "a callback of the journal waits for the journal");
    // Shared, since set_value() may still be at work on it when get() has returned.
    auto promise = std::make_shared<std::promise<Result<Value>>>();
    auto done = [promise](Result<Value> result) { promise->set_value(std::move(result)); };
    queue_.push(std::make_unique<CallEntry<Value>>(0, std::move(call), std::move(done)), WriteQueue::Room::kAlways);
    return promise->get_future().get();
  }

  Status on_writer(SqliteMaintenance::Work work) {
    auto done = wait_for<bool>([work = std::move(work)](SqliteWriter& writer) mutable -> Result<bool> {
      WEFT_RETURN_IF_ERROR(work(writer.connection()));
      return true;
    });
    if (!done) return std::move(done).error();
    return {};
  }

  const StoreLock lock_;
  const std::unique_ptr<SqliteReader> reader_;
  const std::unique_ptr<SqliteReader> urgent_;  // For those who move runs.
  std::atomic<Epoch> claimed_ = 0;              // The last claim through this journal.
  mutable std::atomic<std::int64_t> seen_us_ = std::numeric_limits<std::int64_t>::min() / 2;  // When, of boot_time().
  WriteQueue queue_;
  SqliteMaintenance maintenance_;
};

}  // namespace

Result<std::unique_ptr<Journal>> open_sqlite(const SqliteOptions& options) {
  WEFT_TRY(const std::string path, own_store(options.path));
  WEFT_TRY(StoreLock lock, StoreLock::take(path));
  WEFT_TRY(SqliteWriter writer, SqliteWriter::open(path));
  WEFT_TRY(auto reader, SqliteReader::open(path));
  WEFT_TRY(auto urgent, SqliteReader::open(path));
  SqliteOptions found = options;
  found.path = path;
  return std::make_unique<SqliteJournal>(found, std::move(lock), std::move(writer), std::move(reader),
                                         std::move(urgent));
}

}  // namespace weft::memory
