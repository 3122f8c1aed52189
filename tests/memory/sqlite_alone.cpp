// An append that nothing else is at work beside: written by the thread that hands it in, where that is quicker.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <mutex>
#include <thread>

#include "tests/conformance/journal_fixture.h"
#include "tests/memory/fault_vfs.h"

namespace weft::memory::test {
namespace {

Append alone(Append append) {
  append.alone = true;
  return append;
}

}  // namespace

TEST_CASE("an append that is alone is durable and answered when it was handed in, by the same thread") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  disk.wal_syncs_are_free = true;
  // Where another process has the processor in the middle of a commit, the next one is the queue's.
  int here = 0;
  for (std::uint64_t seq = 2; seq <= 500 && here < 20; ++seq) {
    const int syncs = disk.wal_syncs;
    std::thread::id answered_by;
    int unsynced = -1;
    std::uint64_t stored = 0;
    journal->append(alone(next_append("a", epoch, seq, seq)), [&](const Result<Appended>& result) {
      answered_by = std::this_thread::get_id();
      unsynced = result ? disk.wal_bytes_unsynced.load() : -1;
      stored = journal->run("a")->last_seq;
    });
    journal->drain();
    REQUIRE(unsynced == 0);
    REQUIRE(stored == seq);
    REQUIRE(disk.wal_syncs == syncs + 1);
    if (answered_by == std::this_thread::get_id()) ++here;
  }
  CHECK(here == 20);
}

TEST_CASE("a caller does not wait for a slow disk, but for the one commit that shows it") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  disk.wal_sync_ms = 20;
  const auto written_here = [&](std::uint64_t seq) {
    bool here = false;
    journal->append(alone(next_append("a", epoch, seq, seq)),
                    [&, caller = std::this_thread::get_id()](const Result<Appended>&) {
                      here = std::this_thread::get_id() == caller;
                    });
    journal->drain();
    return here;
  };
  (void)written_here(2);
  for (std::uint64_t seq = 3; seq <= 5; ++seq) CHECK_FALSE(written_here(seq));
  disk.wal_sync_ms = 0;
  bool again = false;
  for (std::uint64_t seq = 6; seq <= 200 && !again; ++seq) again = written_here(seq);
  CHECK(again);
}

TEST_CASE("appends of several threads, alone or not, keep their order and lose nothing") {
  const TemporaryFolder folder;
  const auto journal = open_sqlite({.path = folder / "weft.db", .checkpoint_pages = 50}).value();
  const Epoch epoch = claim_all(*journal);
  constexpr std::uint64_t kEvents = 300;
  std::mutex mutex;
  std::map<std::string, std::vector<std::uint64_t>> answered;
  std::vector<std::thread> threads;
  for (const std::string run : {"a", "b", "c"}) {
    threads.emplace_back([&, run] {
      for (std::uint64_t seq = 1; seq <= kEvents; ++seq) {
        Append append = seq == 1 ? first_append(run, epoch) : next_append(run, epoch, seq, seq);
        append.alone = seq % 3 != 0;
        journal->append(std::move(append), [&, run, seq](const Result<Appended>& result) {
          const std::lock_guard lock(mutex);
          if (result) answered[run].push_back(seq);
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  journal->drain();
  for (const std::string run : {"a", "b", "c"}) {
    INFO(run);
    CHECK(journal->run(run)->last_seq == kEvents);
    REQUIRE(answered[run].size() == kEvents);
    CHECK(std::ranges::is_sorted(answered[run]));
  }
}

TEST_CASE("an append that is alone fails as others do, and the next one is written") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  Append gap = alone(next_append("a", epoch, 5, 5));
  CHECK(outcome(append_now(*journal, gap)) == "DATA_LOSS");
  CHECK(outcome(append_now(*journal, alone(next_append("a", epoch - 1, 2, 2)))) == "ABORTED");
  disk.wal_syncs_failing = 100;  // What fails together is tried again by itself.
  const auto failed = append_now(*journal, alone(next_append("a", epoch, 2, 2)));
  disk.wal_syncs_failing = 0;
  REQUIRE_FALSE(failed);
  CHECK(may_heal(failed.error()));
  CHECK(append_now(*journal, alone(next_append("a", epoch, 2, 2))));
  CHECK(journal->run("a")->last_seq == 2);
}

}  // namespace weft::memory::test
