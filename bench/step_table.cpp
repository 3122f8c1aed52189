#include "bench/step_table.h"

#include <fmt/format.h>
#include <sqlite3.h>

namespace weft::bench {

StepTable::~StepTable() {
  sqlite3_finalize(insert_);
  sqlite3_close(database_);
}

Status StepTable::open(const std::string& path, const std::string& sync) {
  if (sqlite3_open(path.c_str(), &database_) != SQLITE_OK) return internal("cannot open " + path);
  const std::string sql = fmt::format(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous={}; "
      "CREATE TABLE step (run TEXT, i INTEGER, out TEXT, PRIMARY KEY (run, i)) WITHOUT ROWID",
      sync);
  if (sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return failed();
  if (sqlite3_prepare_v2(database_, "INSERT INTO step VALUES (?, ?, ?)", -1, &insert_, nullptr) != SQLITE_OK) {
    return failed();
  }
  return {};
}

Status StepTable::keep(const std::string& run, std::int64_t step, const std::string& out) {
  sqlite3_bind_text(insert_, 1, run.data(), static_cast<int>(run.size()), SQLITE_STATIC);
  sqlite3_bind_int64(insert_, 2, step);
  sqlite3_bind_text(insert_, 3, out.data(), static_cast<int>(out.size()), SQLITE_STATIC);
  const bool done = sqlite3_step(insert_) == SQLITE_DONE;
  sqlite3_reset(insert_);
  return done ? Status() : failed();
}

Status StepTable::failed() const { return internal(sqlite3_errmsg(database_)); }

}  // namespace weft::bench
