#include "disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "verdict.h"

namespace weft::simulation {

Disk::Disk(Kind kind, Random& random) : random_(random) {
  if (kind == Kind::kMemory) {
    store_ = memory::make_memory_journal();
    return;
  }
  auto store = std::make_unique<SqliteStore>(random);
  sqlite_ = store.get();
  store_ = std::move(store);
}

void Disk::fail_soon() {
  if (sqlite_ != nullptr) sqlite_->vfs().fail_after(1 + random_.below(12));
}

void Disk::deny_a_sync() {
  if (sqlite_ != nullptr)
    sqlite_->vfs().next_sync(random_.one_in(2) ? PowerVfs::Sync::kDoneAndDenied : PowerVfs::Sync::kNotDone);
}

void Disk::lose_power(Books& books) {
  if (sqlite_ == nullptr) return;
  sqlite_->lose_power();
  const auto rows = store_->runs({}, 1'000, "");
  if (!rows) broken(Promise::kAcknowledged, "runs cannot be read after the power failed: " + rows.error().message);
  for (const memory::RunRow& row : rows->rows) {
    const std::uint64_t known = last_seq_[row.id];
    if (row.last_seq <= known) continue;
    // A commit that nobody was told of.
    const auto batches = store_->events(row.id, known + 1, SIZE_MAX);
    if (!batches) broken(Promise::kAcknowledged, batches.error().message);
    for (const memory::EventBatch& batch : *batches) {
      memory::Append append;
      append.run = row.id;
      append.first_seq = batch.first_seq;
      append.last_seq = batch.last_seq;
      append.events = batch.events;
      append.epoch = epoch_;
      books.written(append);
    }
    last_seq_[row.id] = row.last_seq;
  }
  for (const auto& [run, last] : last_seq_) {
    const auto row = store_->run(run);
    if (last > 0 && (!row || row->last_seq < last))
      broken(Promise::kAcknowledged, fmt::format("run {} had {} durable events before the power failed, and has {}",
                                                 run, last, row ? row->last_seq : 0));
  }
}

Result<std::vector<memory::Claim>> Disk::claim(std::span<const std::uint32_t> wanted) {
  fail_no_more();  // A life is numbered by its claim, so there is none that nobody was told of.
  WEFT_TRY(std::vector<memory::Claim> claims, store_->claim(wanted));
  const memory::Epoch claimed = claims.front().epoch;
  for (const memory::Claim& claim : claims) {
    if (claim.epoch <= epoch_ || claim.epoch != claimed)
      broken(Promise::kFence, fmt::format("partition {} is given under epoch {}, and others under {} and {} before it",
                                          claim.partition, claim.epoch, claimed, epoch_));
  }
  epoch_ = claimed;
  return claims;
}

Result<memory::Appended> Disk::write(const memory::Append& append, Books& books) {
  const std::uint64_t before = last_seq_[append.run];
  Result<memory::Appended> appended = memory::Appended{};
  store_->append(append, [&](Result<memory::Appended> answer) { appended = std::move(answer); });
  const auto row = store_->run(append.run);
  const std::uint64_t now = row ? row->last_seq : 0;
  if (now != before) {
    if (append.epoch != epoch_)
      broken(Promise::kFence,
             fmt::format("an append of epoch {} is written while the store is claimed at {}", append.epoch, epoch_));
    if (now != append.last_seq || append.first_seq != before + 1)
      broken(Promise::kFold, fmt::format("run {} had {} events, and after those from {} to {} has {}", append.run,
                                         before, append.first_seq, append.last_seq, now));
    last_seq_[append.run] = now;
    books.written(append);
    return appended;
  }
  if (appended || append.epoch != epoch_ || failed()) return appended;
  const auto batches = store_->events(append.run, append.first_seq, 1);
  if (batches && !batches->empty() && batches->front().first_seq == append.first_seq &&
      batches->front().events == append.events) {
    broken(Promise::kCommitted, fmt::format("events {} to {} of run {} are there, and the append is told: {}",
                                            append.first_seq, append.last_seq, append.run, appended.error().message));
  }
  return appended;
}

Status DiskJournal::may_read() const {
  if (faults_.unread == 0 || !schedule_.random.percent(faults_.unread)) return {};
  return data_loss(std::string(kUnreadWords));
}

void DiskJournal::append(memory::Append append, memory::OnDurable on_durable) {
  queue_.push_back({std::move(append), std::move(on_durable), {}, {}, {}, {}});
  begin();
}

void DiskJournal::put_workflow(memory::WorkflowRow row,
                               std::move_only_function<void(Result<memory::WorkflowRow>)> done) {
  queue_.push_back({{}, {}, std::move(row), std::move(done), {}, {}});
  begin();
}

void DiskJournal::put_schedule(memory::ScheduleRow row, std::move_only_function<void(Status)> done) {
  queue_.push_back({{}, {}, {}, {}, std::move(row), std::move(done)});
  begin();
}

void DiskJournal::begin() {
  if (busy_ || queue_.empty()) return;
  busy_ = true;
  const bool slow = schedule_.random.percent(faults_.slow);
  schedule_.after(owner_, schedule_.between(30, slow ? 4'000'000 : 3'000),
                  [this, batch = std::exchange(queue_, {})]() mutable { commit(std::move(batch)); });
}

void DiskJournal::commit(std::vector<Entry> batch) {
  if (!power_.holds()) {
    // Whoever waits for it is told when the server ends, and not before.
    std::ranges::move(batch, std::back_inserter(queue_));
    return;
  }
  const bool twice = schedule_.random.percent(faults_.looked_failed);
  for (Entry& entry : batch) {
    if (entry.workflow) {
      Result<memory::WorkflowRow> put = *entry.workflow;
      disk_.journal().put_workflow(*entry.workflow,
                                   [&](Result<memory::WorkflowRow> answer) { put = std::move(answer); });
      answers_.push_back([done = std::move(entry.done), put = std::move(put)]() mutable { done(std::move(put)); });
      continue;
    }
    if (entry.schedule) {
      Status put = unavailable("the disk is full");
      if (!schedule_.random.percent(faults_.refused))
        disk_.journal().put_schedule(*entry.schedule, [&](Status answer) { put = std::move(answer); });
      answers_.push_back([done = std::move(entry.stored), put = std::move(put)]() mutable { done(std::move(put)); });
      continue;
    }
    answers_.push_back([on_durable = std::move(entry.on_durable), appended = outcome(entry.append, twice)]() mutable {
      on_durable(std::move(appended));
    });
  }
  power_.on_commit();
  schedule_.after(owner_, schedule_.between(1, 300), [this] { answer_next(); });
}

Result<memory::Appended> DiskJournal::outcome(const memory::Append& append, bool twice) {
  // What follows a failed append fails with it, until that one is handed in again; or until its run is taken up anew,
  // where it was written all the same.
  if (const auto failed = failed_.find(append.run); failed != failed_.end()) {
    const auto row = disk_.store().run(append.run);
    const bool follows = row && row->ended && row->last_seq + 1 == append.first_seq;
    if (append.first_seq > failed->second.first_seq && !follows) return failed->second.error;
    failed_.erase(failed);
  }
  if (schedule_.random.percent(faults_.refused)) {
    const Error error = unavailable("the disk is full");
    failed_.emplace(append.run, Failed{append.first_seq, error});
    return error;
  }
  auto appended = disk_.write(append, books_);
  if (twice) appended = disk_.write(append, books_);
  if (schedule_.random.percent(faults_.unsure)) {
    const Error error = unavailable("the disk does not say whether it is written");
    failed_.emplace(append.run, Failed{append.first_seq, error});
    return error;
  }
  return appended;
}

void DiskJournal::answer_next() {
  if (answers_.empty()) {
    busy_ = false;
    return begin();
  }
  Task next = std::move(answers_.front());
  answers_.pop_front();
  next();
  schedule_.after(owner_, schedule_.between(0, 20), [this] { answer_next(); });
}

}  // namespace weft::simulation
