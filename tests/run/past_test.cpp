// Runs that go on after their end: what begins again, what stands, and what is not begun again.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

std::size_t started(const Driver& driver, const std::string& path) {
  std::size_t count = 0;
  for (const v1::Event& event : driver.events()) {
    count += event.path() == path && (event.has_attempt_started() || event.has_model_call_started());
  }
  return count;
}

// The retry after these events, folded from the journal alone, goes the same way.
void goes_on_after_a_restart(const Driver& driver, Driver::Model model, Driver::Tool tool) {
  auto again = driver.restarted();
  again->model = std::move(model);
  again->tool = std::move(tool);
  again->finish();
  CHECK(again->run().ended());
  CHECK(again->end().status() == v1::RUN_STATUS_SUCCEEDED);
}

constexpr const char* kTalk = R"(
weft: 1
name: talk
steps:
  ask: {prompt: Go., tools: [t.write], needs: []}
)";

// Books with a tool whose undo has this effect, and fails behind it.
std::shared_ptr<const workflows::Workflow> booked_and_failed(const std::string& effect_of_undo) {
  return workflow("weft: 1\nname: undone\ntools:\n  cancel_it: {effect: " + effect_of_undo + R"(, input: {id: string},
    http: {delete: "http://shop.example/{{ args.id }}"}}
  book: {effect: write, undo: cancel_it, input: {id: string}, http: {post: "http://shop.example/b"}}
steps:
  act: {tool: book, args: {id: a}, needs: []}
  bad: {tool: t.read, args: {x: 1}, needs: [act], retry: {attempts: 1}}
)");
}

}  // namespace

TEST_CASE("a retry begins again what failed and what was cut off, and keeps what is done") {
  Driver driver(workflow(R"(
weft: 1
name: chain
steps:
  paid: {tool: t.write, args: {x: 1}, needs: []}
  broken: {tool: t.read, args: {x: "{{ steps.paid.output }}"}, retry: {attempts: 2, backoff: 1s..1s}}
  after: {set: "{{ steps.broken.output }}"}
)"));
  int reads = 0;
  driver.tool = [&](const ToolCall& call) {
    if (call.tool == "t.write") return tool_done("1");
    return ++reads <= 2 ? tool_failed("down") : tool_done("2");
  };
  driver.submit();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_FAILED);
  driver.retry();
  CHECK_FALSE(driver.run().ended());
  goes_on_after_a_restart(driver, nullptr, driver.tool);
  reads = 2;
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.output() == Json(2));
  CHECK(started(driver, "paid") == 1);
  // A third attempt, and the attempts that it may use counted anew.
  CHECK(started(driver, "broken") == 3);
  CHECK(driver.run().may_retry().error().code == Code::kFailedPrecondition);
}

TEST_CASE("a retry goes on inside a group, in the round where it stopped") {
  Driver driver(workflow(R"(
weft: 1
name: rounds
steps:
  reply:
    repeat: {until: steps.review.output > 1, at_most: 3}
    steps:
      draft: {tool: t.write, args: {x: "{{ previous.review.output ?? 0 }}"}, needs: []}
      review: {tool: t.read, args: {x: "{{ steps.draft.output }}"}, retry: {attempts: 1}}
    returns: "{{ steps.draft.output }}"
)"));
  int reviews = 0;
  std::vector<std::string> drafts;
  driver.tool = [&](const ToolCall& call) {
    if (call.tool == "t.write") {
      drafts.push_back(call.key.path + " " + call.arguments.inline_());
      return tool_done("7");
    }
    ++reviews;
    if (reviews == 2) return tool_failed("down");
    return tool_done(std::to_string(reviews));
  };
  driver.submit();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_FAILED);
  driver.retry();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  // Each round's draft was written once, the second with what the first round's review had said.
  CHECK(drafts == std::vector<std::string>{"reply#1/draft {\"x\":0}", "reply#2/draft {\"x\":1}"});
  CHECK(reviews == 3);
}

TEST_CASE("a retry goes on in the conversation of an agent whose model could not be reached") {
  Driver driver(workflow(kTalk));
  bool down = true;
  driver.model = [&](const ModelCall& call) {
    if (call.key.turn == 1) return calls({{"t.write", "{\"x\":1}"}});
    return down ? failure("auth", false) : answer("done");
  };
  driver.submit();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_FAILED);
  down = false;
  driver.retry();
  goes_on_after_a_restart(driver, driver.model, driver.tool);
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.count(v1::Event::kToolCallStarted) == 1);
  CHECK(driver.count(v1::Event::kAttemptStarted) == 1);
  // Three sendings: the first turn, the second that failed, the second again.
  CHECK(driver.count(v1::Event::kModelCallStarted) == 3);
}

TEST_CASE("a retry asks no turn again whose calls were all answered before the agent was cut off") {
  Driver driver(workflow(kTalk));
  driver.model = [](const ModelCall& call) {
    return call.key.turn == 1 ? calls({{"t.write", "{\"x\":1}"}}) : answer("done");
  };
  driver.submit();
  while (driver.count(v1::Event::kModelCallEnded) < 1) REQUIRE(driver.step());
  driver.cancel();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  driver.retry();
  goes_on_after_a_restart(driver, driver.model, driver.tool);
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.count(v1::Event::kToolCallStarted) == 1);
  CHECK(driver.count(v1::Event::kModelCallStarted) == 2);
}

TEST_CASE("a retry of an agent that was out of time begins it anew") {
  Driver driver(workflow(R"(
weft: 1
name: slow
steps:
  ask: {prompt: Go., tools: [t.read], timeout: 5s, retry: {attempts: 1}}
)"));
  driver.model = [](const ModelCall& call) { return call.key.turn == 1 ? calls({{"t.read", "{}"}}) : answer("done"); };
  driver.submit();
  while (driver.count(v1::Event::kToolCallEnded) == 0) REQUIRE(driver.step());
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  driver.finish();
  REQUIRE(driver.end().failure().kind() == v1::ERROR_KIND_TIMED_OUT);
  driver.retry();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.count(v1::Event::kAttemptStarted) == 2);
}

TEST_CASE("a group that a retry goes on in has its whole time again") {
  Driver driver(workflow(R"(
weft: 1
name: timed
steps:
  all:
    timeout: 1h
    steps:
      work: {tool: t.read, retry: {attempts: 1}}
)"));
  bool down = true;
  driver.tool = [&](const ToolCall&) { return down ? tool_failed("down") : tool_done("1"); };
  driver.submit();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_FAILED);
  driver.pass(std::chrono::hours(5));
  down = false;
  driver.retry();
  std::int64_t due_us = 0;
  for (const Command& command : driver.in_flight()) {
    const auto* timer = std::get_if<StartTimer>(&command);
    if (timer != nullptr && timer->timer == v1::TIMER_KIND_TIMEOUT && timer->key.path == "all") due_us = timer->due_us;
  }
  CHECK(due_us == driver.run().last_at_us() + 3'600'000'000);
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a retry of a fan-out makes only the elements that have no result") {
  Driver driver(workflow(R"(
weft: 1
name: each
input: {list: [integer]}
steps:
  all: {for_each: input.list, max_parallel: 1, tool: t.read, args: {x: "{{ item }}"}, retry: {attempts: 1}}
)"));
  std::map<std::string, int> calls;
  driver.tool = [&](const ToolCall& call) {
    const int n = ++calls[call.arguments.inline_()];
    return call.arguments.inline_() == "{\"x\":2}" && n == 1 ? tool_failed("down") : tool_done("0");
  };
  driver.submit(R"({"list": [1, 2, 3]})");
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_FAILED);
  driver.retry();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.output() == Json({0, 0, 0}));
  CHECK(calls == std::map<std::string, int>{{"{\"x\":1}", 1}, {"{\"x\":2}", 2}, {"{\"x\":3}", 1}});
}

TEST_CASE("a cancelled run can be begun again, and its deadline counts anew") {
  Driver driver(workflow(R"(
weft: 1
name: slow
deadline: 1h
steps:
  one: {prompt: One.}
  two: {wait: 30m, needs: [one]}
  three: {set: "{{ steps.one.text }}", needs: [two]}
)"));
  driver.submit();
  while (driver.count(v1::Event::kAttemptStarted) < 2) REQUIRE(driver.step());
  driver.cancel();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  driver.pass(std::chrono::hours(5));
  driver.retry();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.count(v1::Event::kModelCallStarted) == 1);
}

TEST_CASE("finally runs once more behind a retry, in new attempts and under new keys, and sees what it came to") {
  Driver driver(workflow(R"(
weft: 1
name: last
steps:
  work: {tool: t.read, args: {x: 1}, retry: {attempts: 1}}
finally:
  stop: {tool: t.write, args: {x: 7}, needs: []}
  note: {set: "{{ run.status }}"}
)"));
  int reads = 0;
  std::vector<std::string> stops;
  driver.tool = [&](const ToolCall& call) {
    if (call.tool == "t.read") return ++reads == 1 ? tool_failed("down") : tool_done("1");
    stops.push_back(call.idempotency_key);
    CHECK(call.key.attempt == stops.size());
    return tool_done("2");
  };
  driver.submit();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_FAILED);
  REQUIRE(stops.size() == 1);
  driver.retry();
  goes_on_after_a_restart(driver, nullptr, [](const ToolCall&) { return tool_done("1"); });
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(stops.size() == 2);
  CHECK(stops[0] != stops[1]);
  std::vector<std::string> notes;
  for (const v1::Event& event : driver.events()) {
    if (event.path() == "note" && event.has_step_ended())
      notes.push_back(event.step_ended().result().output_json().inline_());
  }
  CHECK(notes == std::vector<std::string>{"\"failed\"", "\"succeeded\""});
}

TEST_CASE("a failed step of finally alone is begun again without what came before it") {
  Driver driver(workflow(R"(
weft: 1
name: last
steps:
  work: {tool: t.write, args: {x: 1}, needs: []}
finally:
  fine: {tool: t.write, args: {x: 2}, needs: []}
  tell: {tool: t.read, args: {x: 3}, retry: {attempts: 1}}
)"));
  int reads = 0;
  driver.tool = [&](const ToolCall& call) {
    return call.tool == "t.read" && ++reads == 1 ? tool_failed("down") : tool_done("1");
  };
  driver.submit();
  driver.finish();
  REQUIRE(driver.end().status() == v1::RUN_STATUS_FAILED);
  driver.retry();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.count(v1::Event::kToolCallStarted) == 4);
}

TEST_CASE("a run that succeeds behind a retry has nothing that was to be taken back") {
  Driver driver(booked_and_failed("write"));
  bool down = true;
  driver.tool = [&](const ToolCall& call) {
    return call.tool == "cancel_it" || (down && call.tool == "t.read") ? tool_failed("no") : tool_done("1");
  };
  driver.submit();
  driver.finish();
  CHECK(driver.end().undos_failed() == 1);
  driver.retry();
  driver.finish();
  CHECK(driver.end().undos_failed() == 1);
  down = false;
  driver.retry();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.end().undos_failed() == 0);
}

TEST_CASE("what may have been done, was taken back, or followed a change of the world is not begun again") {
  const auto refused = [](Driver& driver) {
    REQUIRE(driver.run().ended());
    const Status may = driver.run().may_retry();
    REQUIRE_FALSE(may);
    CHECK(may.error().code == Code::kFailedPrecondition);
    v1::Event event;
    event.mutable_run_retried();
    CHECK_FALSE(driver.run().expects(event));
    return may.error().message;
  };
  SECTION("a call in doubt, given up") {
    Driver driver(workflow(R"(
weft: 1
name: doubt
tools:
  stop: {effect: write, on_doubt: fail, input: {id: string}, http: {post: "http://shop.example/f"}}
steps:
  act: {tool: stop, args: {id: a}, needs: []}
)"));
    driver.tool = [](const ToolCall&) { return tool_in_doubt("the answer was lost"); };
    driver.submit();
    driver.finish();
    CHECK(refused(driver).find("whether stop was done at act is not known") != std::string::npos);
  }
  SECTION("an effect that was undone, or of which that is not known") {
    const bool is_known = GENERATE(true, false);
    Driver driver(booked_and_failed("write"));
    driver.tool = [&](const ToolCall& call) {
      if (call.tool == "cancel_it" && !is_known) return tool_in_doubt("the answer was lost");
      return call.tool == "t.read" ? tool_failed("no") : tool_done("1");
    };
    driver.submit();
    driver.finish();
    if (!is_known) driver.resolve(v1::RESOLUTION_SKIP);
    driver.finish();
    CHECK(refused(driver).find("act was done and has been, or may have been, taken back") != std::string::npos);
  }
  SECTION("an effect that was being taken back when the run was killed") {
    const bool had_left = GENERATE(true, false);
    Driver driver(booked_and_failed("idempotent"));
    driver.tool = [&](const ToolCall& call) { return call.tool == "t.read" ? tool_failed("no") : tool_done("1"); };
    driver.on_event = [&, killed = false](const v1::Event& event) mutable {
      const bool now = had_left ? event.has_tool_call_started() : event.has_attempt_started();
      if (killed || !now || event.path() != "act/undo") return;
      killed = true;
      driver.kill();
    };
    driver.submit();
    driver.finish();
    REQUIRE(driver.end().status() == v1::RUN_STATUS_CANCELLED);
    if (had_left) {
      CHECK(refused(driver).find("act was done and has been, or may have been, taken back") != std::string::npos);
      return;
    }
    driver.on_event = nullptr;
    driver.retry();
    driver.finish();
    CHECK(driver.step_ended("act/undo").result().status() == v1::STEP_STATUS_SUCCEEDED);
  }
  SECTION("an agent that changed the world and then ran out of turns") {
    Driver driver(workflow(R"(
weft: 1
name: turns
steps:
  ask: {prompt: Go., tools: [t.write], turns: 2, needs: [], retry: {attempts: 1}}
)"));
    driver.model = [](const ModelCall& call) {
      return calls({{"t.write", "{\"x\":" + std::to_string(call.key.turn) + "}"}});
    };
    driver.submit();
    driver.finish();
    CHECK(refused(driver).find("the agent at ask changed the world") != std::string::npos);
  }
  SECTION("a run that succeeded") {
    Driver driver(workflow("weft: 1\nname: fine\nsteps:\n  one: {set: 1}\n"));
    driver.submit();
    driver.finish();
    CHECK(refused(driver).find("nothing of it failed") != std::string::npos);
  }
}
