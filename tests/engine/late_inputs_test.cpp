// What is said too late is looked up in the run's past without keeping any other run waiting.
#include "runtime/engine/late_inputs.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr const char* kMany = R"(
weft: 1
name: many
input: {n: [integer]}
steps:
  sure: {ask: Sure?}
  all: {for_each: input.n, needs: [sure], set: "{{ item }}"}
)";
constexpr const char* kTiny = "weft: 1\nname: tiny\nsteps:\n  a: {set: 1}\n";

v1::RunsAnswerRequest answer_of(const std::string& id, const std::string& json) {
  v1::RunsAnswerRequest request;
  request.set_run_id(id);
  request.set_path("sure");
  request.set_value_json(json);
  return request;
}

// How long submissions take while `until` is not yet true: the 99th of a hundred.
milliseconds p99_of_submits(World& world, const std::atomic<bool>& until) {
  std::vector<steady_clock::duration> took;
  while (!until || took.size() < 100) {
    const auto begun = steady_clock::now();
    world.submit("tiny");
    took.push_back(steady_clock::now() - begun);
  }
  std::ranges::sort(took);
  return std::chrono::duration_cast<milliseconds>(took[took.size() * 99 / 100]);
}

}  // namespace

TEST_CASE(
    "while late answers read a run of 100,000 events, as signals do, the p99 of another submit is at most 20 ms, and "
    "none of them, nor a late cancel, keeps its caller") {
  World world;
  world.start();
  world.apply(kMany);
  world.apply(kTiny);
  std::string numbers = "[0";
  for (int i = 1; i < 100'000; ++i) numbers += "," + std::to_string(i);
  const std::string id = world.submit("many", R"({"n": )" + numbers + "]}");
  world.rest(id);
  REQUIRE(call(world.engine(), &Api::answer, answer_of(id, "\"yes\"")));
  REQUIRE(world.wait(id).last_seq() > 100'000);
  // Each page of events takes what it takes on a slow disk.
  world.journal().slow_pages(milliseconds(400));
  std::atomic<int> open = 8;
  std::atomic<bool> over = false;
  const auto closed = [&] {
    if (--open == 0) over = true;
  };
  const std::size_t pages = world.journal().pages_read();
  const auto begun = steady_clock::now();
  for (int i = 0; i < 2; ++i) {
    world.engine().answer(answer_of(id, i == 0 ? "\"yes\"" : "\"no\""),
                          [&, i](const Result<v1::RunsAnswerResponse>& answered) {
                            CHECK((i == 0 ? answered.has_value() && answered->existing()
                                          : !answered && answered.error().code == Code::kAlreadyExists));
                            closed();
                          });
    v1::RunsSignalRequest signal;
    signal.set_run_id(id);
    signal.set_name("go");
    signal.set_payload_json("1");
    signal.set_signal_id("s-" + std::to_string(i));
    world.engine().signal(signal, [&](const Result<v1::RunsSignalResponse>& told) {
      CHECK((!told && told.error().code == Code::kFailedPrecondition));
      closed();
    });
  }
  // They stand behind those in the same line, and are told of a run that has ended.
  for (int i = 0; i < 4; ++i) {
    v1::RunsCancelRequest cancel;
    cancel.set_run_id(id);
    world.engine().cancel(cancel, [&](const Result<v1::RunsCancelResponse>& told) {
      CHECK((told && told->run().status() == v1::RUN_STATUS_SUCCEEDED));
      closed();
    });
  }
  // Less than a single page takes.
  CHECK(steady_clock::now() - begun < milliseconds(400));
  CHECK(open > 4);
  CHECK(p99_of_submits(world, over).count() <= 20);
  REQUIRE(eventually([&] { return over.load(); }));
  CHECK(world.journal().pages_read() - pages >= 8);
}

TEST_CASE("more than so many late answers at once are refused with the limit's name, and each is answered") {
  World world;
  world.start();
  world.apply("weft: 1\nname: ask\nsteps:\n  sure: {ask: Sure?}\n");
  const std::string id = world.submit("ask");
  world.rest(id);
  REQUIRE(call(world.engine(), &Api::answer, answer_of(id, "\"yes\"")));
  world.wait(id);
  world.journal().slow_pages(milliseconds(20));
  constexpr int kAsked = LateInputs::kLateReadsMax + 10;
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  for (int i = 0; i < kAsked; ++i) {
    world.engine().answer(answer_of(id, "\"yes\""), [&](const Result<v1::RunsAnswerResponse>& response) {
      if (!response && response.error().code == Code::kResourceExhausted &&
          response.error().details.front() == Detail{"limit", "late_reads_max"})
        ++refused;
      ++answered;
    });
  }
  REQUIRE(eventually([&] { return answered == kAsked; }));
  CHECK(refused > 0);
  CHECK(refused <= 10);
}

TEST_CASE("a late answer that is being looked up when the engine stops is told so soon") {
  World world;
  world.start();
  world.apply(kMany);
  const std::string id = world.submit("many", R"({"n": [1, 2, 3]})");
  world.rest(id);
  REQUIRE(call(world.engine(), &Api::answer, answer_of(id, "\"yes\"")));
  world.wait(id);
  world.journal().slow_pages(milliseconds(100));
  std::vector<std::future<Result<v1::RunsAnswerResponse>>> answers;
  for (int i = 0; i < 50; ++i) {
    auto promise = std::make_shared<std::promise<Result<v1::RunsAnswerResponse>>>();
    answers.push_back(promise->get_future());
    world.engine().answer(answer_of(id, "\"yes\""), [promise](Result<v1::RunsAnswerResponse> response) {
      promise->set_value(std::move(response));
    });
  }
  world.engine().stop();
  const auto stopped = steady_clock::now();
  world.stop();
  CHECK(steady_clock::now() - stopped < std::chrono::seconds(2));
  std::size_t told = 0;
  for (auto& answer : answers) told += !answer.get();
  CHECK(told > 40);
}
