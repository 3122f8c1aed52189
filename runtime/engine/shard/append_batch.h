// The events of a run that were applied and are not handed to the journal yet, and what goes with them into one append:
// the contents that they name, the run's row, a snapshot.
//
// add(), and what is said at it to belong to the thread that has the run, is called there; all else on the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "memory/journal/journal.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/engine/shard/shard_world.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

class AppendBatch {
 public:
  enum class Row : std::uint8_t { kNew, kStored };  // Whether the store has the run's row already.

  // Both outlive it.
  AppendBatch(const ShardWorld& world, LoadedRun& loaded, Row row)
      : world_(world),
        loaded_(loaded),
        created_(row == Row::kStored),
        unsaved_bytes_(loaded.unsaved_bytes),
        snapshot_bytes_(loaded.snapshot_bytes) {}

  // By the thread that has the run.
  void add(const v1::Event& event);
  bool is_full() const { return batch_.size() > kBatchBytesMax; }
  void begin_another_if_full();           // Of the same append, so that it can have any size.
  void share(std::vector<Digest> blobs);  // Blobs of another run that the next append's events name.
  void keep_snapshot(std::string snapshot) { snapshot_made_ = std::move(snapshot); }  // For the next; empty: none.

  bool empty() const { return batch_.empty(); }
  bool wants_long_snapshot() const;  // The next append would carry one that takes long to form.
  void set_request_digest(std::string digest) { request_digest_ = std::move(digest); }  // Of the submission.
  void reopen() { reopened_ = true; }  // The row says that the run has ended, which is true no more.
  // All of it as one append. `snapshot` forms one that is short; empty where none can be taken now.
  memory::Append take(const std::function<std::string()>& snapshot);
  std::size_t stored_bytes() const { return unsaved_bytes_ + snapshot_bytes_; }  // That a load of the run reads.

 private:
  memory::RunRow row() const;
  bool wants_snapshot(std::size_t bytes) const;
  void consider_snapshot(memory::Append& append, const std::function<std::string()>& snapshot);

  const ShardWorld& world_;
  LoadedRun& loaded_;
  std::string batch_;
  std::uint64_t batch_first_ = 0;
  std::vector<memory::EventBatch> batches_before_;  // Full ones, of the same append.
  std::vector<Digest> shared_blobs_;
  std::string snapshot_made_;
  bool created_ = false;  // The row exists, or is on its way.
  bool reopened_ = false;
  std::string request_digest_;
  std::size_t unsaved_bytes_ = 0;   // Of events since the last snapshot.
  std::size_t snapshot_bytes_ = 0;  // Of that; 0: there is none.
};

}  // namespace weft::engine
