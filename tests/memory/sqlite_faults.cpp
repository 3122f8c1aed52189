// A disk that is full or fails: nothing is claimed that did not happen, reading goes on, and so does the rest
// afterwards.
#include <catch2/catch.hpp>
#include <climits>
#include <functional>
#include <future>

#include "memory/journal/sqlite_store.h"
#include "tests/conformance/journal_fixture.h"
#include "tests/memory/fault_vfs.h"

namespace weft::memory::test {
namespace {

struct FaultyStore {
  TemporaryFolder folder;
  FaultDisk disk;
  std::unique_ptr<Journal> journal = open_sqlite({folder / "weft.db"}).value();
  Epoch epoch = claim_all(*journal);

  std::string append(Append append) { return outcome(append_now(*journal, std::move(append))); }
  std::size_t batches(const std::string& run) const { return journal->events(run, 1, 1 << 30)->size(); }

  // Appends all of them so that they come into one transaction, before which `arm` is called.
  Names append_together(std::vector<Append> appends, const std::function<void()>& arm) {
    Names outcomes;
    std::promise<void> reached;
    std::promise<void> released;
    journal->append(first_append("gate-" + std::to_string(++gates), epoch), [&](const Result<Appended>&) {
      reached.set_value();
      released.get_future().wait();
    });
    reached.get_future().wait();
    arm();
    for (Append& append : appends) {
      journal->append(std::move(append), [&](const Result<Appended>& r) { outcomes.push_back(outcome(r)); });
    }
    released.set_value();
    journal->drain();
    return outcomes;
  }
  int gates = 0;
};

}  // namespace

TEST_CASE("on a full disk appends are RESOURCE_EXHAUSTED, reading goes on, and with room so does writing") {
  FaultyStore store;
  REQUIRE(store.append(first_append("a", store.epoch)) == "");
  store.disk.wal_bytes_max = 0;
  const auto full = append_now(*store.journal, next_append("a", store.epoch, 2, 2));
  REQUIRE_FALSE(full);
  CHECK(full.error().code == Code::kResourceExhausted);
  CHECK(full.error().message.find("the disk is full") != std::string::npos);
  CHECK(full.error().message.find("weft.db") != std::string::npos);
  CHECK(store.append(next_append("a", store.epoch, 3, 3)) == "RESOURCE_EXHAUSTED");  // Not a gap: the same cause.
  CHECK(store.append(first_append("b", store.epoch)) == "RESOURCE_EXHAUSTED");
  CHECK(store.journal->run("a")->last_seq == 1);
  CHECK(store.journal->run("b").error().code == Code::kNotFound);

  store.disk.wal_bytes_max = INT64_MAX;
  CHECK(store.append(next_append("a", store.epoch, 2, 2)) == "");
  CHECK(store.append(next_append("a", store.epoch, 3, 3)) == "");
  CHECK(store.append(first_append("b", store.epoch)) == "");
  CHECK(store.batches("a") == 3);
}

TEST_CASE("on a full disk neither events nor the rows beside them are written, and with room both are") {
  FaultyStore store;
  REQUIRE(store.append(with_row(first_append("a", store.epoch), "memory", "old", "v")) == "");
  Append next = with_row(next_append("a", store.epoch, 2, 2), "memory", "new", "v");
  next.rows.push_back({"memory", "old", std::nullopt});
  store.disk.wal_bytes_max = 0;
  CHECK(store.append(next) == "RESOURCE_EXHAUSTED");
  CHECK(keys(store.journal->rows("memory", "", 10, "")) == Names{"old"});
  store.disk.wal_bytes_max = INT64_MAX;
  CHECK(store.append(next) == "");
  CHECK(keys(store.journal->rows("memory", "", 10, "")) == Names{"new"});
}

TEST_CASE("a transaction that fails once is tried again append by append, rows included, and nobody notices") {
  FaultyStore store;
  REQUIRE(store.append(first_append("a", store.epoch)) == "");
  std::vector<Append> appends{with_row(next_append("a", store.epoch, 2, 2), "memory", "k", "first"),
                              with_row(next_append("a", store.epoch, 3, 3), "memory", "k", "second"),
                              first_append("b", store.epoch), next_append("b", store.epoch, 2, 2)};
  const Names outcomes = store.append_together(std::move(appends), [&] { store.disk.wal_writes_failing = 1; });
  CHECK(store.disk.wal_writes_failing == 0);
  CHECK(outcomes == Names{"", "", "", ""});
  CHECK(store.batches("a") == 3);
  CHECK(store.batches("b") == 2);
  CHECK(store.journal->row("memory", "k").value() == "second");
}

TEST_CASE("of a transaction that fails, only the append that is too much for the disk fails") {
  FaultyStore store;
  REQUIRE(store.append(first_append("a", store.epoch)) == "");
  REQUIRE(store.append(first_append("b", store.epoch)) == "");
  REQUIRE(store.append(first_append("c", store.epoch)) == "");
  Append big = next_append("b", store.epoch, 2, 2);
  big.blobs.push_back({sha256("big"), std::make_shared<const std::string>(8 << 20, 'x')});
  std::vector<Append> appends{next_append("a", store.epoch, 2, 2), std::move(big), next_append("b", store.epoch, 3, 3),
                              next_append("c", store.epoch, 2, 2)};
  const Names outcomes = store.append_together(std::move(appends), [&] { store.disk.wal_bytes_max = 2 << 20; });
  CHECK(outcomes == Names{"", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", ""});
  CHECK(store.batches("a") == 2);
  CHECK(store.batches("b") == 1);
  CHECK(store.batches("c") == 2);
  CHECK(store.journal->blob(sha256("big")).error().code == Code::kNotFound);
}

TEST_CASE("a sync that fails is DATA_LOSS and no success; the store then goes on from what the file holds") {
  FaultyStore store;
  REQUIRE(store.append(first_append("a", store.epoch)) == "");
  REQUIRE(store.journal->run("a"));
  const int opens = store.disk.wal_opens;
  store.disk.wal_syncs_failing = INT_MAX;
  const auto failed = append_now(*store.journal, next_append("a", store.epoch, 2, 2));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Code::kDataLoss);
  CHECK(failed.error().message.find("the disk failed") != std::string::npos);
  CHECK(store.journal->run("a")->last_seq == 1);
  store.disk.wal_syncs_failing = 0;
  CHECK(store.append(next_append("a", store.epoch, 2, 2)) == "");
  CHECK(store.disk.wal_opens > opens);  // A descriptor whose sync failed may forget it; it is not used again.
  CHECK(store.append(next_append("a", store.epoch, 3, 3)) == "");
  CHECK(store.batches("a") == 3);
}

TEST_CASE("a commit that looked failed but is in the file is a success when it is tried again") {
  FaultyStore store;
  REQUIRE(store.append(first_append("a", store.epoch)) == "");
  store.disk.wal_syncs_failing = INT_MAX;
  Append next = with_row(next_append("a", store.epoch, 2, 2), "memory", "k", "v");
  REQUIRE(store.append(next) == "DATA_LOSS");
  // The frames reached the WAL; only their sync failed. Who opens the store next finds them.
  store.journal.reset();
  store.disk.wal_syncs_failing = 0;
  store.journal = open_sqlite({store.folder / "weft.db"}).value();
  store.epoch = claim_all(*store.journal);
  REQUIRE(store.journal->run("a")->last_seq == 2);
  CHECK(store.journal->row("memory", "k").value() == "v");
  next.epoch = store.epoch;
  CHECK(store.append(next) == "");
  CHECK(store.batches("a") == 2);
}

TEST_CASE("a workflow and a claim that a full disk refuses say so") {
  FaultyStore store;
  store.disk.wal_bytes_max = 0;
  Result<WorkflowRow> stored = internal("no answer came");
  store.journal->put_workflow({"h", "w", 0, at_second(1), "b", "s"}, [&](auto result) { stored = std::move(result); });
  store.journal->drain();
  REQUIRE_FALSE(stored);
  CHECK(stored.error().code == Code::kResourceExhausted);
  const auto claimed = store.journal->claim(all_partitions());
  REQUIRE_FALSE(claimed);
  CHECK(claimed.error().code == Code::kResourceExhausted);
}

}  // namespace weft::memory::test
