// The least that can be kept of a step: a row of bare SQLite in WAL mode, one INSERT and one COMMIT.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace weft::bench {

class StepTable {
 public:
  StepTable() = default;
  StepTable(const StepTable&) = delete;
  StepTable& operator=(const StepTable&) = delete;
  ~StepTable();
  // `sync`: what PRAGMA synchronous takes.
  Status open(const std::string& path, const std::string& sync);
  Status keep(const std::string& run, std::int64_t step, const std::string& out);  // Committed when it returns.

 private:
  Status failed() const;
  sqlite3* database_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

}  // namespace weft::bench
