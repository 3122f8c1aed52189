// The journal in memory: no thread of its own, so that a test decides when things happen.
//
// append() calls back before it returns, on the calling thread; within a callback (or while another thread calls back)
// it returns at once, and its answer comes right after those before it.
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/check.h"
#include "memory/journal.h"

namespace weft::memory {
namespace {

constexpr std::string_view kLatest = "@latest";

struct StoredRun {
  RunRow row;
  std::size_t number = 0;  // Of its creation, from 1.
  std::vector<EventBatch> batches;
  std::optional<Snapshot> snapshot;
};

// What a list is sorted by: newest first.
using Place = std::pair<Time, std::size_t>;

bool matches(const RunRow& row, const RunFilter& filter) {
  if (!filter.workflow.empty() && row.workflow != filter.workflow) return false;
  if (!filter.statuses.empty() && std::ranges::find(filter.statuses, row.status) == filter.statuses.end()) return false;
  if (filter.since && row.submitted_at < *filter.since) return false;
  if (filter.ended && row.ended != *filter.ended) return false;
  return std::ranges::all_of(
      filter.labels, [&](const auto& label) { return std::ranges::find(row.labels, label) != row.labels.end(); });
}

class MemoryJournal final : public Journal {
 public:
  Result<Epoch> claim_all() override {
    const std::lock_guard lock(mutex_);
    return ++epoch_;
  }

  void append(Append append, OnDurable on_durable) override {
    std::unique_lock lock(mutex_);
    auto answer = apply(append);
    answer_in_order(lock, [on_durable = std::move(on_durable), answer = std::move(answer)]() mutable {
      on_durable(std::move(answer));
    });
  }

  void put_workflow(WorkflowRow row, std::move_only_function<void(Result<WorkflowRow>)> done) override {
    std::unique_lock lock(mutex_);
    answer_in_order(lock,
                    [done = std::move(done), stored = apply(std::move(row))]() mutable { done(std::move(stored)); });
  }

  void put_schedule(ScheduleRow row, std::move_only_function<void(Status)> done) override {
    std::unique_lock lock(mutex_);
    Status put;
    if (row.epoch != epoch_) {
      put = aborted(fmt::format("schedules have another owner than that of epoch {}", row.epoch));
    } else if (row.state.empty()) {
      schedules_.erase(row.name);
    } else {
      schedules_[row.name] = std::move(row.state);
    }
    answer_in_order(lock, [done = std::move(done), put = std::move(put)]() mutable { done(std::move(put)); });
  }

  bool owns(Epoch epoch) const override {
    const std::lock_guard lock(mutex_);
    return epoch == epoch_;
  }
  Result<std::optional<Snapshot>> snapshot(std::string_view run) const override {
    const std::lock_guard lock(mutex_);
    const auto known = runs_.find(run);
    return known == runs_.end() ? std::nullopt : known->second.snapshot;
  }

  void drain() override {
    std::unique_lock lock(mutex_);
    drained_.wait(lock, [this] { return answers_.empty() && !answering_; });
  }

  Result<std::vector<RunRow>> unfinished() const override;
  Result<RunRow> run(std::string_view key) const override;
  Result<RunPage> runs(const RunFilter& filter, std::size_t limit, std::string_view after) const override;
  Result<std::vector<EventBatch>> events(std::string_view run, std::uint64_t from_seq,
                                         std::size_t bytes_max) const override;
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override;
  Result<WorkflowRow> workflow_by_hash(std::string_view hash) const override;
  Result<WorkflowRow> workflow_by_name(std::string_view name) const override;
  Result<std::vector<WorkflowRow>> workflows(std::size_t limit, std::string_view after_name) const override;
  Result<std::vector<ScheduleRow>> schedules() const override;

 private:
  using Answer = std::move_only_function<void()>;

  void answer_in_order(std::unique_lock<std::mutex>& lock, Answer answer);
  Result<Appended> apply(Append& append);
  Result<Appended> create(Append& append);
  WorkflowRow apply(WorkflowRow row);
  static Place place(const StoredRun& run) { return {run.row.submitted_at, run.number}; }

  mutable std::mutex mutex_;
  std::condition_variable drained_;
  // Guarded by mutex_:
  std::deque<Answer> answers_;
  bool answering_ = false;
  Epoch epoch_ = 0;
  std::map<std::string, StoredRun, std::less<>> runs_;     // By id.
  std::map<Place, std::string> order_;                     // Ids, oldest first.
  std::unordered_map<std::string, std::string> requests_;  // Ids of runs.
  std::map<Digest, std::shared_ptr<const std::string>> blobs_;
  std::map<std::string, WorkflowRow, std::less<>> workflows_;  // By hash.
  std::map<std::string, std::string> schedules_;
  std::map<std::string, std::vector<std::string>, std::less<>> versions_;  // By name: hashes, the last applied last.
};

void MemoryJournal::answer_in_order(std::unique_lock<std::mutex>& lock, Answer answer) {
  answers_.push_back(std::move(answer));
  if (answering_) return;
  answering_ = true;
  while (!answers_.empty()) {
    Answer next = std::move(answers_.front());
    answers_.pop_front();
    lock.unlock();
    next();
    lock.lock();
  }
  answering_ = false;
  drained_.notify_all();
}

Result<Appended> MemoryJournal::apply(Append& append) {
  WEFT_CHECK(append.first_seq > 0 && append.first_seq <= append.last_seq, "an append has events, counted from 1");
  WEFT_CHECK(!append.create || append.create->id == append.run, "an append creates its own run");
  if (append.epoch != epoch_ || append.partition >= kPartitions) {
    return aborted(fmt::format("partition {} has another owner than that of epoch {}: run {} is no longer served here",
                               append.partition, append.epoch, append.run));
  }
  const auto known = runs_.find(append.run);
  const std::uint64_t last_seq = known != runs_.end() ? known->second.row.last_seq : 0;
  if (append.begins_at() > last_seq + 1 || (known == runs_.end() && !append.create)) {
    return data_loss(fmt::format("events {} to {} of run {} do not follow {}, its last", append.first_seq,
                                 append.last_seq, append.run, last_seq))
        .with("history", "gap");
  }
  if (append.begins_at() <= last_seq) {
    for (const EventBatch& batch : known->second.batches) {
      if (batch.first_seq == append.first_seq && batch.last_seq == append.last_seq && batch.events == append.events) {
        return Appended{};
      }
    }
    return data_loss(fmt::format("run {} has other events than these at {} to {}", append.run, append.first_seq,
                                 append.last_seq))
        .with("history", "other");
  }
  if (known == runs_.end()) {
    WEFT_TRY(Appended created, create(append));
    if (!created.existing_run.empty()) return created;
  }
  for (const Blob& blob : append.blobs) blobs_.emplace(blob.digest, blob.bytes);
  StoredRun& run = runs_.at(append.run);
  WEFT_CHECK(run.row.partition == append.partition, "a run belongs to one partition for ever");
  for (EventBatch& batch : append.before) run.batches.push_back(std::move(batch));
  run.batches.push_back({append.first_seq, append.last_seq, std::move(append.events)});
  if (!append.snapshot.empty()) run.snapshot = Snapshot{append.last_seq, std::move(append.snapshot)};
  if (append.update) {
    if (append.update->ended) run.snapshot.reset();
    run.row.status = append.update->status;
    run.row.ended = append.update->ended;
    run.row.ended_at = append.update->ended_at;
    run.row.summary = std::move(append.update->summary);
  }
  run.row.last_seq = append.last_seq;
  return Appended{};
}

Result<Appended> MemoryJournal::create(Append& append) {
  RunRow& row = *append.create;
  if (!row.request_id.empty()) {
    const auto [taken, fresh] = requests_.emplace(row.request_id, row.id);
    if (!fresh && runs_.at(taken->second).row.request_digest == row.request_digest) return Appended{taken->second};
    if (!fresh) {
      return already_exists(
          fmt::format("request id '{}' was used for another submission, run {}", row.request_id, taken->second));
    }
  }
  StoredRun run;
  run.number = runs_.size() + 1;
  run.row = std::move(row);
  run.row.partition = append.partition;
  order_.emplace(place(run), run.row.id);
  runs_.emplace(append.run, std::move(run));
  return Appended{};
}

WorkflowRow MemoryJournal::apply(WorkflowRow row) {
  if (const auto known = workflows_.find(row.hash); known != workflows_.end()) {
    known->second.applied_at = row.applied_at;
    auto& hashes = versions_.find(known->second.name)->second;
    std::erase(hashes, row.hash);
    hashes.push_back(row.hash);
    return known->second;
  }
  auto& hashes = versions_[row.name];
  hashes.push_back(row.hash);
  row.version = hashes.size();
  return workflows_.emplace(row.hash, row).first->second;
}

Result<std::vector<RunRow>> MemoryJournal::unfinished() const {
  const std::lock_guard lock(mutex_);
  std::vector<RunRow> rows;
  for (const auto& [at, id] : order_) {
    const RunRow& row = runs_.find(id)->second.row;
    if (!row.ended) rows.push_back(row);
  }
  return rows;
}

Result<RunRow> MemoryJournal::run(std::string_view key) const {
  if (key.empty()) return invalid_argument("a run is named by its id, a prefix of it, or @latest");
  const std::lock_guard lock(mutex_);
  if (key == kLatest) {
    if (order_.empty()) return not_found("there is no run yet");
    return runs_.find(order_.rbegin()->second)->second.row;
  }
  const auto first = runs_.lower_bound(key);
  if (first == runs_.end() || !first->first.starts_with(key)) {
    return not_found(fmt::format("there is no run '{}'", key));
  }
  const auto second = std::next(first);
  if (first->first != key && second != runs_.end() && second->first.starts_with(key)) {
    return invalid_argument(fmt::format("several runs begin with '{}': {} and {}", key, first->first, second->first));
  }
  return first->second.row;
}

// A position is the id of the last run shown.
Result<RunPage> MemoryJournal::runs(const RunFilter& filter, std::size_t limit, std::string_view after) const {
  const std::lock_guard lock(mutex_);
  auto end = order_.end();
  if (!after.empty()) {
    const auto shown = runs_.find(after);
    if (shown == runs_.end()) return invalid_argument(fmt::format("'{}' is not a position in a list of runs", after));
    end = order_.find(place(shown->second));
  }
  RunPage page;
  for (auto at = std::make_reverse_iterator(end); at != order_.rend(); ++at) {
    const RunRow& row = runs_.find(at->second)->second.row;
    if (!matches(row, filter)) continue;
    if (page.rows.size() == limit) {
      if (limit > 0) page.next = page.rows.back().id;
      break;
    }
    page.rows.push_back(row);
  }
  return page;
}

Result<std::vector<EventBatch>> MemoryJournal::events(std::string_view run, std::uint64_t from_seq,
                                                      std::size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  const auto known = runs_.find(run);
  if (known == runs_.end()) return not_found(fmt::format("there is no run '{}'", run));
  std::vector<EventBatch> batches;
  std::size_t bytes = 0;
  for (const EventBatch& batch : known->second.batches) {
    if (batch.last_seq < from_seq) continue;
    if (!batches.empty() && bytes + batch.events.size() > bytes_max) break;
    bytes += batch.events.size();
    batches.push_back(batch);
  }
  return batches;
}

Result<std::shared_ptr<const std::string>> MemoryJournal::blob(const Digest& digest) const {
  const std::lock_guard lock(mutex_);
  const auto known = blobs_.find(digest);
  if (known == blobs_.end()) return not_found(fmt::format("there is no blob {}", to_hex(view(digest))));
  return known->second;
}

Result<WorkflowRow> MemoryJournal::workflow_by_hash(std::string_view hash) const {
  const std::lock_guard lock(mutex_);
  const auto known = workflows_.find(hash);
  if (known == workflows_.end()) return not_found(fmt::format("there is no workflow of the hash '{}'", hash));
  return known->second;
}

Result<WorkflowRow> MemoryJournal::workflow_by_name(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  const auto hashes = versions_.find(name);
  if (hashes == versions_.end()) return not_found(fmt::format("there is no workflow '{}'", name));
  return workflows_.find(hashes->second.back())->second;
}

Result<std::vector<WorkflowRow>> MemoryJournal::workflows(std::size_t limit, std::string_view after_name) const {
  const std::lock_guard lock(mutex_);
  std::vector<WorkflowRow> rows;
  for (auto at = versions_.upper_bound(after_name); at != versions_.end() && rows.size() < limit; ++at) {
    rows.push_back(workflows_.find(at->second.back())->second);
    rows.back().bundle.clear();
  }
  return rows;
}

Result<std::vector<ScheduleRow>> MemoryJournal::schedules() const {
  const std::lock_guard lock(mutex_);
  std::vector<ScheduleRow> rows;
  for (const auto& [name, state] : schedules_) rows.push_back({name, state, 0});
  return rows;
}

}  // namespace

bool may_heal(const Error& error) {
  switch (error.code) {
    case Code::kAborted:
    case Code::kAlreadyExists:
    case Code::kInvalidArgument: return false;
    default: return std::ranges::none_of(error.details, [](const Detail& detail) { return detail.key == "history"; });
  }
}

std::unique_ptr<Journal> make_memory_journal() { return std::make_unique<MemoryJournal>(); }

}  // namespace weft::memory
