// Stores of other formats: older ones become this one in a single step, newer ones are left alone.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <sstream>

#include "memory/journal/inspection.h"
#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_store.h"
#include "memory/journal/sqlite_tables.h"
#include "tests/conformance/journal_fixture.h"
#include "tests/memory/fault_vfs.h"
#include "tests/memory/process.h"

namespace weft::memory::test {
namespace {

// Made by the last version that wrote format 1: two runs that ended, one that had not, three long contents.
const std::string kFormat1 = std::string(WEFT_SOURCE_DIR) + "/tests/memory/stores/format-1.db";
// As much by the last version that wrote format 2; its run that had not ended waits for an answer.
const std::string kFormat2 = std::string(WEFT_SOURCE_DIR) + "/tests/memory/stores/format-2.db";
// As much by the last version that wrote format 3, with a schedule.
const std::string kFormat3 = std::string(WEFT_SOURCE_DIR) + "/tests/memory/stores/format-3.db";
// As much by the last version that wrote format 4; its run that had not ended has a snapshot, of other bytes than
// weft's.
const std::string kFormat4 = std::string(WEFT_SOURCE_DIR) + "/tests/memory/stores/format-4.db";

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

std::int64_t format_of(const std::string& path) {
  return Connection::open(path, Connection::Mode::kRead).value().integer("PRAGMA user_version").value();
}

struct Held {
  std::size_t runs = 0;
  std::size_t batches = 0;
  std::size_t blobs = 0;
};
constexpr const char* kHeld = "runs 3, batches 7, contents 3";

std::string held_by(const std::string& path) {
  const auto store = Inspection::open(path).value();
  REQUIRE(store->structure().value().empty());
  Held held;
  const auto runs = store->runs(0, 100).value();
  for (const auto& run : runs) {
    ++held.runs;
    REQUIRE(store->batches(run.key, [&](const EventBatch&) { ++held.batches; }));
  }
  REQUIRE(store->blobs([&](const Digest&, std::string_view) { ++held.blobs; }));
  return fmt::format("runs {}, batches {}, contents {}", held.runs, held.batches, held.blobs);
}

}  // namespace

TEST_CASE("a store of format 1 becomes one of this format when an engine opens it, with all that it held") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat1, path);
  REQUIRE(held_by(path) == kHeld);  // Reading changes nothing.
  CHECK(format_of(path) == 1);
  {
    const auto journal = open_sqlite({path}).value();
    CHECK(journal->unfinished(all_partitions())->size() == 1);
    CHECK(append_now(*journal, first_append("new", claim_all(*journal))));
  }
  CHECK(format_of(path) == kStoreFormat);
  CHECK(held_by(path) == "runs 4, batches 8, contents 3");
}

TEST_CASE("a store of format 2 can be read as it is, and becomes one of this format with all that it held") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat2, path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const std::string held = "runs 3, batches 5, contents 6";
  CHECK(held_by(path) == held);
  CHECK(open_sqlite_reader(path).value()->schedules()->empty());
  CHECK(format_of(path) == 2);
  {
    const auto journal = open_sqlite({path}).value();
    const Epoch epoch = claim_all(*journal);
    CHECK(journal->unfinished(all_partitions())->size() == 1);
    std::promise<Status> put;
    journal->put_schedule({"daily", "state", epoch}, [&](Status status) { put.set_value(std::move(status)); });
    CHECK(put.get_future().get());
  }
  CHECK(format_of(path) == kStoreFormat);
  CHECK(held_by(path) == held);
  CHECK(open_sqlite_reader(path).value()->schedules()->size() == 1);
}

TEST_CASE("a store of format 3 becomes one of this format, in which runs have snapshots") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat3, path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const std::string held = held_by(path);
  CHECK(held == "runs 3, batches 6, contents 2");
  {
    const auto journal = open_sqlite({path}).value();
    const Epoch epoch = claim_all(*journal);
    const RunRow row = journal->unfinished(all_partitions())->front();
    CHECK(journal->schedules()->size() == 1);
    CHECK_FALSE(journal->snapshot(row.id).value());
    Append next;
    next.run = row.id;
    next.partition = row.partition;
    next.epoch = epoch;
    next.first_seq = next.last_seq = row.last_seq + 1;
    next.events = "more";
    next.snapshot = "all of it";
    REQUIRE(append_now(*journal, std::move(next)));
    CHECK(journal->snapshot(row.id).value()->bytes == "all of it");
  }
  CHECK(format_of(path) == kStoreFormat);
}

TEST_CASE("a store of format 4 can be read as it is, and becomes one of this format, in which appends carry rows") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat4, path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const std::string held = held_by(path);
  CHECK(held == "runs 3, batches 6, contents 4");
  {
    const auto reader = open_sqlite_reader(path).value();
    CHECK_FALSE(reader->row("memory", "k").value());
    CHECK(reader->rows("memory", "", 10, "")->rows.empty());
    CHECK(Inspection::open(path).value()->rows_beside()->orphans == 0);
    CHECK(format_of(path) == 4);
  }
  const auto journal = open_sqlite({path}).value();
  const Epoch epoch = claim_all(*journal);
  const RunRow row = journal->unfinished(all_partitions())->front();
  CHECK(journal->schedules()->size() == 1);
  CHECK(journal->snapshot(row.id).value()->seq == 5);
  Append next = in_partition(row.partition, next_append(row.id, epoch, row.last_seq + 1, row.last_seq + 1));
  next.rows = {{"memory", "k", "v"}};
  REQUIRE(append_now(*journal, std::move(next)));
  CHECK(journal->row("memory", "k").value() == "v");
  CHECK(format_of(path) == kStoreFormat);
  CHECK(held_by(path) == "runs 3, batches 7, contents 4");
}

TEST_CASE("a reader that was opened on an older format sees the rows that an engine writes after the upgrade") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat4, path);
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const auto reader = open_sqlite_reader(path).value();
  CHECK(keys(reader->rows("memory", "", 10, "")).empty());
  const auto journal = open_sqlite({path}).value();
  must_append(*journal, with_row(first_append("new", claim_all(*journal)), "memory", "k", "v"));
  CHECK(keys(reader->rows("memory", "", 10, "")) == Names{"k"});
  CHECK(reader->row("memory", "k").value() == "v");
}

TEST_CASE("a store of a newer format is refused with both numbers and left as it is, byte for byte") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat1, path);
  REQUIRE(Connection::open(path, Connection::Mode::kWrite)
              ->execute(fmt::format("PRAGMA user_version = {}", kStoreFormat + 1).c_str()));
  const std::string before = content(path) + content(path + "-wal");
  const auto refused = open_sqlite({path});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find(fmt::format("store format {}", kStoreFormat + 1)) != std::string::npos);
  CHECK(refused.error().message.find(fmt::format("formats up to {}", kStoreFormat)) != std::string::npos);
  CHECK(Inspection::open(path).error().code == Code::kFailedPrecondition);
  CHECK(backup_sqlite(path, folder / "copy.db").error().code == Code::kFailedPrecondition);
  CHECK(content(path) + content(path + "-wal") == before);
}

TEST_CASE("a migration that the disk has no room for leaves the store of format 1, and is made when there is") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat1, path);
  {
    FaultDisk disk;
    disk.wal_bytes_max = 5'000;
    const auto full = open_sqlite({path});
    REQUIRE_FALSE(full);
    CHECK(full.error().code == Code::kResourceExhausted);
  }
  CHECK(format_of(path) == 1);
  CHECK(held_by(path) == kHeld);
  REQUIRE(open_sqlite({path}));
  CHECK(format_of(path) == kStoreFormat);
}

TEST_CASE("a migration that is killed on its way is made whole by the next owner") {
  std::minstd_rand random(7);
  int found_old = 0;
  // Until one was killed early enough to matter; a busy machine takes longer to see that.
  for (int round = 0; round < 40 || (found_old == 0 && round < 400); ++round) {
    const TemporaryFolder folder;
    const std::string path = folder / "weft.db";
    std::filesystem::copy_file(kFormat1, path);
    {
      Process owner([&](const Process::Ends& ends) {
        ends.say("begins");
        const auto journal = open_sqlite({path});
        ends.say(journal ? "done" : journal.error().message);
        ends.wait_for_go();
      });
      REQUIRE(owner.line() == "begins");
      ::usleep(static_cast<useconds_t>(random() % 4'000));
      owner.kill();
    }
    const std::int64_t format = format_of(path);
    REQUIRE((format == 1 || format == kStoreFormat));
    found_old += format == 1;
    REQUIRE(open_sqlite({path}));
    REQUIRE(held_by(path) == kHeld);
    REQUIRE(format_of(path) == kStoreFormat);
  }
  CHECK(found_old > 0);
}

}  // namespace weft::memory::test
