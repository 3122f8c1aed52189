// What SQLite's journal promises about the disk: synced before answered, one sync for many, checkpoints by the writer
// alone.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>
#include <thread>

#include "memory/journal/sqlite_store.h"
#include "tests/conformance/journal_fixture.h"
#include "tests/memory/fault_vfs.h"
#include "tests/memory/process.h"

namespace weft::memory::test {
namespace {

// For what a thread does by itself: asked again and again until it is so, or too long.
template <class Condition>
bool becomes_true(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// Digests of a store's two files, read by another process: closing a database's file here would drop SQLite's locks.
std::string digests(const std::string& path) {
  Process other([&](const Process::Ends& ends) {
    ends.say(to_hex(view(sha256(content(path)))) + to_hex(view(sha256(content(path + "-wal")))));
  });
  return other.line();
}

}  // namespace

TEST_CASE("an answer comes after the sync of the WAL that holds its events") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  CHECK(append_now(*journal, first_append("a", epoch)));
  for (std::uint64_t seq = 2; seq <= 50; ++seq) {
    const int syncs = disk.wal_syncs;
    int unsynced = -1;
    int syncs_since = 0;
    journal->append(next_append("a", epoch, seq, seq), [&](const Result<Appended>& result) {
      unsynced = result ? disk.wal_bytes_unsynced.load() : -1;
      syncs_since = disk.wal_syncs - syncs;
    });
    journal->drain();
    REQUIRE(unsynced == 0);
    REQUIRE(syncs_since == 1);
  }
}

TEST_CASE("what queued while the last commit ran is one transaction with one sync") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({folder / "weft.db"}).value();
  const Epoch epoch = claim_all(*journal);
  std::promise<void> reached;
  std::promise<void> released;
  journal->append(first_append("a", epoch), [&](const Result<Appended>&) {
    reached.set_value();
    released.get_future().wait();
  });
  reached.get_future().wait();
  const int syncs = disk.wal_syncs;
  for (std::uint64_t seq = 2; seq <= 300; ++seq) {
    journal->append(next_append("a", epoch, seq, seq), [](const Result<Appended>&) {});
  }
  CHECK(journal->run("a")->last_seq == 1);
  released.set_value();
  journal->drain();
  CHECK(journal->run("a")->last_seq == 300);
  CHECK(disk.wal_syncs == syncs + 1);
}

TEST_CASE("one transaction is bounded by batch_bytes_max") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({.path = folder / "weft.db", .batch_bytes_max = 100'000}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  std::promise<void> released;
  journal->append(next_append("a", epoch, 2, 2), [&](const Result<Appended>&) { released.get_future().wait(); });
  CHECK(becomes_true([&] { return journal->run("a")->last_seq == 2; }));
  const int syncs = disk.wal_syncs;
  for (std::uint64_t seq = 3; seq <= 12; ++seq) {
    Append append = next_append("a", epoch, seq, seq);
    append.events = std::string(40'000, 'x');
    journal->append(std::move(append), [](const Result<Appended>&) {});
  }
  released.set_value();
  journal->drain();
  CHECK(disk.wal_syncs - syncs == 5);
}

TEST_CASE("a full queue refuses in order, and what follows the refused is refused for the same reason") {
  const TemporaryFolder folder;
  const auto journal = open_sqlite({.path = folder / "weft.db", .queue_bytes_max = 100'000}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  std::promise<void> released;
  std::vector<std::string> outcomes;
  journal->append(next_append("a", epoch, 2, 2), [&](const Result<Appended>&) { released.get_future().wait(); });
  const auto note = [&](const Result<Appended>& result) { outcomes.push_back(outcome(result)); };
  Append big = next_append("a", epoch, 3, 3);
  big.events = std::string(200'000, 'x');
  journal->append(std::move(big), note);
  journal->append(next_append("a", epoch, 4, 4), note);
  released.set_value();
  journal->drain();
  CHECK(outcomes == std::vector<std::string>{"RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"});
  CHECK(append_now(*journal, next_append("a", epoch, 3, 3)));
  CHECK(append_now(*journal, next_append("a", epoch, 4, 4)));
  CHECK(outcome(append_now(*journal, next_append("a", epoch, 9, 9))) == "DATA_LOSS");
}

TEST_CASE("closing a journal makes durable what is queued") {
  const TemporaryFolder folder;
  int answered = 0;
  {
    const auto journal = open_sqlite({folder / "weft.db"}).value();
    const Epoch epoch = claim_all(*journal);
    journal->append(first_append("a", epoch), [&](const Result<Appended>& result) { answered += result ? 1 : 0; });
    for (std::uint64_t seq = 2; seq <= 100; ++seq) {
      journal->append(next_append("a", epoch, seq, seq), [&](const Result<Appended>& r) { answered += r ? 1 : 0; });
    }
  }
  CHECK(answered == 100);
  CHECK(open_sqlite({folder / "weft.db"}).value()->run("a")->last_seq == 100);
}

TEST_CASE("a killed owner's acknowledged events are there, without gaps and with the rows beside them, for the next") {
  for (const std::uint64_t kill_after : {3, 40, 333}) {
    const TemporaryFolder folder;
    std::uint64_t acknowledged = 0;
    {
      Process owner([&](const Process::Ends& ends) {
        const auto journal = open_sqlite({folder / "weft.db"}).value();
        const Epoch epoch = claim_all(*journal);
        const auto tell = [&](std::uint64_t seq) {
          return [&ends, seq](const Result<Appended>& result) { ends.say(result ? std::to_string(seq) : "failed"); };
        };
        journal->append(first_append("a", epoch), tell(1));
        for (std::uint64_t seq = 2; seq < 100'000; ++seq) {
          Append next = with_row(next_append("a", epoch, seq, seq), "progress", "a", std::to_string(seq));
          journal->append(std::move(next), tell(seq));
          if (seq % 10 == 0) journal->drain();
        }
      });
      while (acknowledged < kill_after) acknowledged = std::stoull(owner.line());
      owner.kill();
    }
    const auto reader = open_sqlite_reader(folder / "weft.db").value();  // Before any owner has come.
    CHECK(reader->run("a")->last_seq >= acknowledged);
    const auto journal = open_sqlite({folder / "weft.db"}).value();
    const Epoch epoch = claim_all(*journal);
    CHECK(epoch == 2);
    const std::uint64_t last = journal->run("a")->last_seq;
    CHECK(last >= acknowledged);
    CHECK(journal->events("a", 1, 1 << 30)->size() == last);
    CHECK(journal->row("progress", "a").value() == std::to_string(last));
    CHECK(append_now(*journal, next_append("a", epoch, last, last)));  // Committed, but its owner never knew.
    CHECK(append_now(*journal, next_append("a", epoch, last + 1, last + 1)));
  }
}

TEST_CASE("the idle writer moves the WAL into the file; what is small it leaves") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({.path = folder / "weft.db", .checkpoint_pages = 100}).value();
  const Epoch epoch = claim_all(*journal);
  must_append(*journal, first_append("a", epoch));
  const int writes_of_creation = disk.file_writes;
  Append big = next_append("a", epoch, 2, 2);
  big.events = std::string(1 << 20, 'x');
  must_append(*journal, std::move(big));
  CHECK(becomes_true([&] { return disk.file_writes > writes_of_creation + 256; }));
}

TEST_CASE("a large WAL is moved also when the writer is never idle, and the WAL begins anew") {
  const TemporaryFolder folder;
  FaultDisk disk;
  const auto journal = open_sqlite({.path = folder / "weft.db", .checkpoint_pages = 10}).value();
  const Epoch epoch = claim_all(*journal);
  journal->append(first_append("a", epoch), [](const Result<Appended>&) {});
  const std::uint64_t total = 400;
  for (std::uint64_t seq = 2; seq <= total; ++seq) {
    Append append = next_append("a", epoch, seq, seq);
    append.events = std::string(40'000, 'x');
    must_append(*journal, std::move(append));
  }
  // 400 batches of ten pages each: 16 MB, of which the WAL never held much more than its limit of 80 pages.
  CHECK(std::filesystem::file_size(folder / "weft.db-wal") < 2'000'000);
  CHECK(journal->events("a", 1, 1 << 30)->size() == total);
}

TEST_CASE("a reader in another process that closes does not checkpoint, with the owner alive or killed") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  const auto read_and_close = [&](const Process::Ends& ends) {
    ends.wait_for_go();
    {
      const auto reader = open_sqlite_reader(path);
      ends.say(reader ? std::to_string((*reader)->run("a")->last_seq) : reader.error().message);
    }
    ends.say("closed");
  };
  Process first(read_and_close);
  Process second(read_and_close);
  Process owner([&](const Process::Ends& ends) {
    const auto journal = open_sqlite({path}).value();
    const Epoch epoch = claim_all(*journal);
    must_append(*journal, first_append("a", epoch));
    for (std::uint64_t seq = 2; seq <= 200; ++seq) must_append(*journal, next_append("a", epoch, seq, seq));
    ends.say("written");
    ends.wait_for_go();
    must_append(*journal, next_append("a", epoch, 201, 201));
    ends.say("written");
    ends.wait_for_go();
  });
  REQUIRE(owner.line() == "written");
  REQUIRE(std::filesystem::file_size(path + "-wal") > 100'000);
  const std::string before = digests(path);
  first.go();
  CHECK(first.line() == "200");
  CHECK(first.line() == "closed");
  CHECK(first.wait());
  CHECK(digests(path) == before);

  owner.go();
  REQUIRE(owner.line() == "written");
  const std::string later = digests(path);
  CHECK(later != before);
  owner.kill();
  second.go();
  CHECK(second.line() == "201");
  CHECK(second.line() == "closed");
  CHECK(second.wait());
  CHECK(digests(path) == later);
}

TEST_CASE("a store that its owner closed still has its WAL, so that no close of a connection was a checkpoint") {
  const TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  {
    const auto journal = open_sqlite({path}).value();
    must_append(*journal, first_append("a", claim_all(*journal)));
  }
  CHECK(std::filesystem::exists(path + "-wal"));
  CHECK(std::filesystem::exists(path + "-shm"));
}

}  // namespace weft::memory::test
