#include "runtime/engine/shard/append_batch.h"

#include <algorithm>

#include "runtime/history/event_codec.h"

namespace weft::engine {
namespace {

constexpr std::size_t kSnapshotBytesMax = std::size_t{32} << 20;  // A run with more of it has none.
constexpr std::size_t kTailFactor = 4;  // So many times a snapshot, events come before the next.

}  // namespace

void AppendBatch::add(const v1::Event& event) {
  if (batch_.empty()) batch_first_ = event.seq();
  history::append_event(event, batch_);
}

void AppendBatch::begin_another_if_full() {
  if (batch_.size() < kBatchBytesMax) return;
  batches_before_.push_back({batch_first_, loaded_.run->last_seq(), std::exchange(batch_, {})});
}

void AppendBatch::share(std::vector<Digest> blobs) { shared_blobs_ = std::move(blobs); }

memory::Append AppendBatch::take(const std::function<std::string()>& snapshot) {
  memory::Append append;
  append.run = loaded_.id;
  append.partition = loaded_.partition;
  append.epoch = world_.claims.epoch(loaded_.partition);
  append.first_seq = batch_first_;
  append.last_seq = loaded_.run->last_seq();
  append.events = std::exchange(batch_, {});
  append.before = std::exchange(batches_before_, {});
  append.shared = std::exchange(shared_blobs_, {});
  append.blobs = loaded_.contents.take_kept();
  if (!created_ || loaded_.run->ended() || std::exchange(reopened_, false)) {
    (created_ ? append.update : append.create) = row();
    created_ = true;
  }
  if (!loaded_.run->ended()) consider_snapshot(append, snapshot);
  return append;
}

memory::RunRow AppendBatch::row() const {
  const v1::Run& summary = loaded_.summary;
  memory::RunRow row;
  row.id = loaded_.id;
  row.partition = loaded_.partition;
  row.workflow = summary.workflow();
  row.workflow_hash = summary.workflow_hash();
  row.status = summary.status();
  row.ended = loaded_.run->ended();
  row.submitted_at = Time(Duration(summary.submitted_at_us()));
  if (row.ended) row.ended_at = Time(Duration(summary.ended_at_us()));
  row.last_seq = summary.last_seq();
  for (const v1::Label& label : summary.labels()) row.labels.emplace_back(label.key(), label.value());
  row.request_id = summary.request_id();
  row.request_digest = request_digest_;
  row.summary = summary.SerializeAsString();
  return row;
}

bool AppendBatch::wants_snapshot(std::size_t bytes) const {
  return unsaved_bytes_ + bytes >= std::max(world_.limits.snapshot_after_bytes, kTailFactor * snapshot_bytes_);
}

bool AppendBatch::wants_long_snapshot() const {
  const std::size_t bytes = batch_.size();
  if (batch_.empty() || loaded_.run->ended() || !wants_snapshot(bytes)) return false;
  return std::max(unsaved_bytes_ + bytes, snapshot_bytes_) > kLoopSnapshotMax;
}

// With every append that may carry one.
void AppendBatch::consider_snapshot(memory::Append& append, const std::function<std::string()>& snapshot) {
  unsaved_bytes_ += append.events.size();
  for (const memory::EventBatch& batch : append.before) unsaved_bytes_ += batch.events.size();
  if (!wants_snapshot(0)) return;
  const bool large = std::max(unsaved_bytes_, snapshot_bytes_) > kLoopSnapshotMax;
  append.snapshot = large ? std::exchange(snapshot_made_, {}) : snapshot();
  if (append.snapshot.empty()) return;
  snapshot_bytes_ = append.snapshot.size();
  unsaved_bytes_ = 0;
  if (append.snapshot.size() > kSnapshotBytesMax) append.snapshot.clear();  // Forming it again is as dear: not soon.
}

}  // namespace weft::engine
