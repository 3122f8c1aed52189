// The journal in memory: no thread of its own, so that a test decides when things happen.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory/journal/journal.h"

namespace weft::memory {

// Invariants:
//  1. append() calls back before it returns, on the calling thread; within a callback, or while another thread calls
//     back, it returns at once, and its answer comes right after those before it.
//  2. A claim gives the wanted partitions and no others, so that several owners may share one journal.
// Thread-safe.
class MemoryJournal final : public Journal {
 public:
  Result<std::vector<Claim>> claim(std::span<const std::uint32_t> wanted) override;
  bool may_send(std::uint32_t partition, Epoch epoch) const override;
  void append(Append append, OnDurable on_durable) override;
  void put_workflow(WorkflowRow row, std::move_only_function<void(Result<WorkflowRow>)> done) override;
  void put_schedule(ScheduleRow row, std::move_only_function<void(Status)> done) override;
  void drain() override;

  Result<std::optional<Snapshot>> snapshot(std::string_view run) const override;
  Result<std::vector<RunRow>> unfinished(std::span<const std::uint32_t> partitions) const override;
  Result<RunRow> run(std::string_view key) const override;
  Result<RunPage> runs(const RunFilter& filter, std::size_t limit, std::string_view after) const override;
  Result<std::vector<EventBatch>> events(std::string_view run, std::uint64_t from_seq,
                                         std::size_t bytes_max) const override;
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override;
  Result<BlobPiece> blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                               std::size_t bytes_max) const override;
  Result<WorkflowRow> workflow_by_hash(std::string_view hash) const override;
  Result<WorkflowRow> workflow_by_name(std::string_view name) const override;
  Result<std::vector<WorkflowRow>> workflows(std::size_t limit, std::string_view after_name) const override;
  Result<std::vector<ScheduleRow>> schedules() const override;
  Result<std::optional<std::string>> row(std::string_view kind, std::string_view key) const override;
  Result<RowPage> rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                       std::string_view after) const override;

 private:
  struct StoredRun {
    RunRow row;
    std::size_t number = 0;  // Of its creation, from 1.
    std::vector<EventBatch> batches;
    std::optional<Snapshot> snapshot;
  };
  using Place = std::pair<Time, std::size_t>;  // What a list is sorted by: newest first.
  using Answer = std::move_only_function<void()>;
  using RowKey = std::pair<std::string, std::string>;  // Kind and key.

  // REQUIRES: mutex_ is held.
  bool is_current(std::uint32_t partition, Epoch epoch) const {
    return partition < kPartitions && epoch != 0 && epochs_[partition] == epoch;
  }

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
  Epoch last_epoch_ = 0;                                   // Of any partition.
  std::array<Epoch, kPartitions> epochs_{};                // 0: never claimed.
  std::map<std::string, StoredRun, std::less<>> runs_;     // By id.
  std::map<Place, std::string> order_;                     // Ids, oldest first.
  std::unordered_map<std::string, std::string> requests_;  // Ids of runs.
  std::map<Digest, std::shared_ptr<const std::string>> blobs_;
  std::set<std::pair<std::string, Digest>, std::less<>> blob_uses_;  // Which run was written with which blob.
  std::map<std::string, WorkflowRow, std::less<>> workflows_;        // By hash.
  std::map<std::string, std::string> schedules_;
  std::map<RowKey, std::string> rows_;  // Values. No run is removed from here, so how long they live is not kept.
  std::map<std::string, std::vector<std::string>, std::less<>> versions_;  // By name: hashes, the last applied last.
};

}  // namespace weft::memory
