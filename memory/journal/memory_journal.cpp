#include "memory/journal/memory_journal.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace weft::memory {

Result<std::vector<Claim>> MemoryJournal::claim(std::span<const std::uint32_t> wanted) {
  WEFT_RETURN_IF_ERROR(check_partitions(wanted));
  const std::set<std::uint32_t> partitions(wanted.begin(), wanted.end());
  const std::lock_guard lock(mutex_);
  ++last_epoch_;
  std::vector<Claim> claims;
  for (const std::uint32_t partition : partitions) {
    epochs_[partition] = last_epoch_;
    claims.push_back({partition, last_epoch_});
  }
  return claims;
}

bool MemoryJournal::may_send(std::uint32_t partition, Epoch epoch) const {
  const std::lock_guard lock(mutex_);
  return is_current(partition, epoch);
}

void MemoryJournal::append(Append append, OnDurable on_durable) {
  std::unique_lock lock(mutex_);
  auto answer = apply(append);
  answer_in_order(lock, [on_durable = std::move(on_durable), answer = std::move(answer)]() mutable {
    on_durable(std::move(answer));
  });
}

void MemoryJournal::put_workflow(WorkflowRow row, std::move_only_function<void(Result<WorkflowRow>)> done) {
  std::unique_lock lock(mutex_);
  answer_in_order(lock,
                  [done = std::move(done), stored = apply(std::move(row))]() mutable { done(std::move(stored)); });
}

void MemoryJournal::put_schedule(ScheduleRow row, std::move_only_function<void(Status)> done) {
  std::unique_lock lock(mutex_);
  Status put;
  if (!is_current(0, row.epoch)) {
    put = aborted(fmt::format("schedules have another owner than that of epoch {}", row.epoch));
  } else if (row.state.empty()) {
    schedules_.erase(row.name);
  } else {
    schedules_[row.name] = std::move(row.state);
  }
  answer_in_order(lock, [done = std::move(done), put = std::move(put)]() mutable { done(std::move(put)); });
}

void MemoryJournal::drain() {
  std::unique_lock lock(mutex_);
  drained_.wait(lock, [this] { return answers_.empty() && !answering_; });
}

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
  WEFT_RETURN_IF_ERROR(check_rows(append.rows));
  if (!is_current(append.partition, append.epoch)) {
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
  for (const Blob& blob : append.blobs) {
    blobs_.emplace(blob.digest, blob.bytes);
    blob_uses_.emplace(append.run, blob.digest);
  }
  for (const Digest& digest : append.shared) blob_uses_.emplace(append.run, digest);
  StoredRun& run = runs_.at(append.run);
  WEFT_CHECK(run.row.partition == append.partition, "a run belongs to one partition for ever");
  for (EventBatch& batch : append.before) run.batches.push_back(std::move(batch));
  run.batches.push_back({append.first_seq, append.last_seq, std::move(append.events)});
  for (RowChange& change : append.rows) {
    RowKey key(std::move(change.kind), std::move(change.key));
    if (change.value) {
      rows_.insert_or_assign(std::move(key), *std::move(change.value));
    } else {
      rows_.erase(key);
    }
  }
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

std::unique_ptr<Journal> make_memory_journal() { return std::make_unique<MemoryJournal>(); }

}  // namespace weft::memory
