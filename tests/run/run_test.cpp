#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

// The prompt text of an attempt, as the model gets it.
std::string prompt_of(const Driver& driver, const std::string& path) {
  for (const v1::Event& event : driver.events()) {
    if (event.path() == path && event.has_attempt_started()) return event.attempt_started().input().inline_();
  }
  return "";
}

}  // namespace

TEST_CASE("a chain of set steps runs to its end in one go, with integers where shapes say so") {
  Driver driver(workflow(R"(
weft: 1
name: chain
input: {seed: integer}
steps:
  a: {set: "{{ (input.seed * 31 + 0) % 1000003 }}"}
  b: {set: "{{ (steps.a.output * 31 + 1) % 1000003 }}"}
  c: {set: "{{ (steps.b.output * 31 + 2) % 1000003 }}"}
)"));
  driver.submit(R"({"seed": 7})");
  CHECK(driver.run().ended());
  CHECK(driver.output() == Json(((7 * 31 + 0) * 31 + 1) * 31 + 2));
  CHECK(driver.in_flight().empty());
}

TEST_CASE("an agent's answer is its step's output and reaches whoever mentions it") {
  Driver driver(workflow(R"(
weft: 1
name: two
input: {who: string}
steps:
  greet: {prompt: "Greet {{ input.who }}."}
  shout: {prompt: "Shout: {{ steps.greet.output }}"}
)"));
  driver.model = [](const ModelCall& call) { return answer(call.key.path == "greet" ? "Hello Ada" : "HELLO ADA"); };
  driver.submit(R"({"who": "Ada"})");
  driver.finish();
  CHECK(prompt_of(driver, "greet") == "Greet Ada.");
  CHECK(prompt_of(driver, "shout") == "Shout: Hello Ada");
  CHECK(driver.output() == "HELLO ADA");
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("reads of one turn run together, writes one after another after them") {
  Driver driver(workflow(R"(
weft: 1
name: tools
steps:
  work: {prompt: "Go.", tools: [t.read, t.write], needs: []}
)"));
  int turn = 0;
  driver.model = [&](const ModelCall&) {
    if (++turn > 1) return answer("done");
    return calls(
        {{"t.write", R"({"x":1})"}, {"t.read", R"({"x":2})"}, {"t.write", R"({"x":3})"}, {"t.read", R"({"x":4})"}});
  };
  std::vector<std::uint32_t> order;
  driver.tool = [&](const ToolCall& call) {
    order.push_back(call.key.call);
    return tool_done("{}");
  };
  driver.submit();
  driver.step();
  CHECK(driver.count(v1::Event::kToolCallStarted) == 2);  // The reads alone.
  driver.finish();
  REQUIRE(order.size() == 4);
  CHECK((order[0] == 2 || order[0] == 4));
  CHECK((order[1] == 2 || order[1] == 4));
  CHECK(order[2] == 1);
  CHECK(order[3] == 3);
  CHECK(driver.output() == "done");
}

TEST_CASE("a write that fails stops the writes behind it, and the model reads why") {
  Driver driver(workflow(R"(
weft: 1
name: tools
steps:
  work: {prompt: "Go.", tools: [t.write], needs: []}
)"));
  int turn = 0;
  driver.model = [&](const ModelCall&) {
    return ++turn > 1 ? answer("sorry") : calls({{"t.write", R"({"x":1})"}, {"t.write", R"({"x":2})"}});
  };
  driver.tool = [](const ToolCall&) { return tool_failed("no room"); };
  driver.submit();
  driver.finish();
  CHECK(driver.count(v1::Event::kToolCallStarted) == 1);
  CHECK(driver.output() == "sorry");
}

TEST_CASE("an identical write of one step instance is answered from its record") {
  Driver driver(workflow(R"(
weft: 1
name: tools
steps:
  work: {prompt: "Go.", tools: [t.write], needs: []}
)"));
  int turn = 0;
  driver.model = [&](const ModelCall&) { return ++turn > 2 ? answer("ok") : calls({{"t.write", R"({ "x" : 1 })"}}); };
  driver.submit();
  driver.finish();
  CHECK(driver.count(v1::Event::kToolCallStarted) == 1);
  int reused = 0;
  for (const v1::Event& event : driver.events()) reused += event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_REUSED;
  CHECK(reused == 1);
}

TEST_CASE("an unknown tool and arguments that break the shape are results that the model sees") {
  Driver driver(workflow(R"(
weft: 1
name: tools
steps:
  work: {prompt: "Go.", tools: [t.read]}
)"));
  int turn = 0;
  driver.model = [&](const ModelCall&) {
    return ++turn > 1 ? answer("ok") : calls({{"rm_rf", "{}"}, {"t.read", R"({"y":1})"}, {"t.write", "{}"}});
  };
  driver.submit();
  driver.finish();
  CHECK(driver.count(v1::Event::kToolCallStarted) == 0);
  std::vector<std::string> refusals;
  for (const v1::Event& event : driver.events()) {
    if (event.has_tool_call_ended()) refusals.push_back(event.tool_call_ended().output().inline_());
  }
  REQUIRE(refusals.size() == 3);
  CHECK_THAT(refusals[0], Catch::Contains("rm_rf"));
  CHECK_THAT(refusals[1], Catch::Contains("y"));
  CHECK_THAT(refusals[2], Catch::Contains("t.write"));
}

TEST_CASE("a model call that failed in transport is made again within the step's attempts, with growing pauses") {
  Driver driver(workflow(R"(
weft: 1
name: retry
steps:
  ask: {prompt: "Go.", retry: {attempts: 3, backoff: 1s..8s}}
)"));
  int sends = 0;
  driver.model = [&](const ModelCall&) { return ++sends < 3 ? failure("rate_limit", true) : answer("late"); };
  driver.submit();
  driver.finish();
  CHECK(sends == 3);
  CHECK(driver.output() == "late");
  CHECK(driver.count(v1::Event::kAttemptStarted) == 1);
  std::vector<std::int64_t> pauses;
  for (const v1::Event& event : driver.events()) {
    if (event.has_model_call_repeated()) pauses.push_back(event.model_call_repeated().at_us() - event.at_us());
  }
  REQUIRE(pauses.size() == 2);
  CHECK(pauses[0] > 499'000);
  CHECK(pauses[0] <= 1'000'000);
  CHECK(pauses[1] > 999'000);
  CHECK(pauses[1] <= 2'000'000);
}

TEST_CASE("a model call waits as long as its provider asks for, and no longer than ten minutes") {
  Driver driver(workflow(R"(
weft: 1
name: retry
steps:
  ask: {prompt: "Go.", retry: {attempts: 3, backoff: 1s..1s}}
)"));
  std::int64_t asked_us = 20'000'000;
  int sends = 0;
  driver.model = [&](const ModelCall&) {
    if (++sends == 3) return answer("late");
    v1::Event event = failure("rate_limit", true);
    event.mutable_model_call_failed()->set_retry_after_us(std::exchange(asked_us, 7'200'000'000));
    return event;
  };
  driver.submit();
  driver.finish();
  std::vector<std::int64_t> pauses;
  for (const v1::Event& event : driver.events()) {
    if (event.has_model_call_repeated()) pauses.push_back(event.model_call_repeated().at_us() - event.at_us());
  }
  CHECK(pauses == std::vector<std::int64_t>{20'000'000, kRetryAfterUsMax});
}

TEST_CASE("an agent takes as many turns as it has, and no more") {
  Driver driver(workflow(R"(
weft: 1
name: turns
steps:
  ask: {prompt: Go., tools: [t.read], turns: 2, retry: {attempts: 1}}
)"));
  driver.model = [](const ModelCall&) { return calls({{"t.read", "{}"}}); };
  driver.submit();
  driver.finish();
  CHECK(driver.count(v1::Event::kModelCallStarted) == 2);
  CHECK(driver.status("ask") == "failed:TURNS");
}

TEST_CASE("an answer that was cut off makes its run limited, also where it is one element's") {
  Driver driver(workflow(R"(
weft: 1
name: cut
steps:
  each: {for_each: "[1, 2]", prompt: "Say {{ item }}."}
  after: {set: 1, needs: [each]}
)"));
  driver.model = [](const ModelCall& call) {
    v1::Event event = answer("half a sent");
    event.mutable_model_call_ended()->set_cut(call.key.path == "each[0]");
    return event;
  };
  driver.submit();
  driver.finish();
  CHECK(driver.step_ended("each").result().limited());
  CHECK(driver.end().status() == v1::RUN_STATUS_LIMITED);
}

TEST_CASE("attempts run out, and the step fails with what the last one said") {
  Driver driver(workflow(R"(
weft: 1
name: retry
steps:
  ask: {prompt: "Go.", retry: {attempts: 2}}
  after: {set: "{{ steps.ask.output }}"}
  anyway: {set: "{{ steps.ask.status }}"}
)"));
  driver.model = [](const ModelCall&) { return failure("server", true); };
  driver.submit();
  driver.finish();
  CHECK(driver.status("ask") == "failed:MODEL_FAILED");
  CHECK(driver.step_ended("ask").result().failure().attempts() == 2);
  CHECK(driver.status("after") == "cancelled:scope_failed");
  CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
  CHECK(driver.end().failure().path() == "ask");
}

TEST_CASE("on_error: continue lets the run go on; strict readers are skipped, tolerant ones run") {
  Driver driver(workflow(R"(
weft: 1
name: tolerant
steps:
  ask: {prompt: "Go.", retry: {attempts: 1}, on_error: continue}
  strict: {set: "{{ steps.ask.output }}"}
  tolerant: {set: "{{ steps.ask.status }}"}
  chain: {set: "{{ steps.strict.output ?? steps.tolerant.output }}"}
returns: {chain: "{{ steps.chain.output }}", strict: "{{ steps.strict.reason }}"}
)"));
  driver.model = [](const ModelCall&) { return failure("server", false); };
  driver.submit();
  driver.finish();
  CHECK(driver.status("strict") == "skipped:no_result");
  CHECK(driver.output() == Json{{"chain", "failed"}, {"strict", "no_result"}});
}

TEST_CASE("an answer that breaks its shape is asked for again, then fails as invalid_output") {
  Driver driver(workflow(R"(
weft: 1
name: shape
steps:
  ask: {prompt: "Go.", output: {n: integer}, retry: {attempts: 3}}
)"));
  SECTION("the second answer fits, in a code fence") {
    int sends = 0;
    driver.model = [&](const ModelCall&) {
      return ++sends == 1 ? answer("no idea") : answer("Here:\n```json\n{\"n\": 4.0}\n```");
    };
    driver.submit();
    driver.finish();
    CHECK(driver.output() == Json{{"n", 4}});
    CHECK(driver.count(v1::Event::kAttemptFailed) == 1);
  }
  SECTION("none fits") {
    driver.model = [](const ModelCall&) { return answer(R"({"n": "x"})"); };
    driver.submit();
    driver.finish();
    CHECK(driver.status("ask") == "failed:INVALID_OUTPUT");
    CHECK(driver.count(v1::Event::kAttemptStarted) == 3);
  }
}

TEST_CASE("a switch sends the run one way; the other is skipped with its letter, and the join still runs") {
  Driver driver(workflow(R"(
weft: 1
name: route
input: {kind: {enum: [left, right]}}
steps:
  route: {switch: input.kind, cases: {left: left, right: right}}
  left: {set: L}
  right: {set: R}
  join: {needs: [left, right], set: "{{ steps.left.output ?? steps.right.output }}"}
  after: {set: "{{ steps.join.output }}!"}
)"));
  driver.submit(R"({"kind": "right"})");
  driver.finish();
  CHECK(driver.status("left") == "skipped:switch");
  CHECK(driver.output() == "R!");
}

TEST_CASE("for_each runs its elements side by side, at most max_parallel, and keeps their order") {
  Driver driver(workflow(R"(
weft: 1
name: fan
input: {words: "[string]"}
steps:
  each: {for_each: {in: input.words, max_parallel: 2}, prompt: "Say {{ item }} at {{ index }}"}
)"),
                GENERATE(1, 2, 3, 4, 5));
  std::size_t most = 0;
  driver.on_event = [&](const v1::Event&) {
    most = std::max(most, driver.in_flight().size() / 2);
  };  // A call and its timeout.
  driver.model = [&](const ModelCall& call) { return answer("said " + call.key.path); };
  driver.submit(R"({"words": ["a", "b", "c", "d", "e"]})");
  driver.finish();
  CHECK(driver.output() == Json{"said each[0]", "said each[1]", "said each[2]", "said each[3]", "said each[4]"});
  CHECK(most <= 2);
}

TEST_CASE("a failed element fails the step, is kept as null, or is dropped") {
  const std::string policy = GENERATE("fail", "keep", "drop");
  Driver driver(workflow(R"(
weft: 1
name: fan
steps:
  each: {for_each: {in: "[1, 2, 3]", on_item_error: )" +
                         policy + R"(}, prompt: "{{ item }}", retry: {attempts: 1}}
)"));
  driver.model = [](const ModelCall& call) {
    return call.key.path == "each[1]" ? failure("server", false) : answer("ok");
  };
  driver.submit();
  driver.finish();
  if (policy == "fail") {
    CHECK(driver.status("each") == "failed:MODEL_FAILED");
  } else {
    CHECK(driver.output() == (policy == "keep" ? Json{"ok", nullptr, "ok"} : Json{"ok", "ok"}));
  }
}

TEST_CASE("an empty for_each succeeds with an empty list") {
  Driver driver(workflow("weft: 1\nname: fan\nsteps:\n  each: {for_each: \"[]\", prompt: \"{{ item }}\"}\n"));
  driver.submit();
  CHECK(driver.output() == Json::array());
}

TEST_CASE("repeat goes round a group until its condition holds, and each round sees the one before") {
  Driver driver(workflow(R"(
weft: 1
name: loop
steps:
  reply:
    repeat: {until: steps.review.output.good, at_most: 5}
    steps:
      draft: {prompt: "Draft. {{ previous.review.output.notes ?? 'first' }}"}
      review: {prompt: "Review {{ steps.draft.text }}", output: {good: boolean, notes: string}}
    returns: "{{ steps.draft.text }}"
)"));
  driver.model = [](const ModelCall& call) {
    const std::string round = call.key.path.substr(6, 1);
    if (call.key.path.ends_with("draft")) return answer("draft " + round);
    return answer(round == "3" ? R"({"good": true, "notes": ""})"
                               : R"({"good": false, "notes": "notes )" + round + "\"}");
  };
  driver.submit();
  driver.finish();
  CHECK(driver.output() == "draft 3");
  CHECK(prompt_of(driver, "reply#1/draft") == "Draft. first");
  CHECK(prompt_of(driver, "reply#3/draft") == "Draft. notes 2");
  CHECK(driver.step_ended("reply").result().iteration() == 3);
}

TEST_CASE("a loop that does not get there fails as exhausted, or keeps its last round and is limited") {
  const bool keep = GENERATE(false, true);
  Driver driver(workflow(std::string(R"(
weft: 1
name: loop
steps:
  guess:
    repeat: {until: "steps.guess.output == 'yes'", at_most: 3, else: )") +
                         (keep ? "keep" : "fail") + "}\n    prompt: \"Guess.\"\n"));
  driver.model = [](const ModelCall&) { return answer("no"); };
  driver.submit();
  driver.finish();
  CHECK(driver.count(v1::Event::kRoundEnded) == 3);
  if (keep) {
    CHECK(driver.output() == "no");
    CHECK(driver.end().status() == v1::RUN_STATUS_LIMITED);
  } else {
    CHECK(driver.status("guess") == "failed:EXHAUSTED");
  }
}

TEST_CASE("a step that works for longer than its timeout is dropped and tried again") {
  Driver driver(workflow(R"(
weft: 1
name: slow
steps:
  ask: {prompt: "Go.", timeout: 5s, retry: {attempts: 2, backoff: 1s..1s}}
)"));
  driver.submit();
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  driver.model = [](const ModelCall& call) { return answer(call.key.attempt == 2 ? "second" : "late"); };
  driver.finish();
  CHECK(driver.output() == "second");
  CHECK(driver.count(v1::Event::kAttemptFailed) == 1);
}

TEST_CASE("a write that is done after its step's timeout is done, and is not done again") {
  Driver driver(workflow(R"(
weft: 1
name: late
steps:
  act: {tool: t.write, args: {x: 1}, needs: [], timeout: 5s, retry: {attempts: 2, backoff: 1s..1s}}
)"));
  driver.submit();
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  driver.finish();
  CHECK(driver.count(v1::Event::kToolCallStarted) == 1);
  CHECK(driver.status("act") == "succeeded");
}

TEST_CASE("a write inside a group that does not answer in the grace of a cancel is in doubt, which no cancel hides") {
  Driver driver(workflow(R"(
weft: 1
name: grace
steps:
  outer:
    steps:
      inner:
        steps:
          act: {tool: t.write, args: {x: 1}, needs: []}
)"));
  driver.submit();
  driver.cancel();
  CHECK_FALSE(driver.run().ended());
  driver.fire(v1::TIMER_KIND_GRACE);
  CHECK(driver.count(v1::Event::kToolCallInDoubt) == 1);
  CHECK_FALSE(driver.run().ended());
  driver.resolve(v1::RESOLUTION_DONE);
  CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
}

TEST_CASE("a cancelled run drops models and reads, and waits for a write to end") {
  Driver driver(workflow(R"(
weft: 1
name: cancel
steps:
  think: {prompt: "Go."}
  act: {tool: t.write, args: {x: 1}, needs: []}
  never: {set: "{{ steps.think.output }}"}
)"));
  driver.submit();
  driver.cancel();
  CHECK_FALSE(driver.run().ended());
  CHECK(driver.status("think") == "cancelled:cancel");
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  CHECK(driver.status("never") == "cancelled:cancel");
  CHECK(driver.count(v1::Event::kToolCallEnded) == 1);
}

TEST_CASE("a write that a restart finds without a result is in doubt, and is not made again") {
  Driver driver(workflow(R"(
weft: 1
name: doubt
steps:
  act: {tool: t.write, args: {x: 1}, needs: []}
)"));
  driver.submit();
  auto again = driver.restarted();
  again->finish();
  CHECK_FALSE(again->run().ended());
  REQUIRE(again->run().doubts().size() == 1);
  CHECK(again->run().doubts().front().tool == "t.write");
  CHECK(again->count(v1::Event::kToolCallStarted) == 1);
}

TEST_CASE("a model call that a restart finds without a result is made again, and uses up no attempt") {
  Driver driver(workflow("weft: 1\nname: lost\nsteps:\n  ask: {prompt: Go., retry: {attempts: 1}}\n"));
  driver.submit();
  auto again = driver.restarted();
  again->finish();
  CHECK(again->output() == "ok");
  CHECK(again->lost_calls() == 1);
  CHECK(again->count(v1::Event::kModelCallStarted) == 2);
}

TEST_CASE("replaying a run's events gives its state and digest, at every point") {
  Driver driver(workflow(R"(
weft: 1
name: replay
steps:
  list: {prompt: "List.", output: "[string]"}
  each: {for_each: steps.list.output, prompt: "Do {{ item }}"}
  sum: {set: "{{ size(steps.each.output) }}"}
)"));
  driver.model = [](const ModelCall& call) { return answer(call.key.path == "list" ? R"(["a","b","c"])" : "did"); };
  driver.submit();
  std::string before;
  do {
    auto again = driver.restarted();
    before = again->run().digest();
    again->finish();
    CHECK(again->output() == 3);
  } while (driver.step());
  CHECK(driver.output() == 3);
  CHECK(driver.restarted()->run().digest() == driver.run().digest());
}

TEST_CASE("an event that does not fit the history is refused with its number") {
  Driver driver(workflow("weft: 1\nname: fit\nsteps:\n  ask: {prompt: Go.}\n"));
  driver.submit();
  v1::Event event = answer("x");
  event.set_seq(driver.run().last_seq() + 1);
  event.set_path("nowhere");
  const Status applied = driver.run().apply(event);
  REQUIRE_FALSE(applied);
  CHECK(applied.error().code == Code::kDataLoss);
  CHECK_THAT(applied.error().message, Catch::Contains("nowhere"));
}
