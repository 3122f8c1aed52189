// The upkeep of an SQLite store. It reads through a reader, and writes on the journal's own thread.
#pragma once

#include <functional>
#include <string>

#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite_reader.h"
#include "memory/journal/store_file.h"

namespace weft::memory {

class SqliteMaintenance final : public Maintenance {
 public:
  using Work = std::move_only_function<Status(const Connection& connection)>;
  // Runs `work` within a transaction of the writer and waits until it is durable.
  using OnWriter = std::function<Status(Work work)>;

  SqliteMaintenance(std::string path, const StoreLock& lock, const SqliteReader& reader, const CommitTimes& commits,
                    OnWriter on_writer)
      : path_(std::move(path)), lock_(lock), reader_(reader), commits_(commits), on_writer_(std::move(on_writer)) {}

  Result<RunPage> ended(Time before, std::string_view workflow, std::size_t limit,
                        std::string_view after) const override;
  Result<Removed> remove(const std::string& run) override;
  Result<Removed> finish_removals() override;
  Status backup(const std::string& to) const override;
  Result<StoreFigures> figures() const override;
  Result<Left> left(std::span<const std::uint32_t> partitions) const override;
  Status count_crashes(const std::map<std::string, CrashCount>& crashes) override;
  WorkMarks* marks() override { return lock_.marks(); }
  Status leave() override;

 private:
  // Takes steps until one says that there is no more, each in a transaction of its own. A transaction that failed is
  // tried again, so a step begins its count anew each time.
  using Step = std::function<Result<bool>(const Connection& connection, Removed& removed)>;
  Result<Removed> in_steps(const Step& step);

  const std::string path_;
  const StoreLock& lock_;
  const SqliteReader& reader_;
  const CommitTimes& commits_;
  const OnWriter on_writer_;
};

}  // namespace weft::memory
