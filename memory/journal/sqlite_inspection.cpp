#include <fmt/format.h>

#include <algorithm>

#include "memory/journal/inspection.h"
#include "memory/journal/store_file.h"

namespace weft::memory {
namespace {

constexpr std::int64_t kFormatOfRows = 5;

class SqliteInspection final : public Inspection {
 public:
  static Result<std::unique_ptr<Inspection>> open(const std::string& path) {
    WEFT_TRY(const std::string file, find_store(path));
    WEFT_TRY(Connection connection, open_store(file, Connection::Mode::kRead));
    // One transaction, so that all is read as of one moment.
    WEFT_RETURN_IF_ERROR(connection.execute("BEGIN; SELECT count(*) FROM sqlite_schema;"));
    WEFT_TRY(const std::int64_t format, connection.integer("PRAGMA user_version"));
    std::int64_t old_runs = INT64_MAX;
    if (format >= 2) {
      WEFT_TRY(old_runs,
               connection.integer("SELECT coalesce((SELECT value FROM facts WHERE name = 'runs_without_uses'), 0)"));
    }
    return std::unique_ptr<Inspection>(new SqliteInspection(std::move(connection), format, old_runs));
  }

  Result<std::vector<std::string>> structure() override {
    WEFT_TRY(const Statement statement, connection_.prepare("PRAGMA integrity_check(100)"));
    Use use(statement);
    std::vector<std::string> faults;
    for (;;) {
      WEFT_TRY(const bool row, use.step());
      if (!row) return faults;
      if (use.bytes_at(0) != "ok") faults.push_back(use.string_at(0));
    }
  }

  Result<std::vector<Run>> runs(std::int64_t after_key, std::size_t limit) override {
    WEFT_TRY(
        const Statement statement,
        connection_.prepare("SELECT key, id, workflow, workflow_hash, status, ended, summary FROM runs WHERE key > ? "
                            "ORDER BY key LIMIT ?"));
    Use use(statement);
    use.integer(after_key).unsigned_integer(limit);
    std::vector<Run> found;
    for (;;) {
      WEFT_TRY(const bool more, use.step());
      if (!more) return found;
      Run& run = found.emplace_back();
      run.key = use.integer_at(0);
      run.row.id = use.string_at(1);
      run.row.workflow = use.string_at(2);
      run.row.workflow_hash = use.string_at(3);
      run.row.status = static_cast<int>(use.integer_at(4));
      run.row.ended = use.integer_at(5) != 0;
      run.row.summary = use.string_at(6);
    }
  }

  Status batches(std::int64_t run_key, const std::function<void(EventBatch batch)>& on_batch) override {
    WEFT_TRY(const Statement statement,
             connection_.prepare("SELECT seq_first, seq_last, events FROM batches WHERE run = ? ORDER BY seq_first"));
    Use use(statement);
    use.integer(run_key);
    for (;;) {
      WEFT_TRY(const bool more, use.step());
      if (!more) return {};
      on_batch({use.unsigned_at(0), use.unsigned_at(1), use.string_at(2)});
    }
  }

  Status blobs(const std::function<void(const Digest& digest, std::string_view bytes)>& on_blob) override {
    WEFT_TRY(const Statement statement, connection_.prepare("SELECT digest, bytes FROM blobs"));
    Use use(statement);
    for (;;) {
      WEFT_TRY(const bool more, use.step());
      if (!more) return {};
      Digest digest{};
      const std::string_view name = use.bytes_at(0);
      if (name.size() != digest.size()) return data_loss("a blob is stored under something that is no SHA-256");
      std::ranges::copy(name, digest.begin());
      on_blob(digest, use.bytes_at(1));
    }
  }

  Result<bool> keeps(std::int64_t run_key, const Digest& digest) override {
    if (run_key <= old_runs_) return true;
    WEFT_TRY(const Statement statement,
             connection_.prepare(
                 "SELECT 1 FROM blob_uses u JOIN blobs b ON b.key = u.blob WHERE b.digest = ? AND u.run = ?"));
    Use use(statement);
    return use.blob(view(digest)).integer(run_key).step();
  }

  Result<std::uint64_t> orphans() override {
    const std::string removed = format_ >= 2 ? " AND run NOT IN (SELECT run FROM removals)" : "";
    WEFT_TRY(const std::int64_t count,
             connection_.integer("SELECT count(*) FROM batches WHERE run NOT IN (SELECT key FROM runs)" + removed));
    return static_cast<std::uint64_t>(count);
  }

  Result<RowFindings> rows_beside() override {
    RowFindings found;
    if (format_ < kFormatOfRows) return found;
    const auto count = [&](const std::string& condition) {
      return connection_.integer("SELECT count(*) FROM rows_beside WHERE " + condition);
    };
    WEFT_TRY(const std::int64_t orphans,
             count("run IS NOT NULL AND run NOT IN (SELECT key FROM runs) AND run NOT IN (SELECT run FROM removals)"));
    WEFT_TRY(const std::int64_t beyond,
             count(fmt::format("kind = '' OR kind GLOB '*[^a-z0-9_.-]*' OR length(CAST(kind AS BLOB)) > {} OR "
                               "length(key) NOT BETWEEN 1 AND {} OR length(value) > {}",
                               kRowKindBytesMax, kRowKeyBytesMax, kRowValueBytesMax)));
    found.orphans = static_cast<std::uint64_t>(orphans);
    found.beyond = static_cast<std::uint64_t>(beyond);
    return found;
  }

  Result<bool> has_workflow(const std::string& hash) override {
    WEFT_TRY(const Statement statement, connection_.prepare("SELECT 1 FROM workflows WHERE hash = ?"));
    Use use(statement);
    return use.text(hash).step();
  }

 private:
  SqliteInspection(Connection connection, std::int64_t format, std::int64_t old_runs)
      : connection_(std::move(connection)), format_(format), old_runs_(old_runs) {}

  const Connection connection_;
  const std::int64_t format_;
  const std::int64_t old_runs_;  // Keys up to this one: of runs that keep all blobs.
};

}  // namespace

Result<std::unique_ptr<Inspection>> Inspection::open(const std::string& path) { return SqliteInspection::open(path); }

}  // namespace weft::memory
