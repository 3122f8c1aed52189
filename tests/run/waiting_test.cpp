// Steps that wait: for times, signals and answers, alone, in groups, for elements and in rounds; and joins.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

std::shared_ptr<const workflows::Workflow> steps(const std::string& text, const std::string& top = "") {
  return workflow("weft: 1\nname: waits\n" + top + "steps:\n" + text);
}

}  // namespace

TEST_CASE("a wait for a time is a timer that survives a restart") {
  Driver driver(steps("  pause: {wait: 30s}\n  after: {set: \"{{ steps.pause.status }}\", needs: [pause]}\n"));
  driver.submit();
  REQUIRE(driver.run().open_waits().size() == 1);
  CHECK(driver.run().waits({"pause", 1, 0, 0}));
  auto again = driver.restarted();
  REQUIRE(again->in_flight().size() == 1);
  const auto due = std::get<StartTimer>(again->in_flight().front());
  CHECK(due.due_us == std::get<StartTimer>(driver.in_flight().front()).due_us);
  again->finish();
  CHECK(again->output() == "succeeded");
}

TEST_CASE("wait until a time that a value gives; what is no time fails the step") {
  Driver good(steps("  at: {wait: {until: \"{{ '2031-01-01T00:00:00Z' }}\"}}\n"));
  good.submit();
  REQUIRE(good.run().open_waits().size() == 1);
  CHECK(good.run().open_waits().front().waiting.due_us() == 1924992000000000);
  Driver bad(steps("  at: {wait: {until: \"{{ 'tomorrow' }}\"}}\n"));
  bad.submit();
  CHECK(bad.end().failure().message().find("is no time") != std::string::npos);
}

TEST_CASE("a question waits for its answer, or for its time") {
  const auto asked = steps(
      "  sure: {ask: \"Send {{ 1 + 1 }}?\", choices: [send, hold], to: ann, timeout: 24h, on_timeout: hold}\n"
      "  done: {set: \"{{ steps.sure.output }} by {{ steps.sure.answered_by ?? 'nobody' }}\"}\n");
  Driver driver(asked);
  driver.submit();
  const auto waits = driver.run().open_waits();
  REQUIRE(waits.size() == 1);
  CHECK(waits[0].waiting.to() == "ann");
  CHECK(waits[0].waiting.choices_size() == 2);
  SECTION("answered") {
    driver.reply("sure", R"("send")", "ann");
    CHECK(driver.output() == "send by ann");
    CHECK(driver.in_flight().empty());  // Its timer is gone.
  }
  SECTION("answered after a restart") {
    auto again = driver.restarted();
    again->reply("sure", R"("hold")", "");
    CHECK(again->output() == "hold by nobody");
  }
  SECTION("expired") {
    driver.finish();
    CHECK(driver.output() == "hold by nobody");
  }
  SECTION("cancelled") {
    driver.cancel();
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  }
}

TEST_CASE("a question says what form its answer has, what it shows and what stands in it already") {
  Driver driver(
      steps("  sure:\n    ask: Which?\n    output: {n: integer}\n    show: {order: 7}\n    prefill: {n: 1}\n"));
  driver.submit();
  const auto waits = driver.run().open_waits();
  REQUIRE(waits.size() == 1);
  CHECK(parse_untrusted(waits[0].waiting.form_json().inline_()).value()["properties"].contains("n"));
  CHECK(waits[0].waiting.show_json().inline_() == R"({"order":7})");
  CHECK(waits[0].waiting.prefill_json().inline_() == R"({"n":1})");
}

TEST_CASE("nobody answers and there is no value for that: the step fails as timed out") {
  Driver driver(steps("  sure: {ask: Really?, timeout: 1h}\n"));
  driver.submit();
  driver.finish();
  CHECK(driver.status("sure") == "failed:TIMED_OUT");
}

TEST_CASE("elements that ask give their place back, and each answer moves its own element alone") {
  Driver driver(steps(R"(
  each:
    for_each: {in: "['a', 'b', 'c', 'd']", key: item}
    max_parallel: 1
    steps:
      think: {prompt: "Think of {{ item }}"}
      check: {ask: "Is {{ steps.think.text }} right?", choices: [yes, no]}
    returns: "{{ item }}: {{ steps.check.output }}"
)"));
  driver.submit();
  driver.finish();
  REQUIRE(driver.run().open_waits().size() == 4);
  CHECK(driver.count(v1::Event::kModelCallEnded) == 4);
  driver.reply("each[c]/check", R"("yes")");
  CHECK(driver.count(v1::Event::kElementEnded) == 1);
  for (const char* key : {"a", "b", "d"}) driver.reply(std::string("each[") + key + "]/check", R"("no")");
  CHECK(driver.output() == Json{"a: no", "b: no", "c: yes", "d: no"});
  CHECK(driver.count(v1::Event::kModelCallEnded) == 4);  // Nothing else ran again.
}

TEST_CASE("a question in a repeat is asked anew each round, and its path names the round") {
  Driver driver(steps(R"(
  loop:
    repeat: {until: steps.ok.output == 'yes', at_most: 3, else: keep}
    steps:
      ok: {ask: "Good?", choices: [yes, no]}
)"));
  driver.submit();
  driver.reply("loop#1/ok", R"("no")");
  REQUIRE(driver.run().open_waits().size() == 1);
  CHECK(driver.run().open_waits().front().key.path == "loop#2/ok");
  driver.reply("loop#2/ok", R"("yes")");
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("signals are kept until a step takes them, in order, and match tells them apart") {
  const auto flow = steps(R"(
  ready: {prompt: Go.}
  a: {wait: {signal: paid}, match: signal.order == 1, needs: [ready]}
  b: {wait: {signal: paid}, match: signal.order == 2, needs: [ready], timeout: 1h, on_timeout: late}
)",
                          "");
  Driver driver(flow);
  driver.submit();
  driver.signal("paid", R"({"order":2})");
  driver.signal("other", "1");
  driver.finish();
  CHECK(driver.step_ended("b").result().output_json().inline_() == R"({"order":2})");
  CHECK(driver.run().signals_kept() == 1);
  auto again = driver.restarted();
  again->signal("paid", "\"no order\"");
  CHECK_FALSE(again->run().ended());
  again->signal("paid", R"({"order":1})");
  CHECK(again->run().ended());
}

TEST_CASE("each element that waits for a signal takes one as soon as it comes, the first first") {
  Driver driver(steps(R"(
  all:
    for_each: {in: "['a', 'b', 'c']", key: item}
    steps:
      paid: {wait: {signal: paid}}
  each: {for_each: {in: "[1, 2]"}, wait: {signal: sent}}
)",
                      "returns: \"{{ [steps.all.output, steps.each.output] }}\"\n"));
  driver.submit();
  for (const char* number : {"1", "2", "3"}) driver.signal("paid", number);
  CHECK(driver.run().signals_kept() == 0);
  for (const char* number : {"4", "5"}) driver.signal("sent", number);
  REQUIRE(driver.run().ended());
  CHECK(driver.end().output_json().inline_() == "[[1,2,3],[4,5]]");
}

TEST_CASE("a paused run takes results and starts nothing, until it is resumed") {
  Driver driver(steps("  one: {prompt: Go.}\n  two: {prompt: \"{{ steps.one.text }}\"}\n"));
  driver.submit();
  driver.pause();
  driver.finish();
  CHECK(driver.count(v1::Event::kModelCallEnded) == 1);
  CHECK_FALSE(driver.run().ended());
  auto again = driver.restarted();
  again->finish();
  CHECK_FALSE(again->run().ended());
  again->resume();
  again->finish();
  CHECK(again->end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(again->count(v1::Event::kModelCallEnded) == 2);
}

TEST_CASE("a call that a paused run holds is wanted until the run is killed, and its result once it has left") {
  Driver driver(steps("  work: {prompt: Go., tools: [t.write], needs: []}\n"));
  driver.model = [](const ModelCall&) { return calls({{"t.write", "{}"}}); };
  driver.submit();
  driver.pause();
  REQUIRE(driver.step());
  const std::vector<Command> held = driver.run().outstanding();
  REQUIRE_FALSE(held.empty());
  const ToolCall call = std::get<ToolCall>(held.front());
  CHECK(driver.run().wants(call));
  const ModelCall turn{{call.key.path, 1, 1, 1}};
  CHECK_FALSE(driver.run().wants(turn));  // It is answered.
  SECTION("it is killed") {
    driver.kill();
    CHECK_FALSE(driver.run().wants(call));
    CHECK_FALSE(driver.run().awaits_result(call.key));
  }
  SECTION("it goes on") {
    driver.resume();
    CHECK_FALSE(driver.run().wants(call));
    CHECK(driver.run().awaits_result(call.key));
  }
}

TEST_CASE("an element whose backoff ends while the run is paused begins again when it is resumed") {
  Driver driver(steps("  all: {for_each: \"[1, 2]\", prompt: \"{{ item }}\", timeout: 5s, retry: {attempts: 2}}\n"));
  driver.submit();
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  REQUIRE(driver.count(v1::Event::kAttemptFailed) == 2);
  driver.pause();
  driver.fire(v1::TIMER_KIND_RETRY);
  driver.fire(v1::TIMER_KIND_RETRY);
  CHECK(driver.count(v1::Event::kAttemptStarted) == 2);
  auto again = driver.restarted();
  for (Driver* one : {&driver, again.get()}) {
    one->resume();
    CHECK(one->count(v1::Event::kAttemptStarted) == 4);
  }
}

TEST_CASE("a question's time and a step's deadline come after a restart too") {
  Driver timed(steps("  sure: {ask: Really?, timeout: 1h, on_timeout: no}\n"));
  timed.submit();
  auto again = timed.restarted();
  again->finish();
  CHECK(again->output() == "no");
  Driver due(steps("  sure: {ask: Really?, deadline: 1h}\n"));
  due.submit();
  auto late = due.restarted();
  late->fire(v1::TIMER_KIND_DEADLINE);
  CHECK(late->status("sure") == "failed:DEADLINE");
}

TEST_CASE("a paused run can be cancelled, and a run that is being cancelled is not paused") {
  Driver driver(steps("  act: {tool: t.write, needs: []}\n"));
  driver.submit();
  driver.pause();
  driver.cancel();
  CHECK_FALSE(driver.run().paused());
  v1::Event pause;
  pause.mutable_run_paused();
  CHECK_FALSE(driver.run().expects(pause));
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
}

TEST_CASE("a deadline is wall time: of a step that waits, and of the run") {
  Driver step(steps("  sure: {ask: Really?, deadline: 1h}\n"));
  step.submit();
  step.fire(v1::TIMER_KIND_DEADLINE);
  CHECK(step.status("sure") == "failed:DEADLINE");
  Driver whole(steps("  sure: {ask: Really?, on_error: continue}\n", "deadline: 2h\n"));
  whole.submit();
  auto again = whole.restarted();
  again->fire(v1::TIMER_KIND_DEADLINE);
  CHECK(again->end().status() == v1::RUN_STATUS_FAILED);
  CHECK(again->end().failure().kind() == v1::ERROR_KIND_DEADLINE);
  Driver paused(steps("  sure: {ask: Really?}\n", "deadline: 2h\n"));
  paused.submit();
  paused.pause();
  paused.fire(v1::TIMER_KIND_DEADLINE);
  CHECK(paused.end().failure().kind() == v1::ERROR_KIND_DEADLINE);
}

TEST_CASE("join: any goes on with the first that succeeds, sees it alone, and stops the rest where it says so") {
  const auto flow = [](const std::string& rest) {
    return steps(
        "  a: {ask: A?}\n  b: {ask: B?}\n  c: {ask: C?, on_error: continue}\n"
        "  first: {needs: [a, b, c], join: any, " +
        rest + "set: \"{{ steps.a.output ?? steps.b.output ?? steps.c.output ?? 'none' }}\"}\n");
  };
  SECTION("the rest goes on") {
    Driver driver(flow(""));
    driver.submit();
    driver.reply("b", "\"bee\"");
    CHECK(driver.step_ended("first").result().output_json().inline_() == "\"bee\"");
    CHECK_FALSE(driver.run().ended());
    driver.reply("a", "\"ay\"");
    driver.reply("c", "\"sea\"");
    CHECK(driver.run().ended());
    // Whatever has ended meanwhile: a restart reads what the join recorded.
    CHECK(driver.count(v1::Event::kJoinMet) == 1);
  }
  SECTION("the rest is cancelled") {
    Driver driver(flow("cancel_rest: true, "));
    driver.submit();
    driver.reply("b", "\"bee\"");
    CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
    CHECK(driver.status("a") == "cancelled:join");
    CHECK(driver.output() == "bee");
  }
}

TEST_CASE("a join that can be met no more is skipped, or fails where a need failed") {
  const auto flow = [](const char* how) {
    return steps(std::string("  a: {tool: t.read, on_error: continue}\n  b: {tool: t.read, on_error: continue") + how +
                 "}\n  both: {needs: [a, b], join: 2, set: 1}\n  end: {set: \"{{ steps.both.status }}\"}\n");
  };
  Driver fails(flow(""));
  fails.tool = [](const ToolCall& call) { return call.key.path == "a" ? tool_done("1") : tool_failed("no"); };
  fails.submit();
  fails.finish();
  CHECK(fails.status("both") == "failed:JOIN");
  Driver skips(flow(", when: \"1 == 2\""));
  skips.submit();
  skips.finish();
  CHECK(skips.status("both") == "skipped:needs");
}
