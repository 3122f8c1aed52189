// What is read from the journal in memory.
#include <fmt/format.h>

#include <algorithm>

#include "memory/journal/memory_journal.h"

namespace weft::memory {
namespace {

bool matches(const RunRow& row, const RunFilter& filter) {
  if (!filter.workflow.empty() && row.workflow != filter.workflow) return false;
  if (!filter.statuses.empty() && std::ranges::find(filter.statuses, row.status) == filter.statuses.end()) return false;
  if (filter.since && row.submitted_at < *filter.since) return false;
  if (filter.ended && row.ended != *filter.ended) return false;
  return std::ranges::all_of(
      filter.labels, [&](const auto& label) { return std::ranges::find(row.labels, label) != row.labels.end(); });
}

}  // namespace

Result<std::optional<Snapshot>> MemoryJournal::snapshot(std::string_view run) const {
  const std::lock_guard lock(mutex_);
  const auto known = runs_.find(run);
  return known == runs_.end() ? std::nullopt : known->second.snapshot;
}

Result<std::vector<RunRow>> MemoryJournal::unfinished(std::span<const std::uint32_t> partitions) const {
  const std::lock_guard lock(mutex_);
  std::vector<RunRow> rows;
  for (const auto& [at, id] : order_) {
    const RunRow& row = runs_.find(id)->second.row;
    if (!row.ended && std::ranges::find(partitions, row.partition) != partitions.end()) rows.push_back(row);
  }
  return rows;
}

Result<RunRow> MemoryJournal::run(std::string_view key) const {
  if (key.empty()) return invalid_argument("a run is named by its id, a prefix of it, or @latest");
  const std::lock_guard lock(mutex_);
  if (key == kLatestRun) {
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

Result<BlobPiece> MemoryJournal::blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                                            std::size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  const auto known = blobs_.find(digest);
  if (known == blobs_.end() || !blob_uses_.contains(std::pair(std::string(run), digest)))
    return not_found(fmt::format("the run {} has no content {}", run, to_hex(view(digest))));
  BlobPiece piece{{}, known->second->size()};
  if (offset < piece.size) piece.bytes = known->second->substr(offset, bytes_max);
  return piece;
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

Result<std::optional<std::string>> MemoryJournal::row(std::string_view kind, std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto known = rows_.find(RowKey(kind, key));
  return known == rows_.end() ? std::nullopt : std::optional(known->second);
}

Result<RowPage> MemoryJournal::rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                                    std::string_view after) const {
  const std::lock_guard lock(mutex_);
  RowPage page;
  std::size_t bytes = 0;
  const auto is_wanted = [&](const auto& at) {
    return at != rows_.end() && at->first.first == kind && at->first.second.starts_with(key_prefix);
  };
  auto at = after < key_prefix ? rows_.lower_bound(RowKey(kind, key_prefix)) : rows_.upper_bound(RowKey(kind, after));
  for (; is_wanted(at); ++at) {
    if (page.rows.size() >= std::min(limit, kRowsPageMax) || bytes >= kRowsPageBytesMax) {
      if (!page.rows.empty()) page.next = page.rows.back().key;
      break;
    }
    page.rows.push_back({at->first.first, at->first.second, at->second});
    bytes += at->first.second.size() + at->second.size();
  }
  return page;
}

}  // namespace weft::memory
