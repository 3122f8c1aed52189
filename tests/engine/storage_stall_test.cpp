// A store that cannot be written: runs stand still and lose nothing, nothing new begins, and all goes on by itself.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <set>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

constexpr const char* kTwoCalls =
    "weft: 1\nname: two\nsteps:\n  first: {prompt: One}\n  second: {prompt: \"Two {{ steps.first.output }}\"}\n";
constexpr const char* kSlowModel = "sim: 1\ncache: {delay: 0s}\nrules: [{reply: {text: paid, first_token: 300ms}}]\n";

Error full() { return resource_exhausted("/srv/weft.db: the disk is full (SQLite 13: database or disk is full)"); }

class Seen final : public Watcher {
 public:
  void on_advance(std::uint64_t, std::shared_ptr<const v1::Run> over) override { ended = ended || over != nullptr; }
  void on_rest() override { rests = true; }
  void on_progress(const v1::Progress&) override {}
  std::atomic<bool> ended = false;
  std::atomic<bool> rests = false;
};

// A run whose first model call is under way when the disk becomes full.
std::string in_its_first_call(World& world) {
  world.script(kSlowModel);
  world.start();
  world.apply(kTwoCalls);
  std::string id = world.submit("two");
  REQUIRE(eventually([&] { return world.provider().requests() == 1; }));
  return id;
}

bool stands_still(World& world, const std::string& id) {
  return eventually([&] { return world.get(id).status() == v1::RUN_STATUS_WAITING; });
}

void same_history(const std::vector<v1::Event>& events) {
  for (std::size_t i = 0; i < events.size(); ++i) CHECK(events[i].seq() == i + 1);
}

}  // namespace

TEST_CASE("a result that comes while the disk is full is kept, and the run goes on without asking for it again") {
  World world;
  const std::string id = in_its_first_call(world);
  const auto watcher = std::make_shared<Seen>();
  REQUIRE(world.engine().watch(id, watcher));
  world.journal().fail(full());
  REQUIRE(stands_still(world, id));
  CHECK(world.get(id).waits_for() ==
        "room for its events: /srv/weft.db: the disk is full (SQLite 13: database or disk is full)");
  // The second call's intent is not durable, so it has not left.
  CHECK(world.provider().requests() == 1);
  CHECK_FALSE(watcher->rests);
  world.journal().mend();
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(eventually([&] { return watcher->ended.load(); }));
  CHECK(world.provider().requests() == 2);
  const auto events = world.events(id);
  same_history(events);
  int lost = 0;
  for (const v1::Event& event : events) lost += event.has_model_call_failed();
  CHECK(lost == 0);
}

TEST_CASE(
    "the time for which a run stands still is no working time, of attempts before it and of those that begin in it") {
  std::atomic<bool> go_on = false;
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>("t.slow", tools::Effect::kRead, [&](const tools::ToolRequest&) {
    eventually([&] { return go_on.load(); });
    return tools::ToolReply{tools::ToolStatus::kDone, "{}"};
  }));
  world.script(kSlowModel);
  world.start();
  world.apply(
      "weft: 1\nname: two\nsteps:\n  first: {prompt: One, timeout: 900ms}\n"
      "  second: {prompt: \"Two {{ steps.first.output }}\", timeout: 900ms}\n"
      "  beside: {tool: t.slow, args: {}, timeout: 900ms}\n");
  const std::string id = world.submit("two");
  REQUIRE(eventually([&] { return world.provider().requests() == 1; }));
  world.journal().fail(full());
  REQUIRE(stands_still(world, id));
  // The third try to write comes 1.4 s after the first failure: longer than any of them may work.
  const std::size_t failed = world.journal().failed();
  REQUIRE(eventually([&] { return world.journal().failed() >= failed + 3; }));
  world.journal().mend();
  go_on = true;
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  for (const v1::Event& event : world.events(id)) CHECK_FALSE(event.has_timer_fired());
}

TEST_CASE("while a run stands still nothing is admitted, reading goes on, and then both go on") {
  World world;
  const std::string id = in_its_first_call(world);
  CHECK(world.engine().admits());
  world.journal().fail(full());
  REQUIRE(stands_still(world, id));
  v1::RunsSubmitRequest request;
  request.set_workflow("two");
  const std::size_t appends = world.journal().appends();
  const auto refused = world.submit(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kResourceExhausted);
  CHECK(refused.error().message.find("the disk is full") != std::string::npos);
  CHECK(refused.error().details.back() == Detail{"retry_after_ms", "5000"});
  CHECK(world.journal().appends() - appends < 3);  // It was not tried; the one that stands still may have been.
  CHECK_FALSE(world.engine().admits());
  CHECK(world.engine().list_runs(v1::RunsListRequest{})->runs_size() == 1);
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(id);
  std::promise<Result<v1::RunsCancelResponse>> answer;
  world.engine().cancel(cancel, [&](Result<v1::RunsCancelResponse> r) { answer.set_value(std::move(r)); });
  CHECK(answer.get_future().get().error().code == Code::kResourceExhausted);
  world.journal().mend();
  world.wait(id);
  CHECK(world.engine().admits());
  CHECK(world.submit(request));
}

TEST_CASE("a submission that meets the full disk first is refused with the time to ask again, and does not exist") {
  World world;
  world.start();
  world.apply(kTwoCalls);
  world.journal().fail(full());
  v1::RunsSubmitRequest request;
  request.set_workflow("two");
  const auto refused = world.submit(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kResourceExhausted);
  CHECK(refused.error().details.back() == Detail{"retry_after_ms", "5000"});
  world.journal().mend();
  CHECK(world.engine().list_runs(v1::RunsListRequest{})->runs_size() == 0);
  CHECK(world.wait(world.submit("two")).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a disk that fails is UNAVAILABLE to who submits, and runs go on when it works again") {
  World world;
  const std::string id = in_its_first_call(world);
  world.journal().fail(data_loss("/srv/weft.db: the disk failed (SQLite 1034: disk I/O error)"));
  REQUIRE(stands_still(world, id));
  CHECK(world.get(id).waits_for().starts_with("a store that can be written: "));
  v1::RunsSubmitRequest request;
  request.set_workflow("two");
  CHECK(world.submit(request).error().code == Code::kUnavailable);
  world.journal().mend();
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("an append that was written though it looked failed is a success when it is tried again") {
  World world;
  const std::string id = in_its_first_call(world);
  world.journal().fail(data_loss("the answer is lost"), HeldJournal::Written::kLate);
  REQUIRE(eventually([&] { return world.journal().failed() > 0; }));
  world.journal().mend();
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  same_history(world.events(id));
  CHECK(world.provider().requests() == 2);
}

TEST_CASE("who was overtaken answers nobody, also where nothing was to be written") {
  World world;
  const std::shared_ptr<memory::Journal> store(memory::make_memory_journal());
  world.on(store);
  world.start();
  world.apply("weft: 1\nname: wait\nsteps:\n  sure: {ask: Sure?}\n");
  const std::string id = world.submit("wait");
  world.rest(id);
  v1::RunsResumeRequest request;
  request.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::resume, request));  // It was not paused, and is as it should be.
  REQUIRE(store->claim(memory::all_partitions()));
  CHECK(call(world.engine(), &Api::resume, request).error().code == Code::kAborted);
}

TEST_CASE("a stale owner's tail is dropped for good: the run is not tried again") {
  World world;
  const std::string id = in_its_first_call(world);
  world.journal().fail(aborted("partition 7 has another owner"));
  REQUIRE(stands_still(world, id));
  CHECK(world.get(id).waits_for().starts_with("a restart: "));
  CHECK(world.engine().admits());
  const std::size_t failed = world.journal().failed();
  world.journal().mend();
  // A try to write again would have come by the time that this has ended.
  world.apply("weft: 1\nname: later\nsteps:\n  a: {wait: 600ms}\n");
  world.wait(world.submit("later"));
  CHECK(world.journal().failed() == failed);
  CHECK(world.get(id).status() == v1::RUN_STATUS_WAITING);
}

TEST_CASE(
    "what waits for room is bounded: over frozen_bytes_max a run is left to the next start, which loses nothing") {
  World world;
  world.limits.frozen_bytes_max = 100;
  const std::string id = in_its_first_call(world);
  world.journal().fail(full());
  REQUIRE(stands_still(world, id));
  CHECK(world.get(id).waits_for().find("frozen_bytes_max") != std::string::npos);
  CHECK(world.engine().admits());
  world.stop();
  world.start();
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.wait(id).model_calls_lost() == 1);
}

TEST_CASE("what waited for room and has been written takes none of frozen_bytes_max any more") {
  World world;
  world.limits = {.frozen_bytes_max = 15'000};  // One of the signals below, and not two.
  world.start();
  world.apply("weft: 1\nname: ask\nsteps:\n  sure: {ask: Sure?}\n");
  const std::string id = world.submit("ask");
  world.rest(id);
  v1::RunsSignalRequest signal;
  signal.set_run_id(id);
  signal.set_name("note");
  signal.set_payload_json("\"" + std::string(10'000, 'x') + "\"");
  for (int time = 0; time < 2; ++time) {
    world.journal().fail(full());
    CHECK_FALSE(call(world.engine(), &Api::signal, signal));
    REQUIRE(eventually([&] {
      return world.get(id).waits_for().find("the disk is full") != std::string::npos ||
             world.get(id).waits_for().find("frozen_bytes_max") != std::string::npos;
    }));
    CHECK(world.get(id).waits_for().starts_with("room for its events: "));
    world.journal().mend();
    REQUIRE(eventually([&] { return world.get(id).waits_for().starts_with("an answer: "); }));
  }
}

TEST_CASE("many runs that stand still all go on, each with its own history") {
  World world;
  world.script(kSlowModel);
  world.start();
  world.apply(kTwoCalls);
  std::vector<std::string> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(world.submit("two"));
  REQUIRE(eventually([&] { return world.provider().requests() == 50; }));
  world.journal().fail(full());
  for (const std::string& id : ids) REQUIRE(stands_still(world, id));
  world.journal().mend();
  for (const std::string& id : ids) {
    REQUIRE(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
    same_history(world.events(id));
  }
  CHECK(world.provider().requests() == 100);
}
