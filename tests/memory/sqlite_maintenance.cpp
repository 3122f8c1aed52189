// Copies of a store, and the removal of what is old, while runs go on.
#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "memory/journal/inspection.h"
#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_store.h"
#include "tests/conformance/journal_fixture.h"
#include "tests/memory/fault_vfs.h"

namespace weft::memory::test {
namespace {

const std::string kFormat1 = std::string(WEFT_SOURCE_DIR) + "/tests/memory/stores/format-1.db";

struct Store {
  TemporaryFolder folder;
  std::string path = folder / "weft.db";
  std::unique_ptr<Journal> journal = open_sqlite({path}).value();
  Epoch epoch = claim_all(*journal);
  Maintenance& maintenance() { return *journal->maintenance(); }

  void reopen() {
    journal.reset();
    journal = open_sqlite({path}).value();
    epoch = claim_all(*journal);
  }
  // A run of `batches` batches that has ended at `ended_s`, written with these contents.
  void ended_run(const std::string& id, std::uint64_t batches, std::int64_t ended_s,
                 const std::vector<std::string>& contents = {}, const std::string& workflow = "review") {
    Append first = first_append(id, epoch);
    first.create->workflow = workflow;
    for (const std::string& bytes : contents) {
      first.blobs.push_back({sha256(bytes), std::make_shared<const std::string>(bytes)});
    }
    must_append(*journal, std::move(first));
    for (std::uint64_t seq = 2; seq <= batches; ++seq) {
      Append next = next_append(id, epoch, seq, seq);
      if (seq == batches) {
        next.update = RunRow{};
        next.update->ended = true;
        next.update->ended_at = at_second(ended_s);
      }
      must_append(*journal, std::move(next));
    }
  }
  bool has_blob(const std::string& bytes) { return journal->blob(sha256(bytes)).has_value(); }
};

std::vector<std::string> ended_ids(Maintenance& maintenance, std::int64_t before_s, const std::string& workflow = "") {
  std::vector<std::string> found;
  std::string after;
  do {
    const RunPage page = maintenance.ended(at_second(before_s), workflow, 2, after).value();
    for (const RunRow& row : page.rows) found.push_back(row.id);
    after = page.next;
  } while (!after.empty());
  return found;
}

}  // namespace

TEST_CASE("a removed run takes its events and its own contents along, and leaves those that another was written with") {
  Store store;
  store.ended_run("a", 3, 100, {"own", "shared"});
  store.ended_run("b", 3, 100, {"shared"});
  const Removed first = store.maintenance().remove("a").value();
  CHECK(first.runs == 1);
  CHECK(first.batches == 3);
  CHECK(first.blobs == 1);
  CHECK(store.journal->run("a").error().code == Code::kNotFound);
  CHECK_FALSE(store.has_blob("own"));
  CHECK(store.has_blob("shared"));
  CHECK(store.journal->events("b", 1, 1 << 20)->size() == 3);
  CHECK(store.maintenance().remove("b")->blobs == 1);
  CHECK_FALSE(store.has_blob("shared"));
  CHECK(store.maintenance().remove("b").error().code == Code::kNotFound);
}

TEST_CASE("contents that a run shares with another one outlive it") {
  Store store;
  store.ended_run("a", 3, 100, {"own", "shared"});
  Append sharing = first_append("b", store.epoch);
  sharing.shared.push_back(sha256("shared"));
  must_append(*store.journal, std::move(sharing));
  CHECK(store.maintenance().remove("a")->blobs == 1);
  CHECK_FALSE(store.has_blob("own"));
  CHECK(store.has_blob("shared"));
}

TEST_CASE("a removed run takes along the rows that live as long as it, and leaves the others") {
  Store store;
  Append first = first_append("a", store.epoch);
  first.rows = {{"memory", "outlives", "v"},
                {"notes", "a/1", "v", RowLife::kRun},
                {"notes", "a/2", "v", RowLife::kRun},
                {"notes", "passed on", "a's", RowLife::kRun},
                {"notes", "kept after all", "v", RowLife::kRun}};
  must_append(*store.journal, std::move(first));
  Append other = first_append("b", store.epoch);
  other.rows = {{"notes", "b/1", "v", RowLife::kRun}, {"notes", "passed on", "b's", RowLife::kRun}};
  must_append(*store.journal, std::move(other));
  Append end = next_append("a", store.epoch, 2, 2);
  end.update = RunRow{};
  end.update->ended = true;
  end.rows = {{"notes", "kept after all", "v", RowLife::kStore}};
  must_append(*store.journal, std::move(end));
  CHECK(store.maintenance().remove("a")->rows == 2);
  CHECK(keys(store.journal->rows("memory", "", 10, "")) == Names{"outlives"});
  CHECK(keys(store.journal->rows("notes", "", 10, "")) == Names{"b/1", "kept after all", "passed on"});
  CHECK(store.journal->row("notes", "passed on").value() == "b's");
}

TEST_CASE("of a removal that was cut off no row of its run is seen, and another run may use its key") {
  FaultDisk disk;
  Store store;
  Append first = first_append("a", store.epoch);
  for (int i = 0; i < 200; ++i) first.rows.push_back({"notes", std::to_string(1'000 + i), "v", RowLife::kRun});
  must_append(*store.journal, std::move(first));
  for (std::uint64_t seq = 2; seq <= 600; ++seq) must_append(*store.journal, next_append("a", store.epoch, seq, seq));
  Append end = next_append("a", store.epoch, 601, 601);
  end.update = RunRow{};
  end.update->ended = true;
  must_append(*store.journal, std::move(end));
  disk.wal_syncs_left = 2;
  REQUIRE_FALSE(store.maintenance().remove("a"));
  disk.wal_bytes_max = INT64_MAX;
  CHECK(store.journal->rows("notes", "", 10, "")->rows.empty());
  CHECK_FALSE(store.journal->row("notes", "1000").value());
  CHECK(Inspection::open(store.path).value()->rows_beside()->orphans == 0);
  store.reopen();
  Append second = first_append("b", store.epoch);
  second.rows = {{"notes", "1000", "b's", RowLife::kRun}};
  must_append(*store.journal, std::move(second));
  CHECK(store.maintenance().finish_removals()->rows == 199);
  CHECK(keys(store.journal->rows("notes", "", 10, "")) == Names{"1000"});
  CHECK(store.journal->row("notes", "1000").value() == "b's");
}

TEST_CASE("a check of the store names rows whose run is not there, and rows that no append can have written") {
  Store store;
  Append first = first_append("a", store.epoch);
  first.rows = {{"memory", "k", "v"}, {"notes", "k", "v", RowLife::kRun}};
  must_append(*store.journal, std::move(first));
  const auto found = [&] { return Inspection::open(store.path).value()->rows_beside().value(); };
  CHECK(found().orphans == 0);
  CHECK(found().beyond == 0);
  store.journal.reset();
  const auto connection = Connection::open(store.path, Connection::Mode::kWrite).value();
  REQUIRE(connection.execute("INSERT INTO rows_beside (kind, key, run, value) VALUES ('notes', x'00', 77, x'')"));
  CHECK(found().orphans == 1);
  REQUIRE(connection.execute(
      "INSERT INTO rows_beside (kind, key, value) VALUES ('Notes', x'00', x''), ('notes', x'', x''), "
      "('notes', zeroblob(1025), x''), ('notes', x'02', zeroblob(131073))"));
  CHECK(found().orphans == 1);
  CHECK(found().beyond == 4);
}

TEST_CASE("a run that has not ended is not removed") {
  Store store;
  must_append(*store.journal, first_append("a", store.epoch));
  CHECK(store.maintenance().remove("a").error().code == Code::kFailedPrecondition);
  CHECK(append_now(*store.journal, next_append("a", store.epoch, 2, 2)));
  CHECK(store.journal->events("a", 1, 1 << 20)->size() == 2);
}

TEST_CASE("a long run is removed in many short transactions") {
  FaultDisk disk;
  Store store;
  store.ended_run("a", 1'000, 100);
  const int syncs = disk.wal_syncs;
  CHECK(store.maintenance().remove("a")->batches == 1'000);
  CHECK(disk.wal_syncs - syncs >= 5);
}

TEST_CASE("a removal that was cut off shows no half of a run, and is finished by the next owner") {
  FaultDisk disk;
  Store store;
  store.ended_run("a", 1'000, 100, {"own"});
  store.ended_run("b", 2, 100);
  disk.wal_syncs_left = 2;
  const auto removed = store.maintenance().remove("a");
  REQUIRE_FALSE(removed);
  CHECK(removed.error().code == Code::kResourceExhausted);
  disk.wal_bytes_max = INT64_MAX;
  CHECK(store.journal->run("a").error().code == Code::kNotFound);
  CHECK(Inspection::open(store.path).value()->orphans().value() == 0);
  store.reopen();
  // Its key is not another run's while something of it is left.
  must_append(*store.journal, first_append("c", store.epoch));
  CHECK(store.journal->events("c", 1, 1 << 20)->size() == 1);
  const Removed rest = store.maintenance().finish_removals().value();
  CHECK(rest.batches > 0);
  CHECK(rest.blobs == 1);
  CHECK(store.journal->events("c", 1, 1 << 20)->size() == 1);
  CHECK(store.maintenance().finish_removals()->runs == 0);
}

TEST_CASE("what ended before a moment is listed oldest first, by pages and by workflow") {
  Store store;
  store.ended_run("a", 2, 100);
  store.ended_run("b", 2, 300);
  store.ended_run("c", 2, 200, {}, "other");
  store.ended_run("d", 2, 150);
  must_append(*store.journal, first_append("e", store.epoch));
  using Ids = std::vector<std::string>;
  CHECK(ended_ids(store.maintenance(), 1'000) == Ids{"a", "b", "c", "d"});
  CHECK(ended_ids(store.maintenance(), 201) == Ids{"a", "c", "d"});
  CHECK(ended_ids(store.maintenance(), 200) == Ids{"a", "d"});
  CHECK(ended_ids(store.maintenance(), 1'000, "other") == Ids{"c"});
}

TEST_CASE("contents of a store of format 1 stay until all of its runs are gone") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  std::filesystem::copy_file(kFormat1, path);
  const auto journal = open_sqlite({path}).value();
  Maintenance& maintenance = *journal->maintenance();
  const Epoch epoch = claim_all(*journal);
  const auto blobs = [&] {
    std::size_t count = 0;
    REQUIRE(Inspection::open(path).value()->blobs([&](const Digest&, std::string_view) { ++count; }));
    return count;
  };
  for (const std::string& id : ended_ids(maintenance, INT64_C(9'000'000'000))) REQUIRE(maintenance.remove(id));
  REQUIRE(maintenance.finish_removals());
  CHECK(blobs() == 3);
  const RunRow last = journal->unfinished(all_partitions()).value().front();
  Append end = next_append(last.id, epoch, last.last_seq + 1, last.last_seq + 1);
  end.partition = last.partition;
  end.update = RunRow{};
  end.update->ended = true;
  end.update->ended_at = at_second(1);
  must_append(*journal, std::move(end));
  REQUIRE(maintenance.remove(last.id));
  CHECK(maintenance.finish_removals()->blobs == 3);
  CHECK(blobs() == 0);
}

TEST_CASE("a copy that is made under load is whole, and the writer does not wait for it") {
  Store store;
  for (int i = 0; i < 200; ++i)
    store.ended_run("r" + std::to_string(i), 2, 100, {std::string(20'000, 'x') + std::to_string(i)});
  must_append(*store.journal, first_append("busy", store.epoch));
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> written = 1;
  std::thread load([&] {
    while (!stop) {
      const std::uint64_t seq = written + 1;
      must_append(*store.journal,
                  with_row(next_append("busy", store.epoch, seq, seq), "progress", "busy", std::to_string(seq)));
      ++written;
    }
  });
  while (written < 20) std::this_thread::yield();
  const std::uint64_t before = written;
  const std::string copy = store.folder / "copy.db";
  REQUIRE(store.maintenance().backup(copy));
  const std::uint64_t after = written;
  stop = true;
  load.join();
  CHECK(after > before);
  struct stat status = {};
  REQUIRE(::stat(copy.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK_FALSE(std::filesystem::exists(copy + ".partial"));
  const auto inspection = Inspection::open(copy).value();
  CHECK(inspection->structure()->empty());
  const auto copied = open_sqlite({copy}).value();
  const std::uint64_t last = copied->run("busy")->last_seq;
  CHECK(last >= before);
  CHECK(last <= after + 1);
  CHECK(copied->events("busy", 1, 1 << 30)->size() == last);
  CHECK(copied->row("progress", "busy").value() == std::to_string(last));
  CHECK(append_now(*copied, next_append("busy", claim_all(*copied), last + 1, last + 1)));
}

TEST_CASE("a backup overwrites nothing, and one that was cut off is named") {
  Store store;
  const std::string copy = store.folder / "copy.db";
  std::ofstream(copy) << "mine";
  const auto refused = store.maintenance().backup(copy);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kFailedPrecondition);
  CHECK(std::filesystem::file_size(copy) == 4);
  const std::string other = store.folder / "other.db";
  std::ofstream(other + ".partial") << "cut";
  CHECK(store.maintenance().backup(other).error().message.find("other.db.partial exists") != std::string::npos);
  CHECK(std::filesystem::file_size(other + ".partial") == 3);
  CHECK(store.maintenance().backup(store.folder / "no/such/copy.db").error().code == Code::kNotFound);
}

TEST_CASE("whether the last owner left in order is known to the next, and what it counted") {
  Store store;
  must_append(*store.journal, first_append("a", store.epoch));
  REQUIRE(store.maintenance().count_crashes({{"a", {1, 2}}, {"not there", {1, 1}}}));
  store.reopen();
  const Left crashed = store.maintenance().left(all_partitions()).value();
  CHECK_FALSE(crashed.in_order);
  REQUIRE(crashed.crashes.size() == 1);
  CHECK(crashed.crashes.at("a").seq == 1);
  CHECK(crashed.crashes.at("a").count == 2);
  REQUIRE(store.maintenance().leave());
  CHECK(store.maintenance().left(all_partitions())->in_order);
  REQUIRE(store.journal->claim(all_partitions()));
  CHECK_FALSE(store.maintenance().left(all_partitions())->in_order);
}

TEST_CASE("the crashes of a removed run are not those of the run that has its place in the store now") {
  Store store;
  store.ended_run("a", 2, 100);
  REQUIRE(store.maintenance().count_crashes({{"a", {1, 4}}}));
  REQUIRE(store.maintenance().remove("a"));
  store.reopen();
  must_append(*store.journal, first_append("b", store.epoch));
  CHECK(store.maintenance().left(all_partitions())->crashes.empty());
}

}  // namespace weft::memory::test
