// The maintenance of a store by its engine: what the check finds, what the retention removes, which runs are
// quarantined.
#include "memory/journal/maintenance.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <future>
#include <set>

#include "fixture.h"
#include "memory/journal/inspection.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/engine/maintenance/crash_loop_guard.h"
#include "runtime/engine/maintenance/retention.h"
#include "runtime/engine/maintenance/worker.h"
#include "runtime/history/check_store.h"
#include "runtime/history/event_blobs.h"
#include "runtime/history/event_codec.h"
#include "runtime/history/run_summary.h"
#include "runtime/run/run.h"
#include "tests/conformance/journal_fixture.h"

using namespace weft;
using namespace weft::engine;

namespace {

Time at(std::int64_t seconds) { return Time(std::chrono::seconds(seconds)); }

// A store with runs as an engine writes them, without one.
struct Store {
  memory::test::TemporaryFolder folder;
  std::string path = folder / "weft.db";
  std::unique_ptr<memory::Journal> journal = memory::open_sqlite({path}).value();
  memory::Epoch epoch = memory::test::claim_all(*journal);

  struct Written {
    std::string events;
    std::uint64_t seq = 0;
    std::int64_t at_us = 0;
    std::string digest;
    v1::Run summary;
    void add(v1::Event event, std::int64_t now_us) {
      run::stamp(event, seq, at_us, digest, now_us, 1);
      history::add_to_summary(event, summary);
      history::append_event(event, events);
      seq = event.seq();
      at_us = event.at_us();
      digest = event.digest();
    }
  };

  void apply() {
    memory::WorkflowRow row;
    row.hash = "c0ffee";
    row.name = "review";
    row.bundle = row.summary = "x";
    journal->put_workflow(row, [](const auto&) {});
  }

  // Two events, the second of which ends it; `content` is long and named by the first.
  void ended_run(const std::string& id, std::int64_t ended_s, const std::string& workflow = "review",
                 const std::string& content = "", std::uint32_t doubts = 0) {
    Written written;
    v1::Event submitted;
    submitted.mutable_run_submitted()->set_workflow(workflow);
    submitted.mutable_run_submitted()->set_workflow_hash("c0ffee");
    submitted.mutable_run_submitted()->mutable_identity()->set_run_id(id);
    auto append = memory::test::first_append(id, epoch);
    if (!content.empty()) {
      const Digest digest = sha256(content);
      auto* blob = submitted.mutable_run_submitted()->mutable_input_json()->mutable_blob();
      blob->set_sha256(std::string(view(digest)));
      blob->set_size(content.size());
      append.blobs.push_back({digest, std::make_shared<const std::string>(content)});
    }
    written.add(std::move(submitted), 1'000'000);
    v1::Event ended;
    ended.mutable_run_ended()->set_status(v1::RUN_STATUS_SUCCEEDED);
    written.add(std::move(ended), ended_s * 1'000'000);
    append.last_seq = 2;
    append.events = written.events;
    append.create->workflow = workflow;
    append.create->ended = true;
    append.create->ended_at = at(ended_s);
    if (doubts > 0) written.summary.set_doubts_open(doubts);
    append.create->status = written.summary.status();
    append.create->summary = written.summary.SerializeAsString();
    memory::test::must_append(*journal, std::move(append));
  }

  std::vector<history::Fault> faults() {
    std::vector<history::Fault> found;
    const auto verified = history::check_store(*memory::Inspection::open(path).value(),
                                               [&](const history::Fault& f) { found.push_back(f); });
    REQUIRE(verified);
    CHECK(verified->faults == found.size());
    return found;
  }
  std::vector<std::string> runs() {
    auto page = journal->runs({}, 100, "").value();
    std::vector<std::string> ids;
    for (auto& row : page.rows) ids.push_back(row.id);
    std::ranges::sort(ids);
    return ids;
  }
  // As a broken disk or another program would.
  void damage(const std::string& sql) {
    journal.reset();
    REQUIRE(memory::Connection::open(path, memory::Connection::Mode::kWrite)->execute(sql.c_str()));
  }
};

Pruned prune_now(Store& store, const Retention& retention, PruneOrder order) {
  const std::atomic<bool> stop = false;
  return prune(*store.journal->maintenance(), retention, order, stop).value();
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("a sound store has no faults") {
  Store store;
  store.apply();
  store.ended_run("a", 10);
  store.ended_run("b", 10, "review", std::string(20'000, 'x'));
  CHECK(store.faults().empty());
}

TEST_CASE("verify names the run and the way out of whatever is not as it was written") {
  Store store;
  store.apply();
  store.ended_run("a", 10, "review", std::string(20'000, 'x'));
  std::string sql;
  std::string run = "a";
  std::string says;
  SECTION("a missing batch") {
    sql = "UPDATE batches SET seq_first = 2";
    says = "events 1 to 1 are missing";
  }
  SECTION("bytes that are no events") {
    sql = "UPDATE batches SET events = X'FF00'";
    says = "damaged";
  }
  SECTION("an event that was changed") {
    sql = "UPDATE batches SET events = CAST(replace(CAST(events AS TEXT), 'review', 'ReviEW') AS BLOB)";
    says = "its digest differs";
  }
  SECTION("a batch that was cut short") {
    sql = "UPDATE batches SET seq_last = 3";
    says = "events 3 to 3 are missing";
  }
  SECTION("a content that is gone") {
    sql = "DELETE FROM blobs";
    says = "which is not there";
  }
  SECTION("a content that was changed") {
    sql = "UPDATE blobs SET bytes = zeroblob(20000)";
    run = "";
    says = "is not what its name says";
  }
  SECTION("a content that the next prune would take away") {
    sql = "DELETE FROM blob_uses";
    says = "not kept for this run";
  }
  SECTION("events of no run") {
    sql = "INSERT INTO batches (run, seq_first, seq_last, epoch, events) VALUES (99, 1, 1, 1, X'00')";
    run = "";
    says = "1 batches of events belong to no run";
  }
  SECTION("a row that says otherwise") {
    sql = "UPDATE runs SET ended = 0";
    says = "its row says that it goes on";
  }
  SECTION("an output that was changed") {
    v1::Run summary;
    REQUIRE(summary.ParseFromString(store.journal->run("a").value().summary));
    summary.mutable_output_json()->set_inline_("\"paid\"");
    sql = "UPDATE runs SET summary = X'" + to_hex(summary.SerializeAsString()) + "'";
    says = "its row tells another output_json than its events";
  }
  SECTION("a run under another name") {
    sql = "UPDATE runs SET workflow = 'payroll'";
    says = "its row tells another workflow than its events";
  }
  SECTION("a status that was changed") {
    sql = "UPDATE runs SET status = 9";
    says = "its row tells another status than its events";
  }
  SECTION("a workflow that is gone") {
    sql = "DELETE FROM workflows";
    says = "is not in the store";
  }
  store.damage(sql);
  const auto faults = store.faults();
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].run == run);
  INFO(faults[0].what);
  CHECK(faults[0].what.find(says) != std::string::npos);
  CHECK_FALSE(faults[0].way_out.empty());
}

TEST_CASE("runs go when their workflow's time is over, and not those that are needed") {
  Store store;
  store.ended_run("kept", 1'000);
  store.ended_run("old", 100);
  store.ended_run("doubt", 100, "review", "", 1);
  store.ended_run("short", 900, "brief");
  store.ended_run("never", 1, "law");
  Retention retention;
  retention.otherwise = std::chrono::seconds(500);
  retention.workflows["brief"] = std::chrono::seconds(50);
  retention.workflows["law"] = std::nullopt;
  PruneOrder order;
  order.now = at(1'001);
  order.mode = PruneOrder::Mode::kCount;
  CHECK(prune_now(store, retention, order).runs == 2);
  CHECK(store.runs() == Ids{"doubt", "kept", "never", "old", "short"});
  order.mode = PruneOrder::Mode::kRemove;
  const Pruned pruned = prune_now(store, retention, order);
  CHECK(pruned.runs == 2);
  CHECK(pruned.kept == 1);
  CHECK(store.runs() == Ids{"doubt", "kept", "never"});
  // What is asked for wins over what is configured, but not over what is needed.
  order.older_than = Duration::zero();
  order.workflow = "law";
  CHECK(prune_now(store, retention, order).runs == 1);
  order.workflow = "";
  CHECK(prune_now(store, retention, order).runs == 1);
  CHECK(store.runs() == Ids{"doubt"});
}

TEST_CASE("thirty days are kept where nothing is configured") {
  Store store;
  store.ended_run("a", 10);
  PruneOrder order;
  order.now = at(10) + Duration(std::chrono::hours(24 * 30));
  CHECK(prune_now(store, Retention{}, order).runs == 0);
  order.now += Duration(1);
  CHECK(prune_now(store, Retention{}, order).runs == 1);
}

TEST_CASE("every content that an event names is found, however deep") {
  v1::Event event;
  auto& ended = *event.mutable_model_call_ended();
  ended.mutable_text()->mutable_blob()->set_sha256("one");
  ended.add_calls()->mutable_arguments()->mutable_blob()->set_sha256("two");
  ended.add_calls()->mutable_arguments()->set_inline_("{}");
  std::set<std::string> names;
  history::each_blob(event, [&](const v1::Blob& blob, const std::string&) { names.insert(blob.sha256()); });
  CHECK(names == std::set<std::string>{"one", "two"});
}

TEST_CASE("a run is left alone after five crashes in a row in which it was at work and did not get on") {
  memory::Left left;
  left.in_order = false;
  const auto crash = [&](bool at_work, bool got_on) {
    CrashLoopGuard guard(left, kCrashesMax, 1);
    const auto why = guard.count("a", 7, at_work, got_on);
    for (const auto& [run, count] : guard.counted()) left.crashes[run] = count;
    return why;
  };
  SECTION("in a row") {
    for (int i = 0; i < 4; ++i) CHECK_FALSE(crash(true, false));
    const auto why = crash(true, false);
    REQUIRE(why);
    CHECK(why->find("crashed 5 times in a row") != std::string::npos);
    CHECK(why->find("limits.crashes_max") != std::string::npos);
    CHECK(crash(true, false));  // And so it stays, also after
    left.in_order = true;       // an owner that left in order.
    CHECK(crash(true, false));
    CHECK_FALSE(CrashLoopGuard(left, 9, 1).count("a", 7, true, false));
    CHECK_FALSE(CrashLoopGuard(left, 0, 1).count("a", 7, true, false));
    CHECK_FALSE(CrashLoopGuard(left, kCrashesMax, 2).count("a", 7, true, false));  // One of two: twice as many.
  }
  SECTION("what it did in between begins the count anew") {
    for (int i = 0; i < 4; ++i) CHECK_FALSE(crash(true, false));
    CHECK_FALSE(crash(true, true));
    for (int i = 0; i < 3; ++i) CHECK_FALSE(crash(true, false));
    CHECK(crash(true, false));
  }
  SECTION("a run that only waits for a time is not at work") {
    for (int i = 0; i < 20; ++i) CHECK_FALSE(crash(false, false));
  }
  SECTION("an owner that left in order is no crash") {
    left.in_order = true;
    for (int i = 0; i < 20; ++i) CHECK_FALSE(crash(true, false));
    CHECK(left.crashes.empty());
  }
}

TEST_CASE("a run that a thread was at is counted whatever its events say, before it is read, and alone") {
  memory::Left left;
  left.in_order = false;
  left.at_work = {"a"};
  std::uint64_t last_seq = 7;
  const auto crash = [&](const std::string& run) {
    CrashLoopGuard guard(left, kCrashesMax, 3);
    const auto why = guard.count_unread(run, last_seq);
    for (const auto& [counted, count] : guard.counted()) left.crashes[counted] = count;
    return why;
  };
  for (int i = 0; i < 4; ++i) {
    CHECK_FALSE(crash("a"));
    CHECK_FALSE(crash("b"));
  }
  SECTION("the fifth time it is not read any more") {
    const auto why = crash("a");
    REQUIRE(why);
    CHECK(why->find("crashed 5 times in a row") != std::string::npos);
    CHECK_FALSE(left.crashes.contains("b"));
  }
  SECTION("one that has more events by now is read, and they say whether it got on") {
    last_seq = 9;
    CHECK_FALSE(crash("a"));
    CHECK(CrashLoopGuard(left, kCrashesMax, 3).count("a", 9, false, false));
    CHECK_FALSE(CrashLoopGuard(left, kCrashesMax, 3).count("a", 9, false, true));
  }
  SECTION("an owner that left in order was at nothing") {
    left.in_order = true;
    left.crashes.clear();
    for (int i = 0; i < 20; ++i) CHECK_FALSE(crash("a"));
  }
}

TEST_CASE("the intent of a call and its loss are not getting on; its result is") {
  v1::Event event;
  event.mutable_model_call_started();
  CHECK_FALSE(gets_on(event));
  event.mutable_model_call_failed()->set_failure("lost");
  CHECK_FALSE(gets_on(event));
  event.mutable_model_call_failed()->set_failure("rate_limit");
  CHECK(gets_on(event));
  event.mutable_tool_call_ended();
  CHECK(gets_on(event));
}

TEST_CASE("the caretaker does its round again and again, and what is asked for in between") {
  std::atomic<int> rounds = 0;
  std::promise<void> asked;
  {
    MaintenanceWorker worker(Duration(1'000), Duration(1'000), [&](const std::atomic<bool>&) { ++rounds; });
    REQUIRE(worker.ask([&](const std::atomic<bool>&) { asked.set_value(); }));
    asked.get_future().wait();
    CHECK(testing::eventually([&] { return rounds >= 3; }));
  }
}

TEST_CASE("more jobs of care than its limit are refused") {
  std::promise<void> release;
  std::promise<void> begun;
  MaintenanceWorker worker(std::chrono::hours(1), std::chrono::hours(1), [](const std::atomic<bool>&) {});
  REQUIRE(worker.ask([&](const std::atomic<bool>&) {
    begun.set_value();
    release.get_future().wait();
  }));
  begun.get_future().wait();
  for (std::size_t i = 0; i < MaintenanceWorker::kJobsMax; ++i) CHECK(worker.ask([](const std::atomic<bool>&) {}));
  CHECK_FALSE(worker.ask([](const std::atomic<bool>&) {}));
  release.set_value();
}
