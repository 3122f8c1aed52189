// Every answer that somebody waits for comes exactly once: also where the store finds another owner, and where weft
// ends.
#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

constexpr const char* kCalls = "weft: 1\nname: calls\nsteps:\n  first: {prompt: One}\n";
constexpr const char* kNightly =
    "weft: 1\nname: nightly\non: {schedule: \"0 3 1 1 *\"}\nsteps:\n  first: {prompt: One}\n";
constexpr std::chrono::seconds kPatience{60};

// Asks, and does not wait for the answer.
template <class Response, class Request>
std::future<Result<Response>> ask(Engine& engine, void (Api::*method)(const Request&, Reply<Response>),
                                  const Request& request) {
  auto promise = std::make_shared<std::promise<Result<Response>>>();
  auto answer = promise->get_future();
  (engine.*method)(request, [promise](Result<Response> response) { promise->set_value(std::move(response)); });
  return answer;
}

template <class Response>
Code code_of(std::future<Result<Response>>& answer) {
  REQUIRE(answer.wait_for(kPatience) == std::future_status::ready);
  const Result<Response> response = answer.get();
  return response ? Code::kUnknown : response.error().code;
}

v1::RunsSubmitRequest submission(const std::string& workflow) {
  v1::RunsSubmitRequest request;
  request.set_workflow(workflow);
  return request;
}

}  // namespace

TEST_CASE("a reply answers once: when it is called, or with UNAVAILABLE when it is destroyed or replaced before that") {
  std::vector<std::pair<std::string, Result<int>>> answers;
  const auto reply = [&](std::string name) {
    return Reply<int>([&answers, name](Result<int> answer) { answers.emplace_back(name, std::move(answer)); });
  };
  {
    Reply<int> nobody;
  }
  {
    Reply<int> called = reply("called");
    called(7);
    CHECK_FALSE(called);
  }
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].second.value() == 7);
  {
    Reply<int> from = reply("moved");
    Reply<int> to = std::move(from);
    CHECK(to);
    CHECK(answers.size() == 1);
    Reply<int> replaced = reply("replaced");
    replaced = std::move(to);
    REQUIRE(answers.size() == 2);
    CHECK(answers[1].first == "replaced");
  }
  REQUIRE(answers.size() == 3);
  CHECK(answers[2].first == "moved");
  for (std::size_t i = 1; i < answers.size(); ++i) {
    REQUIRE_FALSE(answers[i].second);
    CHECK(answers[i].second.error().code == Code::kUnavailable);
    CHECK(answers[i].second.error().message.find("`weft runs`") != std::string::npos);
  }
}

TEST_CASE("who submits is answered where the store finds another owner between the first commit and the gate") {
  World world;
  world.start();
  world.apply(kCalls);
  world.journal().hold();
  auto submitted = ask(world.engine(), &Api::submit, submission("calls"));
  REQUIRE(eventually([&] { return world.journal().waiting() == 1; }));
  world.journal().disown();
  world.journal().release();
  CHECK(code_of(submitted) == Code::kAborted);
  CHECK(world.provider().requests() == 0);
}

TEST_CASE("a schedule whose run was taken over is not busy for ever") {
  World world;
  world.start();
  world.apply(kNightly);
  v1::SchedulesTriggerRequest trigger;
  trigger.set_workflow("nightly");
  world.journal().hold();
  auto triggered = ask(world.engine(), &Api::trigger_schedule, trigger);
  REQUIRE(eventually([&] { return world.journal().waiting() == 1; }));
  v1::SchedulesPauseRequest pause;
  pause.set_workflow("nightly");
  auto paused = ask(world.engine(), &Api::pause_schedule, pause);
  world.journal().disown();
  world.journal().release();
  CHECK(code_of(triggered) == Code::kAborted);
  // What was asked behind it has its turn.
  CHECK(code_of(paused) == Code::kUnknown);
}

TEST_CASE("whoever waits when an engine stops is told so, and whoever asks afterwards") {
  World world;
  world.start();
  world.apply(kCalls);
  world.apply(kNightly);
  world.apply("weft: 1\nname: asks\nsteps:\n  sure: {ask: Sure?}\n");
  const std::string asks = world.submit("asks");
  world.rest(asks);
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(asks);
  v1::SchedulesTriggerRequest trigger;
  trigger.set_workflow("nightly");
  v1::RunsForkRequest fork;
  fork.set_run_id(asks);
  fork.set_from("sure");
  v1::SchedulesPauseRequest pause;
  pause.set_workflow("nightly");
  world.journal().hold();
  auto submitted = ask(world.engine(), &Api::submit, submission("calls"));
  auto cancelled = ask(world.engine(), &Api::cancel, cancel);
  auto forked = ask(world.engine(), &Api::fork, fork);
  REQUIRE(eventually([&] { return world.journal().waiting() == 3; }));
  auto triggered = ask(world.engine(), &Api::trigger_schedule, trigger);
  REQUIRE(eventually([&] { return world.journal().waiting() == 4; }));
  auto waits = ask(world.engine(), &Api::pause_schedule, pause);  // Behind the trigger.
  world.engine().stop();
  CHECK(code_of(submitted) == Code::kUnavailable);
  CHECK(code_of(cancelled) == Code::kUnavailable);
  CHECK(code_of(forked) == Code::kUnavailable);
  CHECK(code_of(triggered) == Code::kUnavailable);
  auto late = ask(world.engine(), &Api::cancel, cancel);
  auto late_pause = ask(world.engine(), &Api::pause_schedule, pause);
  CHECK(code_of(late) == Code::kUnavailable);
  CHECK(code_of(late_pause) == Code::kUnavailable);
  CHECK(world.get(asks).ended_at_us() == 0);  // It can still be read.
  world.stop();
  CHECK(code_of(waits) == Code::kUnavailable);
}
