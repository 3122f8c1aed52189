// SQLite as the store uses it: connections that never checkpoint by themselves, statements, and errors in weft's codes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace weft::memory {

// What an SQLite result code means to a caller. `what` names the thing: a sentence begins with it.
Error sqlite_error(int result_code, std::string_view what, std::string_view detail);

// A prepared statement. One thread at a time; destroyed before its connection.
class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* handle) : handle_(handle) {}
  Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Statement();

  sqlite3_stmt* handle() const { return handle_; }

 private:
  sqlite3_stmt* handle_ = nullptr;
};

// One use of a statement: bind, step, read. The destructor resets the statement, which ends a reader's snapshot. Bound
// values are borrowed until then.
class Use {
 public:
  explicit Use(const Statement& statement) : handle_(statement.handle()) {}
  ~Use();
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  // Parameters in their order. An error shows at the next step().
  Use& integer(std::int64_t value);
  Use& unsigned_integer(std::uint64_t value) { return integer(static_cast<std::int64_t>(value)); }
  Use& text(std::string_view value);
  Use& blob(std::string_view value);
  Use& null();

  Result<bool> step();  // True: there is a row.
  Status run();         // To the end; rows are passed over.

  // Columns of the current row, from 0. Views live until the next step.
  std::int64_t integer_at(int column) const;
  std::uint64_t unsigned_at(int column) const { return static_cast<std::uint64_t>(integer_at(column)); }
  std::string_view bytes_at(int column) const;
  std::string string_at(int column) const { return std::string(bytes_at(column)); }
  bool null_at(int column) const;

 private:
  sqlite3_stmt* handle_;
  int parameter_ = 0;
  int failed_ = 0;  // The first result code of a bind that was not OK.
};

// Invariants:
//  1. Closing a connection never checkpoints and never deletes the WAL; no connection checkpoints by itself. The
//     packaged SQLite (3.40.1) may corrupt a store when two connections reset the WAL at once
//     (sqlite.org/wal.html#walresetbug).
//  2. A reading connection cannot write.
//  3. No trigger and no view of the file is run, its schema calls no function that is not marked innocuous, and nothing
//     may write the schema's own table: the file may come from anybody.
// One thread at a time.
class Connection {
 public:
  enum class Mode : std::uint8_t { kRead, kWrite };

  // `path` is absolute, so that SQLite does not take it for a URI or for ":memory:".
  static Result<Connection> open(const std::string& path, Mode mode);
  Connection(Connection&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Connection& operator=(Connection&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Connection();

  Result<Statement> prepare(std::string_view sql) const;
  Status execute(const char* sql) const;
  Result<std::int64_t> integer(std::string_view sql) const;  // The first column of the first row.
  std::int64_t changed() const;                              // Rows that the last statement changed.
  bool in_transaction() const;
  sqlite3* handle() const { return handle_; }

 private:
  explicit Connection(sqlite3* handle) : handle_(handle) {}

  sqlite3* handle_;
};

// While this lives, all statements of the connection together may take `steps_max` instructions of SQLite's virtual
// machine; a statement that takes more ends with FAILED_PRECONDITION.
class StepLimit {
 public:
  StepLimit(const Connection& connection, std::uint64_t steps_max);
  ~StepLimit();
  StepLimit(const StepLimit&) = delete;
  StepLimit& operator=(const StepLimit&) = delete;

 private:
  static int count(void* limit);

  sqlite3* const handle_;
  std::uint64_t left_;  // Calls of count() until it says stop.
};

}  // namespace weft::memory
