// An engine with nothing outside of this process: a simulated provider, a journal whose commits a test can hold back,
// and tools that record when they were called.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "memory/journal/journal.h"
#include "runtime/engine/engine.h"
#include "sim/provider.h"

namespace weft::engine::testing {

// Passes everything on to a journal in memory; while it is held, appends wait, in their order.
class HeldJournal final : public memory::Journal {
 public:
  explicit HeldJournal(std::shared_ptr<memory::Journal> inner) : inner_(std::move(inner)) {}
  void hold();
  void release();
  // From now on appends fail so, as on a store that cannot be written. kLate: they are written all the same, as where
  // only the answer is lost.
  enum class Written : std::uint8_t { kNo, kLate };
  void fail(Error cause, Written written = Written::kNo);
  void mend();
  std::size_t failed() const;
  std::size_t waiting() const;
  std::size_t appends() const;        // Handed in so far.
  std::size_t appends_alone() const;  // Of these, with nothing beside them.
  // From now on the states of schedules cannot be kept.
  void fail_schedules(std::optional<Error> cause);

  Result<memory::RunRow> run(std::string_view key) const override { return inner_->run(key); }
  Result<memory::RunPage> runs(const memory::RunFilter& filter, std::size_t limit,
                               std::string_view after) const override {
    return inner_->runs(filter, limit, after);
  }
  Result<std::vector<memory::EventBatch>> events(std::string_view run, std::uint64_t from,
                                                 std::size_t bytes) const override {
    std::unique_lock lock(mutex_);
    // Who asks for one batch looks at what the run was begun with (history::ToolPins), and does not read it.
    if (bytes > 1) {
      const auto [first, fresh] = read_from_.emplace(run, from);
      if (!fresh) first->second = std::min(first->second, from);
    }
    if (run == damaged_) return std::vector<memory::EventBatch>{{from, from, "damaged"}};
    ++pages_read_;
    if (read_fault_) return refuse_read();
    const auto wait = page_wait_;
    lock.unlock();
    std::this_thread::sleep_for(wait);
    return inner_->events(run, from, bytes);
  }
  void damage(const std::string& run);  // What it recorded can no longer be read.
  // The lowest event of the run that was asked for so far; 0: none was.
  std::uint64_t read_from(const std::string& run) const {
    const std::lock_guard lock(mutex_);
    const auto found = read_from_.find(run);
    return found == read_from_.end() ? 0 : found->second;
  }
  // From now on snapshots are read so.
  void change_snapshots(std::function<void(memory::Snapshot&)> change) { change_snapshot_ = std::move(change); }
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override {
    if (no_blobs_) return not_found("it was removed");
    {
      const std::lock_guard lock(mutex_);
      if (read_fault_) return refuse_read();
    }
    return inner_->blob(digest);
  }
  Result<memory::BlobPiece> blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                                       std::size_t bytes_max) const override {
    if (no_blobs_) return not_found("it was removed");
    return inner_->blob_piece(run, digest, offset, bytes_max);
  }
  void lose_blobs() { no_blobs_ = true; }
  // From now on no event and no blob can be read; nothing: they can.
  void fail_reads(std::optional<Error> cause) {
    const std::lock_guard lock(mutex_);
    read_fault_ = std::move(cause);
  }
  std::size_t failed_reads() const {
    const std::lock_guard lock(mutex_);
    return failed_reads_;
  }
  // So long each page of events takes from now on.
  void slow_pages(std::chrono::milliseconds wait) {
    const std::lock_guard lock(mutex_);
    page_wait_ = wait;
  }
  std::size_t pages_read() const {
    const std::lock_guard lock(mutex_);
    return pages_read_;
  }
  Result<memory::WorkflowRow> workflow_by_hash(std::string_view hash) const override {
    return inner_->workflow_by_hash(hash);
  }
  Result<memory::WorkflowRow> workflow_by_name(std::string_view name) const override {
    return inner_->workflow_by_name(name);
  }
  Result<std::vector<memory::WorkflowRow>> workflows(std::size_t limit, std::string_view after) const override {
    return inner_->workflows(limit, after);
  }
  Result<std::vector<memory::Claim>> claim(std::span<const std::uint32_t> wanted) override {
    return inner_->claim(wanted);
  }
  bool may_send(std::uint32_t partition, memory::Epoch epoch) const override {
    return owned_ && inner_->may_send(partition, epoch);
  }
  void disown() { owned_ = false; }  // Another has claimed the store; what was handed in before is written.
  Result<std::optional<memory::Snapshot>> snapshot(std::string_view run) const override {
    auto found = inner_->snapshot(run);
    if (found && *found && change_snapshot_) change_snapshot_(**found);
    return found;
  }
  void append(memory::Append append, memory::OnDurable on_durable) override;
  void put_workflow(memory::WorkflowRow row, std::move_only_function<void(Result<memory::WorkflowRow>)> done) override {
    inner_->put_workflow(std::move(row), std::move(done));
  }
  void put_schedule(memory::ScheduleRow row, std::move_only_function<void(Status)> done) override {
    std::optional<Error> cause;
    {
      const std::lock_guard lock(mutex_);
      cause = failing_schedules_;
    }
    if (cause) return done(*std::move(cause));
    inner_->put_schedule(std::move(row), std::move(done));
  }
  Result<std::vector<memory::ScheduleRow>> schedules() const override { return inner_->schedules(); }
  Result<std::optional<std::string>> row(std::string_view kind, std::string_view key) const override {
    return inner_->row(kind, key);
  }
  Result<memory::RowPage> rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                               std::string_view after) const override {
    return inner_->rows(kind, key_prefix, limit, after);
  }
  Result<std::vector<memory::RunRow>> unfinished(std::span<const std::uint32_t> partitions) const override {
    return inner_->unfinished(partitions);
  }
  memory::Maintenance* maintenance() override { return inner_->maintenance(); }
  // What an engine that stops does when its shards run no more.
  void on_drain(std::function<void()> done) { on_drain_ = std::move(done); }
  void drain() override {
    if (on_drain_) on_drain_();
    inner_->drain();
  }

 private:
  Error refuse_read() const {  // REQUIRES: the lock.
    ++failed_reads_;
    return *read_fault_;
  }

  std::shared_ptr<memory::Journal> inner_;
  mutable std::mutex mutex_;
  std::atomic<bool> no_blobs_ = false;
  std::atomic<bool> owned_ = true;
  bool held_ = false;  // Guarded by mutex_, as below.
  std::size_t appends_ = 0;
  std::size_t appends_alone_ = 0;
  std::string damaged_;
  mutable std::map<std::string, std::uint64_t, std::less<>> read_from_;
  std::optional<Error> read_fault_;
  mutable std::size_t failed_reads_ = 0;
  mutable std::size_t pages_read_ = 0;
  std::chrono::milliseconds page_wait_{0};
  std::function<void(memory::Snapshot&)> change_snapshot_;  // Set while no engine runs.
  std::function<void()> on_drain_;                          // Set before the engine stops.
  std::optional<Error> failing_;
  std::optional<Error> failing_schedules_;
  Written written_ = Written::kNo;
  std::size_t failed_ = 0;
  std::map<std::string, std::uint64_t> missing_;  // By run: the first append that failed; those behind it fail too.
  std::vector<std::pair<memory::Append, memory::OnDurable>> waiting_;
};

// Stands still until it is told. Intervals go by the system's.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(Time now) : now_us_(now.time_since_epoch().count()) {}
  Time now() const override { return Time(Duration(now_us_.load())); }
  Duration monotonic() const override { return system_.monotonic(); }
  void set(Time now) { now_us_ = now.time_since_epoch().count(); }

 private:
  std::atomic<std::int64_t> now_us_;
  SystemClock system_;
};

// Calls `on_run` for each call.
class RecordingTool final : public tools::Tool {
 public:
  RecordingTool(std::string name, tools::Effect effect,
                std::function<tools::ToolReply(const tools::ToolRequest&)> on_run)
      : on_run_(std::move(on_run)) {
    spec_ = {std::move(name), "Records its calls.",
             R"({"type":"object","properties":{"x":{}},"additionalProperties":false})", effect};
  }
  bool instant = false;
  const tools::ToolSpec& spec() const override { return spec_; }
  bool is_instant() const override { return instant; }
  tools::ToolReply run(const tools::ToolRequest& request, const tools::Cancelled&) override { return on_run_(request); }

 private:
  tools::ToolSpec spec_;
  std::function<tools::ToolReply(const tools::ToolRequest&)> on_run_;
};

// One engine on a store that outlives it.
class World {
 public:
  World();
  ~World();

  // Before start(): tools to offer, and the script of the model.
  std::vector<std::shared_ptr<tools::Tool>> tools;
  void script(const std::string& yaml);
  // How snapshots are read by the engine that starts next.
  std::function<void(memory::Snapshot&)> change_snapshot;
  std::function<void(HeldJournal&)> prepare;  // Of the engine that starts next.
  // A snapshot with nearly every append, so that each test that starts an engine again begins with one.
  EngineLimits limits{.snapshot_after_bytes = 1};
  Config config;                                                      // What else is configured.
  enum class Way : std::uint8_t { kUrl, kProvider } way = Way::kUrl;  // kProvider: models are named as office/NAME.
  std::shared_ptr<FakeClock> clock;                                   // Null: the system's.
  Schedules schedules = Schedules::kStarted;
  Duration stuck_after = EngineOptions().stuck_after;
  bool simulated = true;                         // What the engine takes the provider for.
  std::map<std::string, std::string> variables;  // The engine's environment.
  std::vector<std::string> secrets;              // That workflows may name.

  void on(std::shared_ptr<memory::Journal> store) { store_ = std::move(store); }
  void start();
  void stop();  // As a crash would leave it: nothing is said to the runs.
  Engine& engine() { return *engine_; }
  HeldJournal& journal() { return *held_; }
  sim::Provider& provider() { return *provider_; }

  void apply(const std::string& yaml);
  Result<v1::RunsSubmitResponse> submit(v1::RunsSubmitRequest request);
  std::string submit(const std::string& workflow, const std::string& input = "{}");
  v1::Run get(const std::string& id);
  // Until nothing moves it, or it has ended.
  v1::Run rest(const std::string& id);
  Result<v1::RunsResolveResponse> resolve(const std::string& id, const std::string& path, v1::Resolution resolution,
                                          const std::string& output = "");
  v1::Run wait(const std::string& id);  // Until it has ended; fails the test after a minute.
  std::vector<v1::Event> events(const std::string& id);

 private:
  std::shared_ptr<memory::Journal> store_;
  HeldJournal* held_ = nullptr;
  std::unique_ptr<sim::Provider> provider_;
  SystemClock system_;
  SystemEntropy entropy_;
  std::unique_ptr<Engine> engine_;
};

// Asks the engine and waits for its answer.
template <class Response, class Request>
Result<Response> call(Engine& engine, void (Api::*method)(const Request&, Reply<Response>), const Request& request) {
  std::promise<Result<Response>> promise;
  (engine.*method)(request, [&](Result<Response> response) { promise.set_value(std::move(response)); });
  return promise.get_future().get();
}

// Waits for a condition that another thread makes true; false after 60 s.
bool eventually(const std::function<bool()>& condition);

}  // namespace weft::engine::testing
