// The product's SQLite store in a simulated world: its writer and its reader, each append a transaction of its own, at
// one instant.
#pragma once

#include <memory>
#include <optional>

#include "memory/journal/journal.h"
#include "memory/journal/sqlite_reader.h"
#include "memory/journal/sqlite_writer.h"
#include "power_vfs.h"

namespace weft::simulation {

class SqliteStore final : public memory::Journal {
 public:
  explicit SqliteStore(Random& random);

  // What is not synced is lost; the next use finds what is left.
  void lose_power();
  PowerVfs& vfs() { return vfs_; }

  Result<std::vector<memory::Claim>> claim(std::span<const std::uint32_t> wanted) override;
  // As of now, and not of a moment ago: simulated time stands still while weft works.
  bool may_send(std::uint32_t partition, memory::Epoch epoch) const override {
    const auto current = reader_->epoch(partition);
    return !current || *current == epoch;
  }
  Result<std::optional<memory::Snapshot>> snapshot(std::string_view run) const override {
    return reader_->snapshot(run);
  }
  void append(memory::Append append, memory::OnDurable on_durable) override;
  void put_workflow(memory::WorkflowRow row, std::move_only_function<void(Result<memory::WorkflowRow>)> done) override;
  void put_schedule(memory::ScheduleRow row, std::move_only_function<void(Status)> done) override;
  void drain() override {}
  Result<std::vector<memory::RunRow>> unfinished(std::span<const std::uint32_t> partitions) const override {
    return reader_->unfinished(partitions);
  }
  Result<std::optional<std::string>> row(std::string_view kind, std::string_view key) const override {
    return reader_->row(kind, key);
  }
  Result<memory::RowPage> rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                               std::string_view after) const override {
    return reader_->rows(kind, key_prefix, limit, after);
  }
  Result<memory::RunRow> run(std::string_view key) const override { return reader_->run(key); }
  Result<memory::RunPage> runs(const memory::RunFilter& filter, std::size_t limit,
                               std::string_view after) const override {
    return reader_->runs(filter, limit, after);
  }
  Result<std::vector<memory::EventBatch>> events(std::string_view run, std::uint64_t from,
                                                 std::size_t bytes) const override {
    return reader_->events(run, from, bytes);
  }
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override { return reader_->blob(digest); }
  Result<memory::BlobPiece> blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                                       std::size_t bytes_max) const override {
    return reader_->blob_piece(run, digest, offset, bytes_max);
  }
  Result<memory::WorkflowRow> workflow_by_hash(std::string_view hash) const override {
    return reader_->workflow_by_hash(hash);
  }
  Result<memory::WorkflowRow> workflow_by_name(std::string_view name) const override {
    return reader_->workflow_by_name(name);
  }
  Result<std::vector<memory::WorkflowRow>> workflows(std::size_t limit, std::string_view after) const override {
    return reader_->workflows(limit, after);
  }
  Result<std::vector<memory::ScheduleRow>> schedules() const override { return reader_->schedules(); }

 private:
  void open();
  // The value, or why two attempts failed.
  template <class Value, class Work>
  Result<Value> transaction(Work work);

  Random& random_;
  PowerVfs vfs_;
  std::optional<memory::SqliteWriter> writer_;
  std::unique_ptr<memory::SqliteReader> reader_;
};

}  // namespace weft::simulation
