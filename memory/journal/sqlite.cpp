#include "memory/journal/sqlite.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/check.h"

namespace weft::memory {
namespace {

// How long a statement waits for another process that holds a lock: a recovery, or a person's sqlite3 shell.
constexpr int kBusyMsMax = 5'000;

std::string_view file_of(sqlite3* connection) {
  const char* name = sqlite3_db_filename(connection, "main");
  return name != nullptr && *name != '\0' ? name : "the store";
}

Error error_of(sqlite3* connection, int result_code) {
  return sqlite_error(result_code, file_of(connection), sqlite3_errmsg(connection));
}

// Settings that hold before the first byte is read.
Status configure(sqlite3* handle, Connection::Mode mode) {
  sqlite3_extended_result_codes(handle, 1);
  struct Setting {
    int option;
    int value;
    const char* name;
  };
  constexpr Setting kSettings[] = {{SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, "not to checkpoint when a connection closes"},
                                   {SQLITE_DBCONFIG_DEFENSIVE, 1, "to keep its own tables from being written"},
                                   {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, "not to trust the schema of a file"},
                                   {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, "to run no triggers"},
                                   {SQLITE_DBCONFIG_ENABLE_VIEW, 0, "to read no views"}};
  for (const Setting& setting : kSettings) {
    int set = -1;
    if (sqlite3_db_config(handle, setting.option, setting.value, &set) != SQLITE_OK || set != setting.value) {
      return internal(fmt::format("this SQLite cannot be told {}", setting.name));
    }
  }
  sqlite3_wal_autocheckpoint(handle, 0);
  sqlite3_busy_timeout(handle, kBusyMsMax);
  // Sorting must not need room on a disk that may be full.
  const char* pragmas =
      mode == Connection::Mode::kRead ? "PRAGMA temp_store=MEMORY; PRAGMA query_only=ON;" : "PRAGMA temp_store=MEMORY;";
  if (const int code = sqlite3_exec(handle, pragmas, nullptr, nullptr, nullptr); code != SQLITE_OK) {
    return error_of(handle, code);
  }
  return {};
}

}  // namespace

Error sqlite_error(int result_code, std::string_view what, std::string_view detail) {
  const auto sentence = [&](std::string_view says) {
    return fmt::format("{}: {} (SQLite {}: {})", what, says, result_code, detail);
  };
  switch (result_code & 0xFF) {
    case SQLITE_FULL: return resource_exhausted(sentence("the disk is full"));
    case SQLITE_NOMEM: return resource_exhausted(sentence("there is not enough memory"));
    case SQLITE_TOOBIG: return resource_exhausted(sentence("a value is too big for the store"));
    case SQLITE_IOERR: return data_loss(sentence("the disk failed"));
    // SQLite says the same of a read that failed with EIO.
    case SQLITE_CORRUPT: return data_loss(sentence("the file is damaged, or the disk failed to read it"));
    case SQLITE_NOTADB: return failed_precondition(sentence("the file is not a weft store"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return unavailable(sentence("another process holds the database"));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return permission_denied(sentence("the store cannot be written"));
    case SQLITE_INTERRUPT:
      return failed_precondition(sentence("reading what it holds takes too long, so it is no weft store"));
    case SQLITE_CANTOPEN: return failed_precondition(sentence("the file cannot be opened"));
    default: return internal(sentence("the store failed"));
  }
}

Statement::~Statement() { sqlite3_finalize(handle_); }

Use::~Use() {
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

Use& Use::integer(std::int64_t value) {
  const int code = sqlite3_bind_int64(handle_, ++parameter_, value);
  if (failed_ == SQLITE_OK) failed_ = code;
  return *this;
}

Use& Use::text(std::string_view value) {
  // A null pointer would bind NULL.
  const char* bytes = value.data() != nullptr ? value.data() : "";
  const int code = sqlite3_bind_text64(handle_, ++parameter_, bytes, value.size(), SQLITE_STATIC, SQLITE_UTF8);
  if (failed_ == SQLITE_OK) failed_ = code;
  return *this;
}

Use& Use::blob(std::string_view value) {
  const char* bytes = value.data() != nullptr ? value.data() : "";
  const int code = sqlite3_bind_blob64(handle_, ++parameter_, bytes, value.size(), SQLITE_STATIC);
  if (failed_ == SQLITE_OK) failed_ = code;
  return *this;
}

Use& Use::null() {
  const int code = sqlite3_bind_null(handle_, ++parameter_);
  if (failed_ == SQLITE_OK) failed_ = code;
  return *this;
}

Result<bool> Use::step() {
  sqlite3* connection = sqlite3_db_handle(handle_);
  if (failed_ != SQLITE_OK) return sqlite_error(failed_, file_of(connection), sqlite3_errstr(failed_));
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return error_of(connection, code);
}

Status Use::run() {
  for (;;) {
    WEFT_TRY(const bool row, step());
    if (!row) return {};
  }
}

std::int64_t Use::integer_at(int column) const { return sqlite3_column_int64(handle_, column); }

std::string_view Use::bytes_at(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(handle_, column));
  const int size = sqlite3_column_bytes(handle_, column);
  return bytes != nullptr ? std::string_view(bytes, static_cast<std::size_t>(size)) : std::string_view();
}

bool Use::null_at(int column) const { return sqlite3_column_type(handle_, column) == SQLITE_NULL; }

Result<Connection> Connection::open(const std::string& path, Mode mode) {
  WEFT_CHECK(path.starts_with('/'), "a store is opened by its absolute path");
  // One thread uses a connection at a time, so SQLite needs no mutex of its own around it.
  const int flags = SQLITE_OPEN_NOMUTEX | (mode == Mode::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  Connection connection(handle);
  if (code != SQLITE_OK) {
    return sqlite_error(code, path, handle != nullptr ? sqlite3_errmsg(handle) : sqlite3_errstr(code));
  }
  WEFT_RETURN_IF_ERROR(configure(handle, mode));
  return connection;
}

Connection::~Connection() { sqlite3_close_v2(handle_); }

Result<Statement> Connection::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                      &statement, nullptr);
  if (code != SQLITE_OK) return error_of(handle_, code);
  return Statement(statement);
}

Status Connection::execute(const char* sql) const {
  if (const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK) {
    return error_of(handle_, code);
  }
  return {};
}

Result<std::int64_t> Connection::integer(std::string_view sql) const {
  WEFT_TRY(const Statement statement, prepare(sql));
  Use use(statement);
  WEFT_TRY(const bool row, use.step());
  if (!row) return internal(fmt::format("{}: {} gave nothing", file_of(handle_), sql));
  return use.integer_at(0);
}

std::int64_t Connection::changed() const { return sqlite3_changes64(handle_); }

bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

namespace {
constexpr int kStepsAtOnce = 1'000;  // Between two calls of count().
}

StepLimit::StepLimit(const Connection& connection, std::uint64_t steps_max)
    : handle_(connection.handle()), left_(steps_max / kStepsAtOnce) {
  sqlite3_progress_handler(handle_, kStepsAtOnce, count, this);
}

StepLimit::~StepLimit() { sqlite3_progress_handler(handle_, 0, nullptr, nullptr); }

int StepLimit::count(void* limit) {
  auto& left = static_cast<StepLimit*>(limit)->left_;
  if (left == 0) return 1;
  --left;
  return 0;
}

}  // namespace weft::memory
