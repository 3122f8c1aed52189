// One suite for every journal: what memory/journal.h promises, whatever the store.
#include <catch2/catch.hpp>
#include <map>
#include <thread>

#include "tests/conformance/journal_fixture.h"

namespace weft::memory::test {
namespace {

using Names = std::vector<std::string>;

struct SqliteStore {
  TemporaryFolder folder;
  std::unique_ptr<Journal> journal = open_sqlite({folder / "weft.db"}).value();
};

struct MemoryStore {
  std::unique_ptr<Journal> journal = make_memory_journal();
};

// A store with one owner.
template <class Store>
struct Owned : Store {
  Journal& journal = *Store::journal;
  Epoch epoch = journal.claim_all().value();

  std::string append(Append append) { return outcome(append_now(journal, std::move(append))); }
  std::string create(const std::string& run, std::int64_t submitted_s = 1) {
    return append(first_append(run, epoch, submitted_s));
  }
};

}  // namespace

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

TEMPLATE_TEST_CASE("a claim makes earlier owners' appends ABORTED, and they write nothing", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  store.create("a");
  const Epoch later = store.journal.claim_all().value();
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

TEMPLATE_TEST_CASE("once another has claimed the store, nobody owns it who claimed it before", "[journal]", SqliteStore,
                   MemoryStore) {
  Owned<TestType> store;
  CHECK(store.journal.owns(store.epoch));
  const Epoch later = store.journal.claim_all().value();
  CHECK_FALSE(store.journal.owns(store.epoch));
  CHECK(store.journal.owns(later));
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

TEMPLATE_TEST_CASE("blobs are kept by content, whoever writes them", "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const std::string bytes(100'000, '\0');
  const Digest digest = sha256(bytes);
  for (const char* run : {"a", "b"}) {
    Append append = first_append(run, store.epoch);
    append.blobs.push_back({digest, std::make_shared<const std::string>(bytes)});
    append.blobs.push_back({sha256(""), std::make_shared<const std::string>()});
    CHECK(store.append(std::move(append)) == "");
  }
  CHECK(*store.journal.blob(digest).value() == bytes);
  CHECK(store.journal.blob(sha256("")).value()->empty());
  CHECK(store.journal.blob(sha256("unknown")).error().code == Code::kNotFound);
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
  CHECK(ids(store.journal.unfinished().value()) == Names{"b", "a"});
}

TEMPLATE_TEST_CASE("each new content under a name is its next version; an old one that comes again is applied anew",
                   "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const auto put = [&](const std::string& name, const std::string& hash, std::int64_t at) {
    WorkflowRow row{hash, name, 0, at_second(at), "bundle " + hash, "summary " + hash};
    Result<WorkflowRow> stored = internal("no answer came");
    store.journal.put_workflow(row, [&](Result<WorkflowRow> result) { stored = std::move(result); });
    store.journal.drain();
    return stored.value();
  };
  CHECK(put("review", "h1", 10).version == 1);
  CHECK(put("review", "h2", 20).version == 2);
  CHECK(put("other", "h3", 30).version == 1);
  CHECK(store.journal.workflow_by_name("review")->hash == "h2");

  const WorkflowRow again = put("review", "h1", 40);
  CHECK(again.version == 1);
  CHECK(again.applied_at == at_second(40));
  CHECK(store.journal.workflow_by_name("review")->hash == "h1");
  CHECK(store.journal.workflow_by_name("review")->applied_at == at_second(40));
  CHECK(store.journal.workflow_by_hash("h2")->bundle == "bundle h2");
  CHECK(put("review", "h4", 50).version == 3);

  const auto list = store.journal.workflows(10, "").value();
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "other");
  CHECK(list[1].hash == "h4");
  CHECK(list[1].summary == "summary h4");
  CHECK(list[1].bundle.empty());
  CHECK(store.journal.workflows(1, "").value().size() == 1);
  CHECK(store.journal.workflows(10, "other").value().at(0).name == "review");
  CHECK(store.journal.workflow_by_name("none").error().code == Code::kNotFound);
  CHECK(store.journal.workflow_by_hash("none").error().code == Code::kNotFound);
}

TEMPLATE_TEST_CASE("the state of a schedule is replaced, removed, and never written by an owner that was overtaken",
                   "[journal]", SqliteStore, MemoryStore) {
  Owned<TestType> store;
  const Epoch epoch = store.journal.claim_all().value();
  const auto put = [&](const std::string& name, const std::string& state, Epoch by) {
    Status stored = internal("no answer came");
    store.journal.put_schedule({name, state, by}, [&](Status status) { stored = std::move(status); });
    store.journal.drain();
    return stored;
  };
  CHECK(put("weekly", "w1", epoch));
  CHECK(put("daily", "d1", epoch));
  CHECK(put("daily", "d2", epoch));
  auto kept = store.journal.schedules().value();
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].name == "daily");
  CHECK(kept[0].state == "d2");
  CHECK(put("daily", "", epoch));
  CHECK(store.journal.schedules()->size() == 1);
  const Epoch next = store.journal.claim_all().value();
  CHECK(put("weekly", "stale", epoch).error().code == Code::kAborted);
  CHECK(store.journal.schedules()->front().state == "w1");
  CHECK(put("weekly", "w2", next));
  CHECK(store.journal.schedules()->front().state == "w2");
}

}  // namespace weft::memory::test
