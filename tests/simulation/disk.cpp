#include "disk.h"

#include <fmt/format.h>

#include <algorithm>

#include "verdict.h"

namespace weft::simulation {

Result<memory::Epoch> Disk::claim() {
  WEFT_TRY(epoch_, store_->claim_all());
  return epoch_;
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
    ++writes_;
    books.written(append);
    return appended;
  }
  if (appended || append.epoch != epoch_) return appended;
  const auto batches = store_->events(append.run, append.first_seq, 1);
  if (batches && !batches->empty() && batches->front().first_seq == append.first_seq &&
      batches->front().events == append.events) {
    broken(Promise::kCommitted, fmt::format("events {} to {} of run {} are there, and the append is told: {}",
                                            append.first_seq, append.last_seq, append.run, appended.error().message));
  }
  return appended;
}

void DiskJournal::append(memory::Append append, memory::OnDurable on_durable) {
  queue_.push_back({std::move(append), std::move(on_durable), {}, {}});
  begin();
}

void DiskJournal::put_workflow(memory::WorkflowRow row,
                               std::move_only_function<void(Result<memory::WorkflowRow>)> done) {
  queue_.push_back({{}, {}, std::move(row), std::move(done)});
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
  if (!power_.holds()) return;
  const bool twice = schedule_.random.percent(faults_.looked_failed);
  for (Entry& entry : batch) {
    if (entry.workflow) {
      Result<memory::WorkflowRow> put = *entry.workflow;
      disk_.journal().put_workflow(*entry.workflow,
                                   [&](Result<memory::WorkflowRow> answer) { put = std::move(answer); });
      answers_.push_back([done = std::move(entry.done), put = std::move(put)]() mutable { done(std::move(put)); });
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
  if (const auto failed = failed_.find(append.run); failed != failed_.end()) return failed->second;
  if (schedule_.random.percent(faults_.refused)) {
    const Error error = unavailable("the disk is full");
    failed_.emplace(append.run, error);
    return error;
  }
  auto appended = disk_.write(append, books_);
  if (twice) appended = disk_.write(append, books_);
  if (schedule_.random.percent(faults_.unsure)) {
    const Error error = unavailable("the disk does not say whether it is written");
    failed_.emplace(append.run, error);
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
