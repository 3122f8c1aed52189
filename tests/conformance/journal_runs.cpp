// The row of a run: what it is created with, what updates it, by what it is found and listed.
#include <catch2/catch.hpp>

#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {

TEMPLATE_TEST_CASE("a run's row is what it was created with, then what the last update said", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  Append append = first_append("a", store.epoch, 12);
  append.create->labels = {{"team", "red"}, {"area", "böse"}};
  append.create->request_id = "req-1";
  append.create->request_digest = "d1";
  append.create->status = 1;
  CHECK(store.append(std::move(append)) == "");

  const RunRow created = store.journal.run("a").value();
  CHECK(created.partition == 7);
  CHECK(created.workflow == "review");
  CHECK(created.workflow_hash == "c0ffee");
  CHECK(created.status == 1);
  CHECK_FALSE(created.ended);
  CHECK(created.submitted_at == at_second(12));
  CHECK_FALSE(created.ended_at);
  CHECK(created.labels == std::vector<std::pair<std::string, std::string>>{{"team", "red"}, {"area", "böse"}});
  CHECK(created.request_id == "req-1");
  CHECK(created.request_digest == "d1");
  CHECK(created.summary == "summary of a");

  Append end = next_append("a", store.epoch, 2, 6);
  end.update = created;
  end.update->status = 9;
  end.update->ended = true;
  end.update->ended_at = at_second(40);
  end.update->summary = std::string("with\0zero", 9);
  CHECK(store.append(std::move(end)) == "");
  const RunRow ended = store.journal.run("a").value();
  CHECK(ended.status == 9);
  CHECK(ended.ended);
  CHECK(ended.ended_at == at_second(40));
  CHECK(ended.last_seq == 6);
  CHECK(ended.summary == std::string("with\0zero", 9));
  CHECK(ended.labels.size() == 2);
}

TEMPLATE_TEST_CASE("a request id that comes again with the same payload names the run that is there", "[journal]",
                   SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const auto submit = [&](const std::string& run, const std::string& digest) {
    Append append = first_append(run, store.epoch);
    append.create->request_id = "req";
    append.create->request_digest = digest;
    return append_now(store.journal, std::move(append));
  };
  CHECK(submit("a", "same")->existing_run.empty());
  CHECK(submit("b", "same")->existing_run == "a");
  CHECK(store.journal.run("b").error().code == Code::kNotFound);
  const auto other = submit("c", "different");
  REQUIRE_FALSE(other);
  CHECK(other.error().code == Code::kAlreadyExists);
  CHECK(store.journal.run("c").error().code == Code::kNotFound);
  CHECK(submit("a", "same")->existing_run.empty());  // The very append again: a repetition.
  CHECK(store.create("d") == "");                    // Runs without a request id are never the same.
  CHECK(store.create("e") == "");
}

TEMPLATE_TEST_CASE("a request id that comes twice at once makes one run", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  Names existing;
  for (const char* run : {"a", "b", "c"}) {
    Append append = first_append(run, store.epoch);
    append.create->request_id = "req";
    store.journal.append(std::move(append), [&](Result<Appended> result) {
      existing.push_back(result ? result->existing_run : result.error().message);
    });
  }
  store.journal.drain();
  CHECK(existing == Names{"", "a", "a"});
  CHECK(ids(store.journal.runs({}, 10, "")->rows) == Names{"a"});
}

TEMPLATE_TEST_CASE("a run is found by its id, by a unique prefix and as the latest", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  CHECK(store.journal.run("@latest").error().code == Code::kNotFound);
  store.create("01AB", 30);
  store.create("01ABC", 40);
  store.create("01XY", 20);
  CHECK(store.journal.run("01AB")->id == "01AB");  // A whole id wins over those it begins.
  CHECK(store.journal.run("01X")->id == "01XY");
  CHECK(store.journal.run("01ABC")->id == "01ABC");
  CHECK(store.journal.run("@latest")->id == "01ABC");
  const auto several = store.journal.run("01A");
  REQUIRE_FALSE(several);
  CHECK(several.error().code == Code::kInvalidArgument);
  CHECK(several.error().message == "several runs begin with '01A': 01AB and 01ABC");
  CHECK(store.journal.run("02").error().code == Code::kNotFound);
  CHECK(store.journal.run("01ABCD").error().code == Code::kNotFound);
  CHECK(store.journal.run("").error().code == Code::kInvalidArgument);
}

TEMPLATE_TEST_CASE("lists show the newest first, in pages that neither miss nor repeat", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  Names expected;
  for (int i = 10; i < 37; ++i) {
    store.create("run-" + std::to_string(i), 1'000 + i / 3);  // Three of one second each.
    expected.insert(expected.begin(), "run-" + std::to_string(i));
  }
  Names seen;
  std::string after;
  int pages = 0;
  do {
    const RunPage page = store.journal.runs({}, 5, after).value();
    CHECK(page.rows.size() <= 5);
    for (const RunRow& row : page.rows) seen.push_back(row.id);
    after = page.next;
    if (pages++ == 1) store.create("came-later", 5'000);  // Does not move the pages that follow.
  } while (!after.empty() && pages < 20);
  CHECK(pages == 6);
  CHECK(seen == expected);
  CHECK(store.journal.runs({}, 5, "nonsense").error().code == Code::kInvalidArgument);
  CHECK(store.journal.runs({}, 28, "")->next.empty());
  CHECK(store.journal.runs({}, 0, "")->rows.empty());
}

TEMPLATE_TEST_CASE("a list is filtered by workflow, status, labels, time and end", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  for (int i = 0; i < 8; ++i) {
    Append append = first_append("r" + std::to_string(i), store.epoch, 100 + i);
    append.create->workflow = i % 2 == 0 ? "even" : "odd";
    append.create->status = i / 2;
    append.create->ended = i >= 4;
    append.create->labels = {{"n", std::to_string(i % 3)}, {"team", i < 5 ? "red" : "blue"}};
    REQUIRE(store.append(std::move(append)) == "");
  }
  const auto listed = [&](const RunFilter& filter) { return ids(store.journal.runs(filter, 100, "")->rows); };
  CHECK(listed({.workflow = "odd"}) == Names{"r7", "r5", "r3", "r1"});
  CHECK(listed({.statuses = {1}}) == Names{"r3", "r2"});
  CHECK(listed({.statuses = {3, 0}}) == Names{"r7", "r6", "r1", "r0"});
  CHECK(listed({.labels = {{"n", "0"}}}) == Names{"r6", "r3", "r0"});
  CHECK(listed({.labels = {{"n", "0"}, {"team", "red"}}}) == Names{"r3", "r0"});
  CHECK(listed({.labels = {{"n", "red"}}}).empty());
  CHECK(listed({.since = at_second(105)}) == Names{"r7", "r6", "r5"});
  CHECK(listed({.ended = true}) == Names{"r7", "r6", "r5", "r4"});
  CHECK(listed({.ended = false}) == Names{"r3", "r2", "r1", "r0"});
  const RunFilter all_at_once{
      .workflow = "even", .statuses = {0, 1}, .labels = {{"team", "red"}}, .since = at_second(101), .ended = false};
  CHECK(listed(all_at_once) == Names{"r2"});
  const RunPage page = store.journal.runs({.workflow = "odd", .ended = true}, 1, "").value();
  CHECK(ids(page.rows) == Names{"r7"});
  CHECK(ids(store.journal.runs({.workflow = "odd", .ended = true}, 1, page.next)->rows) == Names{"r5"});
}

TEMPLATE_TEST_CASE("unfinished runs come oldest first", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  store.create("a", 30);
  store.create("b", 10);
  store.create("c", 20);
  Append end = next_append("c", store.epoch, 2, 2);
  end.update = RunRow{};
  end.update->ended = true;
  store.append(std::move(end));
  CHECK(ids(store.journal.unfinished(all_partitions()).value()) == Names{"b", "a"});
}

}  // namespace weft::memory::test
