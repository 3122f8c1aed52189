// Appends: their order, their repetition, their callbacks.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {

TEMPLATE_TEST_CASE("events come back in the order in which they were appended", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  CHECK(store.create("a") == "");
  CHECK(store.append(next_append("a", store.epoch, 2, 4)) == "");
  CHECK(store.append(next_append("a", store.epoch, 5, 5)) == "");

  const auto events = store.journal.events("a", 1, 1 << 20);
  REQUIRE(events);
  REQUIRE(texts(events) == Names{"e1 of a", "e2 of a", "e5 of a"});
  CHECK((*events)[1].first_seq == 2);
  CHECK((*events)[1].last_seq == 4);
  CHECK(store.journal.run("a")->last_seq == 5);
}

TEMPLATE_TEST_CASE("an append that is there already succeeds again and is written once", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  CHECK(store.create("a") == "");
  CHECK(store.create("a") == "");
  CHECK(store.append(next_append("a", store.epoch, 2, 3)) == "");
  CHECK(store.append(next_append("a", store.epoch, 4, 4)) == "");
  CHECK(store.append(next_append("a", store.epoch, 2, 3)) == "");
  CHECK(texts(store.journal.events("a", 1, 1 << 20)).size() == 3);
}

TEMPLATE_TEST_CASE("a repeated append with other bytes or another end is DATA_LOSS", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  store.create("a");
  store.append(next_append("a", store.epoch, 2, 3));
  Append other = next_append("a", store.epoch, 2, 3);
  other.events = "something else";
  CHECK(store.append(std::move(other)) == "DATA_LOSS");
  CHECK(store.append(next_append("a", store.epoch, 2, 4)) == "DATA_LOSS");
  CHECK(store.append(next_append("a", store.epoch, 3, 3)) == "DATA_LOSS");
  CHECK(texts(store.journal.events("a", 1, 1 << 20)) == Names{"e1 of a", "e2 of a"});
}

TEMPLATE_TEST_CASE("an append of several batches is there whole, also where it comes again", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  const auto long_append = [&] {
    Append append = first_append("a", store.epoch);
    append.before = {{1, 3, "e1"}, {4, 4, "e4"}};
    append.first_seq = 5;
    append.last_seq = 6;
    append.events = "e5";
    return append;
  };
  CHECK(store.append(long_append()) == "");
  CHECK(texts(store.journal.events("a", 1, 1 << 20)) == Names{"e1", "e4", "e5"});
  CHECK(store.journal.run("a")->last_seq == 6);
  CHECK(store.append(long_append()) == "");
  CHECK(texts(store.journal.events("a", 1, 1 << 20)) == Names{"e1", "e4", "e5"});
  CHECK(store.append(next_append("a", store.epoch, 7, 7)) == "");
  Append gap = next_append("a", store.epoch, 12, 12);
  gap.before = {{10, 11, "e10"}};
  CHECK(store.append(gap) == "DATA_LOSS");
}

TEMPLATE_TEST_CASE("a gap is DATA_LOSS and writes nothing", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  store.create("a");
  CHECK(store.append(next_append("a", store.epoch, 3, 3)) == "DATA_LOSS");
  CHECK(store.append(next_append("never-created", store.epoch, 1, 1)) == "DATA_LOSS");
  CHECK(store.append(next_append("a", store.epoch, 2, 2)) == "");
  CHECK(texts(store.journal.events("a", 1, 1 << 20)) == Names{"e1 of a", "e2 of a"});
}

TEMPLATE_TEST_CASE("one append at fault does not harm its neighbours", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  Names outcomes;
  const auto note = [&](Result<Appended> result) { outcomes.push_back(outcome(result)); };
  store.journal.append(first_append("a", store.epoch), note);
  store.journal.append(next_append("a", store.epoch, 9, 9), note);
  store.journal.append(next_append("a", store.epoch - 1, 2, 2), note);
  store.journal.append(next_append("a", store.epoch, 2, 2), note);
  store.journal.append(first_append("b", store.epoch), note);
  store.journal.drain();
  CHECK(outcomes == Names{"", "DATA_LOSS", "ABORTED", "", ""});
  CHECK(store.journal.run("a")->last_seq == 2);
}

TEMPLATE_TEST_CASE("callbacks come once each, in the order of the calls, when their events can be read", "[journal]",
                   SqliteStore, MemoryStore) {
  Owned<TestType> store;
  constexpr std::uint64_t kAppends = 500;
  store.create("a");
  std::vector<std::uint64_t> called;
  std::size_t unreadable = 0;
  for (std::uint64_t seq = 2; seq <= kAppends; ++seq) {
    store.journal.append(next_append("a", store.epoch, seq, seq), [&, seq](Result<Appended> result) {
      called.push_back(result ? seq : 0);
      if (store.journal.run("a")->last_seq < seq) ++unreadable;
    });
  }
  store.journal.drain();
  REQUIRE(called.size() == kAppends - 1);
  for (std::size_t i = 0; i < called.size(); ++i) REQUIRE(called[i] == i + 2);
  CHECK(unreadable == 0);
}

TEMPLATE_TEST_CASE("a callback may append", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  Names order;
  bool in_callback = false;
  store.journal.append(first_append("a", store.epoch), [&](Result<Appended>) {
    in_callback = true;
    store.journal.append(next_append("a", store.epoch, 2, 2), [&](Result<Appended> result) {
      order.push_back(in_callback ? "within the first" : outcome(result));
      store.journal.append(next_append("a", store.epoch, 3, 3),
                           [&](Result<Appended> last) { order.push_back("last" + outcome(last)); });
    });
    order.push_back("first");
    in_callback = false;
  });
  while (store.journal.run("a").value_or(RunRow{}).last_seq < 3) store.journal.drain();
  store.journal.drain();
  CHECK(order == Names{"first", "", "last"});
}

TEMPLATE_TEST_CASE("threads append at once, each run in its order", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  constexpr std::uint64_t kEvents = 200;
  std::atomic<int> failed = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, run = "run-" + std::to_string(thread)] {
      const auto count = [&](Result<Appended> result) { failed += result ? 0 : 1; };
      store.journal.append(first_append(run, store.epoch), count);
      for (std::uint64_t seq = 2; seq <= kEvents; ++seq) {
        store.journal.append(next_append(run, store.epoch, seq, seq), count);
        if (seq % 50 == 0 && !store.journal.runs({}, 10, "")) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  store.journal.drain();
  CHECK(failed == 0);
  const RunPage page = store.journal.runs({}, 10, "").value();
  CHECK(page.rows.size() == 4);
  for (const RunRow& row : page.rows) CHECK(row.last_seq == kEvents);
}

}  // namespace weft::memory::test
