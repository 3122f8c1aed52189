// Claims: who may write and send, by partition. Two owners stand for two processes; they share one journal here, as
// they would share one store.
#include <algorithm>
#include <catch2/catch.hpp>

#include "base/bytes.h"
#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {

TEMPLATE_TEST_CASE("a claim makes earlier owners' appends ABORTED, and they write nothing", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  store.create("a");
  const Epoch later = claim_all(store.journal);
  CHECK(later > store.epoch);
  Append stale = next_append("a", store.epoch, 2, 2);
  stale.blobs.push_back(
      {sha256("left by a stale owner"), std::make_shared<const std::string>("left by a stale owner")});
  stale.update = RunRow{};
  stale.update->status = 5;
  CHECK(store.append(std::move(stale)) == "ABORTED");
  CHECK(store.create("b") == "ABORTED");
  CHECK(store.append(next_append("a", store.epoch, 1, 1)) == "ABORTED");  // Also where it would be a repetition.
  CHECK(store.append(next_append("a", later + 1, 2, 2)) == "ABORTED");    // And one that nobody has claimed.
  CHECK(texts(store.journal.events("a", 1, 1 << 20)) == Names{"e1 of a"});
  CHECK(store.journal.run("a")->status == 0);
  CHECK(store.journal.run("b").error().code == Code::kNotFound);
  CHECK(store.journal.blob(sha256("left by a stale owner")).error().code == Code::kNotFound);
  CHECK(store.append(next_append("a", later, 2, 2)) == "");
}

TEMPLATE_TEST_CASE("once another has claimed a partition, nobody may send for it who claimed it before", "[journal]",
                   SqliteStore, MemoryStore) {
  Owned<TestType> store;
  for (const std::uint32_t partition : all_partitions()) CHECK(store.journal.may_send(partition, store.epoch));
  const Epoch later = claim_all(store.journal);
  for (const std::uint32_t partition : all_partitions()) {
    CHECK_FALSE(store.journal.may_send(partition, store.epoch));
    CHECK(store.journal.may_send(partition, later));
    CHECK_FALSE(store.journal.may_send(partition, later + 1));
  }
  CHECK_FALSE(store.journal.may_send(kPartitions, later));
}

TEMPLATE_TEST_CASE("before a claim nobody may write or send", "[journal]", SqliteStore, MemoryStore) {
  TestType store;
  CHECK_FALSE(store.journal->may_send(7, 0));
  CHECK_FALSE(store.journal->may_send(7, 1));
  CHECK(outcome(append_now(*store.journal, first_append("a", 0))) == "ABORTED");
  CHECK(outcome(append_now(*store.journal, first_append("a", 1))) == "ABORTED");
}

TEMPLATE_TEST_CASE("a claim gives at least what is wanted, under epochs above those before", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  const std::vector<std::uint32_t> wanted{9, 3, 9, 255};
  const auto claims = store.journal.claim(wanted);
  REQUIRE(claims);
  const Claims held(*claims);
  for (const std::uint32_t partition : wanted) {
    REQUIRE(held.holds(partition));
    CHECK(held.epoch(partition) > store.epoch);
  }
  CHECK(held.partitions().size() == claims->size());  // Each partition once.
  CHECK(std::ranges::is_sorted(*claims, {}, &Claim::partition));
}

TEMPLATE_TEST_CASE("a claim of nothing, or of what is no partition, is refused and takes nothing away", "[journal]",
                   SqliteStore, MemoryStore) {
  Owned<TestType> store;
  CHECK(store.journal.claim({}).error().code == Code::kInvalidArgument);
  const std::vector<std::uint32_t> wrong{0, kPartitions};
  CHECK(store.journal.claim(wrong).error().code == Code::kInvalidArgument);
  CHECK(store.journal.may_send(0, store.epoch));
  CHECK(store.create("a") == "");
}

TEMPLATE_TEST_CASE("an owner keeps the partitions that another does not claim, and loses those that it claims",
                   "[journal]", SqliteStore, MemoryStore) {
  TestType store;
  Journal& journal = *store.journal;
  const std::vector<std::uint32_t> wanted_first{1, 2};
  const std::vector<std::uint32_t> wanted_second{2, 3};
  const Claims first(journal.claim(wanted_first).value());
  for (const std::uint32_t partition : wanted_first) {
    const std::string run = "run-" + std::to_string(partition);
    REQUIRE(outcome(append_now(journal, in_partition(partition, first_append(run, first.epoch(partition))))) == "");
  }
  const Claims second(journal.claim(wanted_second).value());
  for (const std::uint32_t partition : wanted_first) {
    const std::string run = "run-" + std::to_string(partition);
    const bool lost = second.holds(partition);
    CHECK((lost || partition == 1));
    CHECK(journal.may_send(partition, first.epoch(partition)) == !lost);
    const Append next = in_partition(partition, next_append(run, first.epoch(partition), 2, 2));
    CHECK(outcome(append_now(journal, next)) == (lost ? "ABORTED" : ""));
    if (!lost) continue;
    CHECK(journal.may_send(partition, second.epoch(partition)));
    const Append taken_up = in_partition(partition, next_append(run, second.epoch(partition), 2, 2));
    CHECK(outcome(append_now(journal, taken_up)) == "");
  }
  // The epoch of one partition is none of another, where they have different owners.
  if (!second.holds(1)) {
    CHECK_FALSE(journal.may_send(1, second.epoch(2)));
    CHECK_FALSE(journal.may_send(2, first.epoch(1)));
  }
}

TEMPLATE_TEST_CASE("an owner takes up the unfinished runs of its partitions alone", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  for (std::uint32_t partition = 0; partition < 6; ++partition) {
    const std::string run = "run-" + std::to_string(partition);
    REQUIRE(store.append(in_partition(partition, first_append(run, store.epoch, 10 - partition))) == "");
  }
  Append end = in_partition(4, next_append("run-4", store.epoch, 2, 2));
  end.update = RunRow{};
  end.update->ended = true;
  REQUIRE(store.append(std::move(end)) == "");
  const auto unfinished = [&](const std::vector<std::uint32_t>& partitions) {
    return ids(store.journal.unfinished(partitions).value());
  };
  CHECK(unfinished({1, 4, 5, 200}) == Names{"run-5", "run-1"});
  CHECK(unfinished({2, 2}) == Names{"run-2"});
  CHECK(unfinished({200}).empty());
  CHECK(unfinished({}).empty());
  CHECK(unfinished(all_partitions()) == Names{"run-5", "run-3", "run-2", "run-1", "run-0"});
}

TEMPLATE_TEST_CASE("schedules are written by the owner of partition 0, whoever owns the others", "[journal]",
                   SqliteStore, MemoryStore) {
  TestType store;
  Journal& journal = *store.journal;
  const auto put = [&](Epoch by) {
    Status stored = internal("no answer came");
    journal.put_schedule({"daily", "state", by}, [&](Status status) { stored = std::move(status); });
    journal.drain();
    return stored ? std::string() : std::string(code_name(stored.error().code));
  };
  const std::vector<std::uint32_t> zero{0};
  const std::vector<std::uint32_t> others{1, 2};
  const Claims first(journal.claim(zero).value());
  CHECK(put(first.epoch(0)) == "");
  const Claims second(journal.claim(others).value());
  CHECK(put(first.epoch(0)) == (second.holds(0) ? "ABORTED" : ""));
  CHECK(put(second.epoch(1)) == (second.holds(0) ? "" : "ABORTED"));
}

TEST_CASE("an SQLite store has one owner: a claim of one partition is one of all, without an end", "[journal]") {
  const SqliteStore store;
  const std::vector<std::uint32_t> wanted{40};
  const auto claims = store.journal->claim(wanted);
  REQUIRE(claims);
  REQUIRE(claims->size() == kPartitions);
  for (const Claim& claim : *claims) {
    CHECK(claim.epoch == claims->front().epoch);
    CHECK_FALSE(claim.until);
  }
}

TEST_CASE("a journal in memory is divided among owners, and gives what is wanted alone", "[journal]") {
  const MemoryStore store;
  const std::vector<std::uint32_t> wanted{40, 41};
  const Claims claims(store.journal->claim(wanted).value());
  CHECK(claims.partitions() == wanted);
  CHECK_FALSE(claims.holds(39));
  CHECK_FALSE(claims.holds(kPartitions));
}

}  // namespace weft::memory::test
