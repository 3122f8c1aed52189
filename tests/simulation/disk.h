// The one store of a world, and how each life of the server writes to it.
//
//   append ──► queue (the process's memory: a crash drops it) ──► commit at one instant ──► callbacks (dropped
//   likewise)
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "attached.h"
#include "books.h"
#include "memory/journal/journal.h"
#include "sqlite_store.h"

namespace weft::simulation {

// What survives every crash. The rules of what may be written are the product's own: those of its journal in memory, or
// of its SQLite store on files that lose what was not synced.
class Disk {
 public:
  enum class Kind : std::uint8_t { kMemory, kSqlite };
  Disk(Kind kind, Random& random);

  const memory::Reader& store() const { return *store_; }
  memory::Journal& journal() { return *store_; }
  memory::Epoch epoch() const { return epoch_; }
  Result<std::vector<memory::Claim>> claim(std::span<const std::uint32_t> wanted);
  // Applies it now, and checks what became of it.
  Result<memory::Appended> write(const memory::Append& append, Books& books);
  Result<std::optional<memory::Snapshot>> snapshot(std::string_view run) {
    auto found = store_->snapshot(run);
    restored_ += found && *found ? 1 : 0;
    return found;
  }
  std::uint64_t restored() const { return restored_; }  // Runs that were taken up from a snapshot.
  bool has_sqlite() const { return sqlite_ != nullptr; }
  // Of an SQLite store: after a few more operations nothing reaches it.
  void fail_soon();
  void deny_a_sync();
  bool take_denied() { return sqlite_ != nullptr && sqlite_->vfs().take_denied(); }
  void fail_no_more() {
    if (sqlite_ != nullptr && !failed()) sqlite_->vfs().never_fail();
  }
  bool failed() const { return sqlite_ != nullptr && sqlite_->vfs().failed(); }
  // REQUIRES: no process uses it. What was acknowledged must be there; what was under way may be.
  void lose_power(Books& books);

 private:
  Random& random_;
  std::unique_ptr<memory::Journal> store_;
  SqliteStore* sqlite_ = nullptr;  // `store_`, where it is one.
  memory::Epoch epoch_ = 0;
  std::uint64_t restored_ = 0;
  std::map<std::string, std::uint64_t> last_seq_;
};

// What the faults of the disk are, in percent of commits or appends.
struct DiskFaults {
  std::uint32_t slow = 0;           // A commit takes up to seconds.
  std::uint32_t looked_failed = 0;  // It was committed; the writer thinks not, and writes it all again.
  std::uint32_t refused = 0;        // Nothing is written, and the run is told so.
  std::uint32_t unsure = 0;         // It is written, and the run is told that it is not.
  std::uint32_t unread = 0;         // Of reads: what is there cannot be read.
};

// In the message of each read that fails, and in no event.
inline constexpr std::string_view kUnreadWords = "the simulated disk does not read";

// One life's journal.
class DiskJournal final : public memory::Journal {
 public:
  // What the power does around each commit: asked before, told after, before anybody else is.
  struct Power {
    std::function<bool()> holds;
    std::function<void()> on_commit;
  };
  DiskJournal(Disk& disk, Books& books, Schedule& schedule, const DiskFaults& faults, Power power)
      : disk_(disk),
        books_(books),
        schedule_(schedule),
        faults_(faults),
        owner_(schedule.new_owner()),
        power_(std::move(power)) {}
  ~DiskJournal() override { schedule_.purge(owner_); }

  Result<std::vector<memory::Claim>> claim(std::span<const std::uint32_t> wanted) override {
    return disk_.claim(wanted);
  }
  bool may_send(std::uint32_t partition, memory::Epoch epoch) const override {
    return disk_.journal().may_send(partition, epoch);
  }
  Result<std::optional<memory::Snapshot>> snapshot(std::string_view run) const override {
    WEFT_RETURN_IF_ERROR(may_read());
    return disk_.snapshot(run);
  }
  void append(memory::Append append, memory::OnDurable on_durable) override;
  void put_workflow(memory::WorkflowRow row, std::move_only_function<void(Result<memory::WorkflowRow>)> done) override;
  void put_schedule(memory::ScheduleRow row, std::move_only_function<void(Status)> done) override;
  // The process ends: what was queued is lost.
  void drain() override {}

  Result<std::vector<memory::RunRow>> unfinished(std::span<const std::uint32_t> partitions) const override {
    return disk_.journal().unfinished(partitions);
  }
  Result<std::optional<std::string>> row(std::string_view kind, std::string_view key) const override {
    WEFT_RETURN_IF_ERROR(may_read());
    return disk_.store().row(kind, key);
  }
  Result<memory::RowPage> rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                               std::string_view after) const override {
    WEFT_RETURN_IF_ERROR(may_read());
    return disk_.store().rows(kind, key_prefix, limit, after);
  }
  Result<memory::RunRow> run(std::string_view key) const override {
    WEFT_RETURN_IF_ERROR(may_read());
    return disk_.store().run(key);
  }
  Result<memory::RunPage> runs(const memory::RunFilter& filter, std::size_t limit,
                               std::string_view after) const override {
    return disk_.store().runs(filter, limit, after);
  }
  Result<std::vector<memory::EventBatch>> events(std::string_view run, std::uint64_t from,
                                                 std::size_t bytes) const override {
    WEFT_RETURN_IF_ERROR(may_read());
    return disk_.store().events(run, from, bytes);
  }
  Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const override {
    WEFT_RETURN_IF_ERROR(may_read());
    return disk_.store().blob(digest);
  }
  Result<memory::BlobPiece> blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                                       std::size_t bytes_max) const override {
    return disk_.store().blob_piece(run, digest, offset, bytes_max);
  }
  Result<memory::WorkflowRow> workflow_by_hash(std::string_view hash) const override {
    WEFT_RETURN_IF_ERROR(may_read());
    return disk_.store().workflow_by_hash(hash);
  }
  Result<memory::WorkflowRow> workflow_by_name(std::string_view name) const override {
    return disk_.store().workflow_by_name(name);
  }
  Result<std::vector<memory::WorkflowRow>> workflows(std::size_t limit, std::string_view after) const override {
    return disk_.store().workflows(limit, after);
  }
  Result<std::vector<memory::ScheduleRow>> schedules() const override { return disk_.store().schedules(); }

 private:
  struct Entry {
    memory::Append append;
    memory::OnDurable on_durable;
    std::optional<memory::WorkflowRow> workflow;
    std::move_only_function<void(Result<memory::WorkflowRow>)> done;
    std::optional<memory::ScheduleRow> schedule;
    std::move_only_function<void(Status)> stored;
  };
  Status may_read() const;
  void begin();
  void commit(std::vector<Entry> batch);
  Result<memory::Appended> outcome(const memory::Append& append, bool twice);
  void answer_next();

  Disk& disk_;
  Books& books_;
  Schedule& schedule_;
  const DiskFaults& faults_;
  const Owner owner_;
  Power power_;
  std::vector<Entry> queue_;
  bool busy_ = false;
  std::deque<Task> answers_;
  struct Failed {
    std::uint64_t first_seq = 0;
    Error error;
  };
  std::map<std::string, Failed> failed_;  // By run: the first append that failed, and why.
};

}  // namespace weft::simulation
