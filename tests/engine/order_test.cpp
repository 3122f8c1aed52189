// Order under load: runs and calls that wait for their turn.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

constexpr const char* kAct = R"(
weft: 1
name: act
input: {n: integer}
steps:
  act: {tool: t.read, args: {x: "{{ input.n }}"}}
)";

// A tool that is held until the test lets one call go, and remembers in which order calls came.
class Gatekeeper {
 public:
  std::shared_ptr<RecordingTool> tool() {
    return std::make_shared<RecordingTool>("t.read", tools::Effect::kRead, [this](const tools::ToolRequest& request) {
      {
        const std::lock_guard lock(mutex_);
        came_.push_back(request.arguments);
      }
      eventually([&] { return take(); });
      return tools::ToolReply{tools::ToolStatus::kDone, "{}"};
    });
  }
  void let_go(int calls) { free_ += calls; }
  std::vector<std::string> came() const {
    const std::lock_guard lock(mutex_);
    return came_;
  }

 private:
  bool take() {
    int free = free_;
    while (free > 0) {
      if (free_.compare_exchange_weak(free, free - 1)) return true;
    }
    return false;
  }
  std::atomic<int> free_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> came_;
};

v1::RunsSubmitRequest numbered(int n, std::int32_t priority = 0, const std::string& tenant = "") {
  v1::RunsSubmitRequest request;
  request.set_workflow("act");
  request.set_input_json(fmt::format(R"({{"n": {}}})", n));
  request.set_priority(priority);
  if (!tenant.empty()) {
    request.add_labels()->set_key("tenant");
    request.mutable_labels(0)->set_value(tenant);
  }
  return request;
}

std::string submit(World& world, const v1::RunsSubmitRequest& request) {
  auto response = world.submit(request);
  if (!response) FAIL(response.error().message);
  return response->run_id();
}

std::string argument(int n) { return fmt::format(R"({{"x":{}}})", n); }

}  // namespace

TEST_CASE("over runs_at_work_max runs are queued and say so; over runs_queued_max they are refused, with when to ask") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.limits.runs_queued_max = 2;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(submit(world, numbered(i)));
  REQUIRE(eventually([&] { return gate.came().size() == 1; }));
  CHECK(world.get(ids[0]).status() == v1::RUN_STATUS_RUNNING);
  for (int i = 1; i < 3; ++i) {
    const v1::Run queued = world.get(ids[static_cast<std::size_t>(i)]);
    CHECK(queued.status() == v1::RUN_STATUS_QUEUED);
    CHECK(queued.waits_for() == "its turn: 1 runs at work, which is the limit (limits.runs_at_work_max); 2 wait");
  }
  v1::RunsListRequest list;
  list.add_statuses(v1::RUN_STATUS_QUEUED);
  CHECK(world.engine().list_runs(list)->runs_size() == 2);
  const auto refused = world.submit(numbered(3));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kResourceExhausted);
  CHECK(refused.error().details.front() == Detail{"limit", "runs_queued_max"});
  CHECK(refused.error().details.back().key == "retry_after_ms");
  // What is queued is in the store alone.
  REQUIRE(eventually([&] { return world.engine().active_runs() == 1; }));
  gate.let_go(4);
  for (const std::string& id : ids) CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.submit(numbered(3)));
}

TEST_CASE("among queued runs a higher priority begins first, and the priority is part of the run") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  submit(world, numbered(0));
  const std::string low = submit(world, numbered(1, -1));
  const std::string usual = submit(world, numbered(2));
  const std::string high = submit(world, numbered(3, 7));
  CHECK(world.get(high).priority() == 7);
  CHECK(world.events(high).front().run_submitted().priority() == 7);
  gate.let_go(4);
  for (const std::string& id : {low, usual, high}) world.wait(id);
  CHECK(gate.came() == std::vector<std::string>{argument(0), argument(3), argument(2), argument(1)});
  CHECK(world.submit(numbered(4, 101)).error().code == Code::kInvalidArgument);
  CHECK(world.submit(numbered(4, -101)).error().code == Code::kInvalidArgument);
}

TEST_CASE("the values of the label that turns are shared by take turns, however many runs of one wait") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.config.fair_by = "tenant";
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  std::vector<std::string> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(submit(world, numbered(i, 0, "loud")));
  for (int i = 6; i < 8; ++i) ids.push_back(submit(world, numbered(i, 0, "quiet")));
  gate.let_go(8);
  for (const std::string& id : ids) world.wait(id);
  std::vector<std::string> expected;
  for (const int n : {0, 1, 6, 2, 7, 3, 4, 5}) expected.push_back(argument(n));
  CHECK(gate.came() == expected);
}

TEST_CASE("runs without the label that turns are shared by share one turn, whatever their workflow") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.config.fair_by = "tenant";
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  world.apply("weft: 1\nname: other\nsteps:\n  act: {tool: t.read, args: {x: 9}}\n");
  std::vector<std::string> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(submit(world, numbered(i)));
  ids.push_back(world.submit("other"));
  gate.let_go(4);
  for (const std::string& id : ids) world.wait(id);
  CHECK(gate.came() == std::vector<std::string>{argument(0), argument(1), argument(2), argument(9)});
}

TEST_CASE("a signal to a queued run is kept, and gives it no place") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  const std::string first = submit(world, numbered(0));
  const std::string queued = submit(world, numbered(1));
  v1::RunsSignalRequest signal;
  signal.set_run_id(queued);
  signal.set_name("paid");
  REQUIRE(call(world.engine(), &Api::signal, signal));
  for (const v1::Event& event : world.events(queued)) CHECK_FALSE(event.has_attempt_started());
  CHECK(world.get(queued).status() == v1::RUN_STATUS_QUEUED);
  gate.let_go(2);
  CHECK(world.wait(queued).status() == v1::RUN_STATUS_SUCCEEDED);
  world.wait(first);
}

TEST_CASE("a request that a queued run refuses costs it no place in line") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  const std::string first = submit(world, numbered(0));
  const std::string queued = submit(world, numbered(1));
  // It has left the memory by then, and is woken for nothing.
  REQUIRE(eventually([&] { return world.engine().active_runs() == 1; }));
  v1::RunsAnswerRequest answer;
  answer.set_run_id(queued);
  answer.set_path("act");
  answer.set_value_json("1");
  REQUIRE_FALSE(call(world.engine(), &Api::answer, answer));
  CHECK(world.get(queued).status() == v1::RUN_STATUS_QUEUED);
  gate.let_go(2);
  CHECK(world.wait(queued).status() == v1::RUN_STATUS_SUCCEEDED);
  world.wait(first);
}

TEST_CASE("while the line is full no run is begun again and none is forked, and who asks is told when to ask again") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.limits.runs_queued_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  world.apply("weft: 1\nname: bad\nsteps:\n  one: {set: \"{{ [][0] }}\"}\n");
  const std::string failed = world.submit("bad");
  REQUIRE(world.wait(failed).status() == v1::RUN_STATUS_FAILED);
  // Its place is free once its shard knows of its end.
  REQUIRE(eventually([&] { return world.engine().active_runs() == 0; }));
  submit(world, numbered(0));
  submit(world, numbered(1));
  const auto refused = [](const auto& response) {
    REQUIRE_FALSE(response);
    CHECK(response.error().code == Code::kResourceExhausted);
    CHECK(response.error().details.front() == Detail{"limit", "runs_queued_max"});
    CHECK(response.error().details.back().key == "retry_after_ms");
  };
  v1::RunsRetryRequest retry;
  retry.set_run_id(failed);
  refused(call(world.engine(), &Api::retry, retry));
  v1::RunsForkRequest fork;
  fork.set_run_id(failed);
  fork.set_from("one");
  refused(call(world.engine(), &Api::fork, fork));
  gate.let_go(2);
}

TEST_CASE("queued runs are queued again after a restart, in their order, behind those that had begun") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  std::vector<std::string> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(submit(world, numbered(i, i == 3 ? 1 : 0)));
  REQUIRE(eventually([&] { return gate.came().size() == 1; }));
  // Once no shard is left that could begin the next call, which nobody would let go.
  world.journal().on_drain([&] { gate.let_go(1); });
  world.stop();
  world.start();
  REQUIRE(eventually([&] { return gate.came().size() >= 2; }));
  CHECK(world.get(ids[1]).status() == v1::RUN_STATUS_QUEUED);
  gate.let_go(4);
  for (const std::string& id : ids) CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  std::vector<std::string> came = gate.came();
  came.erase(std::unique(came.begin(), came.end()), came.end());
  CHECK(came == std::vector<std::string>{argument(0), argument(3), argument(1), argument(2)});
}

TEST_CASE("a queued run is cancelled at once, ends by its deadline, and holds its place while it is spoken to") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  world.apply("weft: 1\nname: late\ndeadline: 300ms\nsteps:\n  a: {set: 1}\n");
  const std::string first = submit(world, numbered(0));
  const std::string cancelled = submit(world, numbered(1));
  const std::string late = world.submit("late");
  const std::string paused = submit(world, numbered(2));
  const auto call = [&](auto method, const std::string& id) {
    std::promise<bool> promise;
    method(id, [&](const auto& response) { promise.set_value(response.has_value()); });
    return promise.get_future().get();
  };
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(cancelled);
  std::promise<bool> answered;
  world.engine().cancel(cancel, [&](auto response) { answered.set_value(response.has_value()); });
  CHECK(answered.get_future().get());
  CHECK(world.wait(cancelled).status() == v1::RUN_STATUS_CANCELLED);
  CHECK(world.wait(late).status() == v1::RUN_STATUS_FAILED);
  CHECK(world.wait(late).failure().kind() == v1::ERROR_KIND_DEADLINE);
  CHECK(call(
      [&](const std::string& id, auto done) {
        v1::RunsPauseRequest pause;
        pause.set_run_id(id);
        world.engine().pause(pause, done);
      },
      paused));
  REQUIRE(eventually([&] { return world.get(paused).status() == v1::RUN_STATUS_PAUSED; }));
  gate.let_go(1);
  world.wait(first);
  CHECK(world.get(paused).status() == v1::RUN_STATUS_PAUSED);
  CHECK(gate.came().size() == 1);
  CHECK(call(
      [&](const std::string& id, auto done) {
        v1::RunsResumeRequest resume;
        resume.set_run_id(id);
        world.engine().resume(resume, done);
      },
      paused));
  gate.let_go(1);
  CHECK(world.wait(paused).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a run that waits for somebody holds no place, and goes on though none is free") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  world.apply("weft: 1\nname: ask\nsteps:\n  sure: {ask: Sure?, choices: [yes]}\n");
  const std::string asking = world.submit("ask");
  CHECK(world.rest(asking).status() == v1::RUN_STATUS_WAITING);
  const std::string working = submit(world, numbered(0));
  REQUIRE(eventually([&] { return gate.came().size() == 1; }));
  v1::RunsAnswerRequest answer;
  answer.set_run_id(asking);
  answer.set_path("sure");
  answer.set_value_json("\"yes\"");
  world.engine().answer(answer, [](const auto&) {});
  CHECK(world.wait(asking).status() == v1::RUN_STATUS_SUCCEEDED);
  gate.let_go(1);
  world.wait(working);
}

TEST_CASE("a draining engine begins no queued run; they are there for the next one") {
  Gatekeeper gate;
  World world;
  world.limits.runs_at_work_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(kAct);
  const std::string first = submit(world, numbered(0));
  const std::string second = submit(world, numbered(1));
  REQUIRE(eventually([&] { return world.engine().active_runs() == 1; }));
  gate.let_go(2);
  world.engine().drain(std::chrono::seconds(20));
  CHECK(world.get(first).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.get(second).status() == v1::RUN_STATUS_QUEUED);
  CHECK(world.get(second).waits_for() == "the next start: this weft is stopping and begins no more runs");
  CHECK(gate.came().size() == 1);
  world.stop();
  world.start();
  CHECK(world.wait(second).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a call waits for its turn without holding a thread, says so, and its timeout stands still") {
  Gatekeeper gate;
  World world;
  world.limits.tool_calls_max = 1;
  world.tools.push_back(gate.tool());
  world.start();
  world.apply(
      "weft: 1\nname: act\ninput: {n: integer}\nsteps:\n"
      "  act: {tool: t.read, args: {x: \"{{ input.n }}\"}, timeout: 500ms}\n");
  world.apply("weft: 1\nname: hold\nsteps:\n  act: {tool: t.read, args: {x: 0}}\n");
  const std::string first = world.submit("hold");
  REQUIRE(eventually([&] { return gate.came().size() == 1; }));
  const std::string second = submit(world, numbered(1));
  REQUIRE(eventually([&] { return !world.get(second).waits_for().empty(); }));
  CHECK(world.get(second).status() == v1::RUN_STATUS_RUNNING);
  CHECK(world.get(second).waits_for() ==
        "its turn: 1 calls of tools that block, which is the limit (tool_calls_max); 1 waits");
  std::this_thread::sleep_for(std::chrono::milliseconds(800));
  CHECK(world.get(second).ended_at_us() == 0);
  // Nor is it working time for the next engine.
  // Once no shard is left that could begin the next call, which nobody would let go.
  world.journal().on_drain([&] { gate.let_go(1); });
  world.stop();
  world.start();
  gate.let_go(2);
  CHECK(world.wait(second).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.wait(first).status() == v1::RUN_STATUS_SUCCEEDED);
}

namespace {

// The most that began and had not ended at once, of model calls over all runs, as their events say.
int most_at_once(World& world, const std::vector<std::string>& ids) {
  std::multimap<std::int64_t, int> changes;
  for (const std::string& id : ids) {
    for (const v1::Event& event : world.events(id)) {
      if (event.has_model_call_started()) changes.emplace(event.at_us(), 1);
      if (event.has_model_call_ended()) changes.emplace(event.at_us() - 1, -1);
    }
  }
  int now = 0;
  int most = 0;
  for (const auto& [at, change] : changes) most = std::max(most, now += change);
  return most;
}

constexpr const char* kSay = "weft: 1\nname: say\nsteps:\n  say: {prompt: Hello, model: office/any}\n";
constexpr const char* kSlow = "sim: 1\nany_model: true\nrules: [{reply: {text: hi, first_token: 30ms}}]\n";

}  // namespace

TEST_CASE("no more calls to a provider are under way than its in_flight_max says") {
  World world;
  world.script(kSlow);
  world.way = World::Way::kProvider;
  world.simulated = false;
  model::Provider office;
  office.name = "office";
  office.in_flight_max = 2;
  world.config.catalog.put(office);
  world.start();
  world.apply(kSay);
  std::vector<std::string> ids;
  for (int i = 0; i < 12; ++i) ids.push_back(world.submit("say"));
  for (const std::string& id : ids) CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(most_at_once(world, ids) == 2);
}

TEST_CASE("a rate of a provider is kept, and who waits for it says so") {
  World world;
  world.script(kSlow);
  world.way = World::Way::kProvider;
  world.simulated = false;
  model::Provider office;
  office.name = "office";
  office.requests_per_minute = 3;
  world.config.catalog.put(office);
  world.start();
  world.apply(kSay);
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(world.submit("say"));
  for (int i = 0; i < 3; ++i) world.wait(ids[static_cast<std::size_t>(i)]);
  CHECK(world.get(ids[4]).waits_for() ==
        "its turn: 3 calls to the provider office within a minute, which is the limit "
        "(providers.office.requests_per_minute); 2 wait");
  CHECK(world.provider().requests() == 3);
  // Nothing had left, so nothing was paid for.
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(ids[4]);
  world.engine().cancel(cancel, [](const auto&) {});
  const v1::Run cancelled = world.wait(ids[4]);
  CHECK(cancelled.status() == v1::RUN_STATUS_CANCELLED);
  CHECK(cancelled.model_calls() == 0);
}

TEST_CASE("each value of a label has its own limit of model calls, and of runs") {
  World world;
  world.script(kSlow);
  admission::LabelLimits limits;
  limits.label = "tenant";
  limits.runs_at_work_max = 3;
  limits.model_calls_max = 1;
  world.config.by_label.push_back(limits);
  world.start();
  world.apply("weft: 1\nname: act\ninput: {n: integer}\nsteps:\n  a: {prompt: Hi}\n  b: {prompt: Ho}\n");
  std::vector<std::string> ann;
  std::vector<std::string> bob;
  for (int i = 0; i < 6; ++i) {
    ann.push_back(submit(world, numbered(i, 0, "ann")));
    bob.push_back(submit(world, numbered(i, 0, "bob")));
  }
  CHECK(world.get(ann[4]).status() == v1::RUN_STATUS_QUEUED);
  CHECK(world.get(ann[4]).waits_for().starts_with(
      "its turn: 3 runs at work with tenant=ann, which is the limit (limits.by_label.tenant.runs_at_work_max); "));
  std::vector<std::string> all = ann;
  all.insert(all.end(), bob.begin(), bob.end());
  for (const std::string& id : all) CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(most_at_once(world, ann) == 1);
  CHECK(most_at_once(world, bob) == 1);
  CHECK(most_at_once(world, all) == 2);
}

TEST_CASE("each value of a label has its own rate of model calls") {
  World world;
  admission::LabelLimits limits;
  limits.label = "tenant";
  limits.model_calls_per_minute = 1;
  world.config.by_label.push_back(limits);
  world.start();
  world.apply("weft: 1\nname: act\ninput: {n: integer}\nsteps:\n  a: {prompt: Hi}\n");
  world.wait(submit(world, numbered(0, 0, "ann")));
  CHECK(world.wait(submit(world, numbered(1, 0, "bob"))).status() == v1::RUN_STATUS_SUCCEEDED);
  const std::string second = submit(world, numbered(2, 0, "ann"));
  REQUIRE(eventually([&] { return world.get(second).ended_at_us() != 0 || !world.get(second).waits_for().empty(); }));
  CHECK(world.get(second).waits_for() ==
        "its turn: 1 model calls with tenant=ann within a minute, which is the limit "
        "(limits.by_label.tenant.model_calls_per_minute); 1 waits");
}

TEST_CASE("a call that the provider refuses takes nothing of a minute's tokens") {
  World world;
  world.script(
      "sim: 1\nrules:\n  - {when: {times: 1}, reply: {error: {status: 400, message: No.}}}\n"
      "  - {reply: {text: hi}}\n");
  admission::LabelLimits limits;
  limits.label = "tenant";
  limits.tokens_per_minute = 1'000;
  world.config.by_label.push_back(limits);
  world.start();
  world.apply("weft: 1\nname: act\ninput: {n: integer}\nsteps:\n  a: {prompt: Hi, max_output: 700}\n");
  CHECK(world.wait(submit(world, numbered(0, 0, "ann"))).status() == v1::RUN_STATUS_FAILED);
  const std::string next = submit(world, numbered(1, 0, "ann"));
  REQUIRE(eventually([&] { return world.get(next).ended_at_us() != 0 || !world.get(next).waits_for().empty(); }));
  CHECK(world.get(next).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a call waits for the tokens of a minute by its worst case, and gives back what it did not use") {
  World world;
  world.script(kSlow);
  admission::LabelLimits limits;
  limits.label = "tenant";
  limits.tokens_per_minute = 1'000;
  world.config.by_label.push_back(limits);
  world.start();
  world.apply("weft: 1\nname: act\ninput: {n: integer}\nsteps:\n  a: {prompt: Hi, max_output: 700}\n");
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.push_back(submit(world, numbered(i, 0, "ann")));
  // Two worst cases are more than a minute allows, five answers are not.
  for (const std::string& id : ids) CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(most_at_once(world, ids) == 1);
}
