// Reading a store beside its owner, and what a read costs.
#include <fmt/format.h>
#include <sqlite3.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <latch>
#include <thread>

#include "memory/journal/sqlite_store.h"
#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {
namespace {

// Rows that statements passed in scans of whole tables or indexes, and rows that they sorted, on all connections.
struct Effort {
  int scanned = 0;
  int sorted = 0;
};
Effort effort;

int note_effort(unsigned, void*, void* statement, void*) {
  auto* const done = static_cast<sqlite3_stmt*>(statement);
  effort.scanned += sqlite3_stmt_status(done, SQLITE_STMTSTATUS_FULLSCAN_STEP, 1);
  effort.sorted += sqlite3_stmt_status(done, SQLITE_STMTSTATUS_SORT, 1);
  return 0;
}

int watch(sqlite3* connection, char**, const void*) {
  return sqlite3_trace_v2(connection, SQLITE_TRACE_PROFILE, note_effort, nullptr);
}

// Statements of the threads that say so stand still until they are let go, as those of a long history do.
struct Slow {
  std::atomic<int> under_way = 0;
  std::latch go{1};
};
thread_local Slow* slow = nullptr;

int stand_still(unsigned, void*, void*, void*) {
  if (Slow* const own = std::exchange(slow, nullptr)) {
    ++own->under_way;
    own->go.wait();
  }
  return 0;
}

int watch_starts(sqlite3* connection, char**, const void*) {
  return sqlite3_trace_v2(connection, SQLITE_TRACE_STMT, stand_still, nullptr);
}

}  // namespace

TEST_CASE("a reader where there is no store is NOT_FOUND and creates nothing") {
  const TemporaryFolder folder;
  CHECK(open_sqlite_reader(folder / "none/weft.db").error().code == Code::kNotFound);
  CHECK(open_sqlite_reader(folder / "weft.db").error().code == Code::kNotFound);
  CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("a reader beside the owner sees what is committed, as it is committed") {
  const TemporaryFolder folder;
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  const auto reader = open_sqlite_reader(folder / "weft.db").value();
  CHECK(reader->run("a").error().code == Code::kNotFound);
  must_append(*journal, first_append("a", epoch));
  CHECK(reader->run("a")->last_seq == 1);
  must_append(*journal, next_append("a", epoch, 2, 2));
  CHECK(texts(reader->events("a", 1, 1 << 20)).size() == 2);
}

TEST_CASE("more threads read than there are connections") {
  const TemporaryFolder folder;
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  const auto reader = open_sqlite_reader(folder / "weft.db").value();
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 100; ++round) failed += reader->run("a") ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failed == 0);
}

TEST_CASE("who moves runs reads though all connections for others are at long reads, and a claim is looked at too") {
  using namespace std::chrono_literals;
  const TemporaryFolder folder;
  sqlite3_auto_extension(reinterpret_cast<void (*)()>(watch_starts));
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  Slow reads;
  std::vector<std::thread> threads;
  for (int i = 0; i < 12; ++i) {
    threads.emplace_back([&] {
      slow = &reads;
      CHECK(journal->events("a", 1, 1 << 20));
      slow = nullptr;
    });
  }
  // So many connections there are; the other threads wait for one.
  while (reads.under_way < 4) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(5ms);  // What was seen of the epoch is old by now.
  auto found = std::async(std::launch::async, [&] { return journal->urgent().run("a").has_value(); });
  auto may_send = std::async(std::launch::async, [&] { return journal->may_send(0, epoch); });
  CHECK(found.wait_for(5s) == std::future_status::ready);
  CHECK(may_send.wait_for(5s) == std::future_status::ready);
  CHECK(reads.under_way == 4);
  reads.go.count_down();
  for (std::thread& thread : threads) thread.join();
  CHECK(found.get());
  CHECK(may_send.get());
  sqlite3_reset_auto_extension();
}

TEST_CASE("a store is read where only its three files are, without its lock") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  {
    const auto journal = open_sqlite({path}).value();
    must_append(*journal, first_append("a", claim_all(*journal)));
  }
  std::filesystem::remove(path + ".lock");
  CHECK(open_sqlite_reader(path).value()->run("a")->last_seq == 1);
  CHECK_FALSE(std::filesystem::exists(path + ".lock"));
  std::filesystem::remove(path + "-shm");  // As after a copy: the WAL's index is made anew.
  CHECK(open_sqlite_reader(path).value()->run("a")->last_seq == 1);
}

TEST_CASE("a damaged store is DATA_LOSS, not a wrong answer") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  {
    const auto journal = open_sqlite({.path = path, .checkpoint_pages = 1}).value();
    must_append(*journal, first_append("a", claim_all(*journal)));
  }
  std::filesystem::remove(path + "-wal");
  std::filesystem::remove(path + "-shm");
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4'096);
    file << std::string(std::filesystem::file_size(path) - 4'096, '\x7F');
  }
  const auto reader = open_sqlite_reader(path);
  REQUIRE(reader);
  CHECK((*reader)->run("a").error().code == Code::kDataLoss);
}

TEST_CASE("lists and lookups walk an index: they scan no table and sort nothing") {
  const TemporaryFolder folder;
  sqlite3_auto_extension(reinterpret_cast<void (*)()>(watch));
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  for (int i = 0; i < 1'000; ++i) {
    Append append = first_append(fmt::format("run-{:04}", i), epoch, i);
    append.create->workflow = i % 2 == 0 ? "even" : "odd";
    append.create->status = i % 5;
    append.create->ended = i % 5 != 0;
    if (i % 100 == 0) append.create->labels = {{"rare", "yes"}};
    journal->append(std::move(append), [](const Result<Appended>&) {});
  }
  journal->drain();
  const auto cost = [&](const RunFilter& filter, const std::string& after) {
    effort = {};
    const auto page = journal->runs(filter, 20, after);
    CHECK(page);
    return std::pair(effort.scanned, effort.sorted);
  };
  const std::string after = journal->runs({}, 500, "")->next;
  for (const std::string& from : {std::string(), after}) {
    CAPTURE(from);
    CHECK(cost({}, from).first <= 21);
    CHECK(cost({}, from).second == 0);
    CHECK(cost({.workflow = "even"}, from) == std::pair(0, 0));
    CHECK(cost({.statuses = {3}}, from) == std::pair(0, 0));
    CHECK(cost({.since = at_second(400)}, from) == std::pair(0, 0));
    CHECK(cost({.ended = false}, from).second == 0);
    CHECK(cost({.ended = false}, from).first <= 21);
  }
  // A rare label is found by its index, and the few rows are sorted.
  CHECK(cost({.labels = {{"rare", "yes"}}}, "").first <= 10);
  effort = {};
  CHECK(journal->run("run-0500"));
  CHECK(journal->run("run-05").error().code == Code::kInvalidArgument);
  CHECK(journal->run("@latest"));
  CHECK(journal->events("run-0500", 1, 1));
  CHECK(effort.scanned <= 3);
  CHECK(effort.sorted == 0);
  sqlite3_reset_auto_extension();
}

}  // namespace weft::memory::test
