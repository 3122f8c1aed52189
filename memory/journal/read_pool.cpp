#include "memory/journal/read_pool.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "memory/journal/store_file.h"

namespace weft::memory {
namespace {

constexpr std::size_t kReadConnectionsMax = 4;
constexpr std::size_t kStatementsMax = 64;  // That a connection keeps between two leases.

}  // namespace

Result<std::unique_ptr<ReadConnection>> ReadConnection::open(const std::string& path) {
  WEFT_TRY(Connection connection, open_store(path, Connection::Mode::kRead));
  return std::unique_ptr<ReadConnection>(new ReadConnection(std::move(connection)));
}

Result<const Statement*> ReadConnection::statement(const std::string& sql) {
  if (const auto known = statements_.find(sql); known != statements_.end()) return &known->second;
  WEFT_TRY(Statement statement, connection_.prepare(sql));
  return &statements_.emplace(sql, std::move(statement)).first->second;
}

Result<std::string> ReadConnection::part_of_blob(std::int64_t key, std::uint64_t offset, std::size_t bytes) const {
  sqlite3_blob* blob = nullptr;
  int code = sqlite3_blob_open(connection_.handle(), "main", "blobs", "bytes", key, 0, &blob);
  std::string part(bytes, '\0');
  if (code == SQLITE_OK) code = sqlite3_blob_read(blob, part.data(), static_cast<int>(bytes), static_cast<int>(offset));
  sqlite3_blob_close(blob);
  if (code != SQLITE_OK) return sqlite_error(code, "reading a blob", sqlite3_errmsg(connection_.handle()));
  return part;
}

Result<std::int64_t> ReadConnection::key_of_run(std::string_view run) {
  WEFT_TRY(const Statement* by_id, statement("SELECT key FROM runs WHERE id = ?"));
  Use use(*by_id);
  WEFT_TRY(const bool found, use.text(run).step());
  if (!found) return not_found(fmt::format("there is no run '{}'", run));
  return use.integer_at(0);
}

Result<bool> ReadConnection::has_table(std::string_view name) {
  WEFT_TRY(const Statement* table, statement("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"));
  Use use(*table);
  return use.text(name).step();
}

void ReadConnection::trim() {
  if (statements_.size() > kStatementsMax) statements_.clear();
}

ReadPool::ReadPool(std::string path, std::unique_ptr<ReadConnection> first) : path_(std::move(path)) {
  idle_.push_back(std::move(first));
}

ReadPool::Lease::~Lease() {
  connection_->trim();
  const std::lock_guard lock(pool_.mutex_);
  pool_.idle_.push_back(std::move(connection_));
  --pool_.leased_;
  pool_.returned_.notify_one();
}

Result<std::unique_ptr<ReadPool::Lease>> ReadPool::lease() const {
  std::unique_lock lock(mutex_);
  returned_.wait(lock, [this] { return !idle_.empty() || leased_ < kReadConnectionsMax; });
  ++leased_;
  if (!idle_.empty()) {
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    return std::make_unique<Lease>(*this, std::move(connection));
  }
  lock.unlock();
  auto connection = ReadConnection::open(path_);
  if (connection) return std::make_unique<Lease>(*this, *std::move(connection));
  lock.lock();
  --leased_;
  returned_.notify_one();
  return Error(std::move(connection).error());
}

}  // namespace weft::memory
