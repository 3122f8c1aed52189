// Reading a run's events, and the snapshot that shortens it.
#include <catch2/catch.hpp>

#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {

TEMPLATE_TEST_CASE("reading from the middle of a batch gives that batch and what follows", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  store.create("a");
  store.append(next_append("a", store.epoch, 2, 4));
  store.append(next_append("a", store.epoch, 5, 5));
  CHECK(texts(store.journal.events("a", 0, 1 << 20)).size() == 3);
  CHECK(texts(store.journal.events("a", 3, 1 << 20)) == Names{"e2 of a", "e5 of a"});
  CHECK(texts(store.journal.events("a", 4, 1 << 20)) == Names{"e2 of a", "e5 of a"});
  CHECK(texts(store.journal.events("a", 5, 1 << 20)) == Names{"e5 of a"});
  CHECK(texts(store.journal.events("a", 6, 1 << 20)).empty());
  CHECK(store.journal.events("b", 1, 1 << 20).error().code == Code::kNotFound);
}

TEMPLATE_TEST_CASE("events are read in pieces of about a given size, and at least one", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  store.create("a");
  for (std::uint64_t seq = 2; seq <= 9; ++seq) store.append(next_append("a", store.epoch, seq, seq));
  CHECK(texts(store.journal.events("a", 2, 0)) == Names{"e2 of a"});
  CHECK(texts(store.journal.events("a", 2, 21)) == Names{"e2 of a", "e3 of a", "e4 of a"});
  CHECK(texts(store.journal.events("a", 2, 20)) == Names{"e2 of a", "e3 of a"});
}

TEMPLATE_TEST_CASE("a run has its last snapshot until it ends", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const auto snapshot = [&](const std::string& run) { return store.journal.snapshot(run).value(); };
  CHECK_FALSE(snapshot("a"));
  CHECK(store.append(first_append("a", store.epoch)) == "");
  CHECK(store.append(first_append("b", store.epoch)) == "");
  CHECK_FALSE(snapshot("a"));
  Append with = next_append("a", store.epoch, 2, 4);
  with.snapshot = "as of 4";
  CHECK(store.append(with) == "");
  REQUIRE(snapshot("a"));
  CHECK(snapshot("a")->seq == 4);
  CHECK(snapshot("a")->bytes == "as of 4");
  CHECK_FALSE(snapshot("b"));
  CHECK(store.append(next_append("a", store.epoch, 5, 5)) == "");
  CHECK(snapshot("a")->seq == 4);
  Append again = next_append("a", store.epoch, 6, 6);
  again.snapshot = "as of 6";
  CHECK(store.append(again) == "");
  CHECK(snapshot("a")->bytes == "as of 6");
  Append last = next_append("a", store.epoch, 7, 7);
  last.update = RunRow{};
  last.update->ended = true;
  CHECK(store.append(std::move(last)) == "");
  CHECK_FALSE(snapshot("a"));
}

}  // namespace weft::memory::test
