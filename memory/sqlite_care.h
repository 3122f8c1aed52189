// The care of an SQLite store: what reads goes by a reader, what writes by the journal's own thread.
#pragma once

#include <functional>
#include <string>

#include "memory/care.h"
#include "memory/sqlite_reader.h"

namespace weft::memory {

class SqliteCare final : public Care {
 public:
  using Work = std::move_only_function<Status(const Connection& connection)>;
  // Runs `work` within a transaction of the writer and waits until it is durable.
  using OnWriter = std::function<Status(Work work)>;

  SqliteCare(std::string path, const SqliteReader& reader, const CommitTimes& commits, OnWriter on_writer)
      : path_(std::move(path)), reader_(reader), commits_(commits), on_writer_(std::move(on_writer)) {}

  Result<RunPage> ended(Time before, std::string_view workflow, std::size_t limit,
                        std::string_view after) const override;
  Result<Removed> remove(const std::string& run) override;
  Result<Removed> finish_removals() override;
  Status backup(const std::string& to) const override;
  Result<StoreFigures> figures() const override;
  Result<Left> left() const override;
  Status count_crashes(const std::map<std::string, CrashCount>& crashes) override;
  Status leave() override;

 private:
  // Steps until there is no more, each a transaction of its own. Its work may be done twice where one failed, so it
  // counts anew each time.
  using Step = std::function<Result<bool>(const Connection& connection, Removed& removed)>;
  Result<Removed> in_steps(const Step& step);

  const std::string path_;
  const SqliteReader& reader_;
  const CommitTimes& commits_;
  const OnWriter on_writer_;
};

}  // namespace weft::memory
