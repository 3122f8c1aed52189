// Reads an SQLite store through a small pool of read-only connections.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "memory/journal/journal.h"
#include "memory/journal/read_pool.h"

namespace weft::memory {

// Thread-safe: a call takes a connection from the pool, or waits for one.
class SqliteReader final : public Reader {
 public:
  // `path` is a store that exists, as store_file.h gives it.
  static Result<std::unique_ptr<SqliteReader>> open(const std::string& path);

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
  // As those of Journal.
  Result<std::vector<RunRow>> unfinished(std::span<const std::uint32_t> partitions) const;
  Result<std::optional<Snapshot>> snapshot(std::string_view run) const;
  Result<Epoch> epoch(std::uint32_t partition) const;  // Of its last claim; 0: it was never claimed.
  // As that of Maintenance.
  Result<RunPage> ended(Time before, std::string_view workflow, std::size_t limit, std::string_view after) const;

 private:
  SqliteReader(const std::string& path, std::unique_ptr<ReadConnection> first) : pool_(path, std::move(first)) {}

  const ReadPool pool_;
};

}  // namespace weft::memory
