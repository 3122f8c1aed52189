#include "memory/journal/sqlite_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "memory/journal/sqlite_store.h"
#include "memory/journal/store_file.h"

namespace weft::memory {
namespace {

constexpr std::size_t kPageRowsMax = 10'000;

// The last sequence number is that of the last batch, so an append need not touch its run's row.
constexpr const char* kSelectRuns =
    "SELECT r.key, r.id, r.partition, r.workflow, r.workflow_hash, r.status, r.ended, r.submitted_at, r.ended_at, "
    "r.request_id, r.request_digest, r.summary, "
    "(SELECT b.seq_last FROM batches b WHERE b.run = r.key ORDER BY b.seq_first DESC LIMIT 1) FROM runs r ";
constexpr const char* kNewestFirst = " ORDER BY r.submitted_at DESC, r.key DESC LIMIT ?";
Time time_of(std::int64_t microseconds) { return Time(Duration(microseconds)); }

// A row with what tells its place in a list.
struct Listed {
  std::int64_t key = 0;
  RunRow row;
};

Status read_labels(ReadConnection& connection, Listed& run) {
  WEFT_TRY(const Statement* statement,
           connection.statement("SELECT name, value FROM labels WHERE run = ? ORDER BY position"));
  Use use(*statement);
  use.integer(run.key);
  for (;;) {
    WEFT_TRY(const bool more, use.step());
    if (!more) return {};
    run.row.labels.emplace_back(use.string_at(0), use.string_at(1));
  }
}

Listed read_run(const Use& use) {
  Listed run;
  run.key = use.integer_at(0);
  run.row.id = use.string_at(1);
  run.row.partition = static_cast<std::uint32_t>(use.integer_at(2));
  run.row.workflow = use.string_at(3);
  run.row.workflow_hash = use.string_at(4);
  run.row.status = static_cast<int>(use.integer_at(5));
  run.row.ended = use.integer_at(6) != 0;
  run.row.submitted_at = time_of(use.integer_at(7));
  if (!use.null_at(8)) run.row.ended_at = time_of(use.integer_at(8));
  run.row.request_id = use.string_at(9);
  run.row.request_digest = use.string_at(10);
  run.row.summary = use.string_at(11);
  run.row.last_seq = use.unsigned_at(12);
  return run;
}

// All rows of a query over kSelectRuns whose parameters are bound. The labels are read after it has ended.
Result<std::vector<Listed>> read_runs(ReadConnection& connection, Use& use) {
  std::vector<Listed> runs;
  for (;;) {
    WEFT_TRY(const bool more, use.step());
    if (!more) break;
    runs.push_back(read_run(use));
  }
  for (Listed& run : runs) WEFT_RETURN_IF_ERROR(read_labels(connection, run));
  return runs;
}

// A place in a list of runs: what was submitted then and has this key. Written "TIME.KEY".
struct Position {
  std::int64_t submitted_at = 0;
  std::int64_t key = 0;
};

std::string to_text(const Position& position) { return fmt::format("{}.{}", position.submitted_at, position.key); }

Result<Position> parse_position(std::string_view text) {
  Position position;
  const char* const end = text.data() + text.size();
  const auto time = std::from_chars(text.data(), end, position.submitted_at);
  if (time.ec == std::errc() && time.ptr != end && *time.ptr == '.') {
    const auto key = std::from_chars(time.ptr + 1, end, position.key);
    if (key.ec == std::errc() && key.ptr == end) return position;
  }
  return invalid_argument(fmt::format("'{}' is not a position in a list of runs", text));
}

std::string where(const RunFilter& filter, bool positioned) {
  std::string sql = "WHERE 1";
  if (positioned) sql += " AND (r.submitted_at, r.key) < (?, ?)";
  if (filter.since) sql += " AND r.submitted_at >= ?";
  if (!filter.workflow.empty()) sql += " AND r.workflow = ?";
  // A literal, so that the index on unfinished runs serves.
  if (filter.ended) sql += *filter.ended ? " AND r.ended = 1" : " AND r.ended = 0";
  if (filter.statuses.size() == 1) sql += " AND r.status = ?";
  if (filter.statuses.size() > 1) {
    // Of several the index gives no order: walking in the order of time ends at the limit instead.
    sql += " AND +r.status IN (?";
    for (std::size_t i = 1; i < filter.statuses.size(); ++i) sql += ", ?";
    sql += ")";
  }
  for (std::size_t i = 0; i < filter.labels.size(); ++i) {
    sql += " AND r.key IN (SELECT run FROM labels WHERE name = ? AND value = ?)";
  }
  return sql;
}

void bind_filter(Use& use, const RunFilter& filter, const std::optional<Position>& position) {
  if (position) use.integer(position->submitted_at).integer(position->key);
  if (filter.since) use.integer(filter.since->time_since_epoch().count());
  if (!filter.workflow.empty()) use.text(filter.workflow);
  for (const int status : filter.statuses) use.integer(status);
  for (const auto& [name, value] : filter.labels) use.text(name).text(value);
}

}  // namespace

Result<std::unique_ptr<SqliteReader>> SqliteReader::open(const std::string& path) {
  WEFT_TRY(auto first, ReadConnection::open(path));
  return std::unique_ptr<SqliteReader>(new SqliteReader(path, std::move(first)));
}

Result<RunRow> SqliteReader::run(std::string_view key) const {
  if (key.empty()) return invalid_argument("a run is named by its id, a prefix of it, or @latest");
  WEFT_TRY(const auto connection, pool_.lease());
  const bool latest = key == kLatestRun;
  const std::string sql = kSelectRuns + (latest ? "WHERE 1" + std::string(kNewestFirst)
                                                : std::string("WHERE r.id >= ? ORDER BY r.id LIMIT ?"));
  WEFT_TRY(const Statement* statement, (*connection)->statement(sql));
  std::vector<Listed> runs;
  {
    Use use(*statement);
    if (!latest) use.text(key);
    use.integer(latest ? 1 : 2);
    WEFT_TRY(runs, read_runs(**connection, use));
  }
  if (latest) {
    if (runs.empty()) return not_found("there is no run yet");
    return std::move(runs.front().row);
  }
  std::erase_if(runs, [&](const Listed& run) { return !run.row.id.starts_with(key); });
  if (runs.empty()) return not_found(fmt::format("there is no run '{}'", key));
  if (runs.size() > 1 && runs.front().row.id != key) {
    return invalid_argument(
        fmt::format("several runs begin with '{}': {} and {}", key, runs[0].row.id, runs[1].row.id));
  }
  return std::move(runs.front().row);
}

Result<RunPage> SqliteReader::runs(const RunFilter& filter, std::size_t limit, std::string_view after) const {
  limit = std::min(limit, kPageRowsMax);
  std::optional<Position> position;
  if (!after.empty()) {
    WEFT_TRY(position, parse_position(after));
  }
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement,
           (*connection)->statement(kSelectRuns + where(filter, position.has_value()) + kNewestFirst));
  std::vector<Listed> runs;
  {
    Use use(*statement);
    bind_filter(use, filter, position);
    use.unsigned_integer(limit + 1);  // One more tells whether there is a next page.
    WEFT_TRY(runs, read_runs(**connection, use));
  }
  RunPage page;
  if (runs.size() > limit) {
    runs.resize(limit);
    if (!runs.empty()) {
      page.next = to_text(Position{runs.back().row.submitted_at.time_since_epoch().count(), runs.back().key});
    }
  }
  page.rows.reserve(runs.size());
  for (Listed& run : runs) page.rows.push_back(std::move(run.row));
  return page;
}

Result<std::vector<RunRow>> SqliteReader::unfinished(std::span<const std::uint32_t> partitions) const {
  const std::set<std::uint32_t> wanted(partitions.begin(), partitions.end());
  std::string sql = std::string(kSelectRuns) + "WHERE r.ended = 0";
  if (wanted.size() < kPartitions) sql += fmt::format(" AND r.partition IN ({})", fmt::join(wanted, ", "));
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement, (*connection)->statement(sql + " ORDER BY r.submitted_at, r.key"));
  Use use(*statement);
  WEFT_TRY(std::vector<Listed> runs, read_runs(**connection, use));
  std::vector<RunRow> rows;
  rows.reserve(runs.size());
  for (Listed& run : runs) rows.push_back(std::move(run.row));
  return rows;
}

// A run was submitted before it ended, so the index by time of submission bounds the search.
Result<RunPage> SqliteReader::ended(Time before, std::string_view workflow, std::size_t limit,
                                    std::string_view after) const {
  Position position{INT64_MIN, 0};
  if (!after.empty()) {
    WEFT_TRY(position, parse_position(after));
  }
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement,
           (*connection)
               ->statement(std::string(kSelectRuns) +
                           "WHERE r.ended = 1 AND r.submitted_at < ?1 AND r.ended_at < ?1 AND (r.submitted_at, "
                           "r.key) > (?2, ?3) AND (?4 = '' OR r.workflow = ?4) ORDER BY r.submitted_at, r.key "
                           "LIMIT ?5"));
  std::vector<Listed> runs;
  {
    Use use(*statement);
    use.integer(before.time_since_epoch().count()).integer(position.submitted_at).integer(position.key);
    use.text(workflow).unsigned_integer(limit);
    WEFT_TRY(runs, read_runs(**connection, use));
  }
  RunPage page;
  if (runs.size() == limit && limit > 0) {
    page.next = to_text(Position{runs.back().row.submitted_at.time_since_epoch().count(), runs.back().key});
  }
  for (Listed& run : runs) page.rows.push_back(std::move(run.row));
  return page;
}

Result<Epoch> SqliteReader::epoch(std::uint32_t partition) const {
  WEFT_TRY(const auto connection, pool_.lease());
  WEFT_TRY(const Statement* statement, (*connection)->statement("SELECT epoch FROM partitions WHERE id = ?"));
  Use use(*statement);
  WEFT_TRY(const bool claimed, use.integer(partition).step());
  return claimed ? use.unsigned_at(0) : Epoch{0};
}

Result<std::unique_ptr<Reader>> open_sqlite_reader(const std::string& path) {
  WEFT_TRY(const std::string file, find_store(path));
  return SqliteReader::open(file);
}

}  // namespace weft::memory
