// Calls that change the world: their keys, what becomes of them where it is not known whether they were done, and how
// they are taken back.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "effects.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

TEST_CASE("a write in doubt waits for somebody, who says what became of it") {
  auto driver = crashed("refund");
  driver->finish();
  REQUIRE_FALSE(driver->run().ended());
  REQUIRE(driver->run().doubts().size() == 1);
  CHECK(driver->run().waits({"act", 1, 0, 0}));

  SECTION("it was done, with this result") {
    driver->resolve(v1::RESOLUTION_DONE, R"({"id":"r1"})");
    CHECK(driver->end().status() == v1::RUN_STATUS_SUCCEEDED);
    CHECK(driver->output() == Json{{"id", "r1"}});
    CHECK(driver->count(v1::Event::kToolCallStarted) == 1);
  }
  SECTION("it leaves again with the key that it had") {
    driver->resolve(v1::RESOLUTION_RETRY);
    driver->finish();
    CHECK(driver->end().status() == v1::RUN_STATUS_SUCCEEDED);
    const auto keys = keys_of(*driver);
    REQUIRE(keys.size() == 2);
    CHECK(keys[0] == keys[1]);
  }
  SECTION("the run goes on without it") {
    driver->resolve(v1::RESOLUTION_SKIP);
    CHECK(driver->status("act") == "skipped:in_doubt");
    CHECK(driver->count(v1::Event::kToolCallStarted) == 1);
  }
  SECTION("it is still not known, which is kept as a note") {
    driver->resolve(v1::RESOLUTION_UNKNOWN);
    CHECK_FALSE(driver->run().ended());
    CHECK(driver->run().doubts().size() == 1);
    CHECK(last_of(*driver, v1::Event::kToolCallResolved).tool_call_resolved().reason() == "asked the shop");
    driver->resolve(v1::RESOLUTION_DONE);
    CHECK(driver->run().ended());
  }
  SECTION("its answer comes late after all") {
    v1::Event late = tool_done("\"late\"");
    late.set_path("act");
    late.set_attempt(1);
    late.set_call(1);
    CHECK(driver->run().expects(late));
  }
}

TEST_CASE("a restart keeps a doubt, and what was decided about it") {
  auto driver = crashed("refund");
  driver->resolve(v1::RESOLUTION_UNKNOWN);
  auto again = driver->restarted();
  again->finish();
  REQUIRE(again->run().doubts().size() == 1);
  again->resolve(v1::RESOLUTION_DONE, "7");
  // Every prefix of that history comes to the same end.
  for (std::size_t durable = driver->events().size(); durable <= again->events().size(); ++durable) {
    auto folded = again->restarted(durable);
    folded->finish();
    if (!folded->run().ended()) folded->resolve(v1::RESOLUTION_DONE, "7");
    CHECK(folded->output() == 7);
    CHECK(folded->count(v1::Event::kToolCallStarted) == 1);
  }
}

TEST_CASE("an idempotent call leaves again with the same key, while the other side knows it") {
  auto driver = crashed("put");
  SECTION("after a crash") {
    driver->finish();
    CHECK(driver->end().status() == v1::RUN_STATUS_SUCCEEDED);
    const auto keys = keys_of(*driver);
    REQUIRE(keys.size() == 2);
    CHECK(keys[0] == keys[1]);
    CHECK(driver->count(v1::Event::kAttemptFailed) == 0);
  }
  SECTION("after a lost reply, at most three times and later each time") {
    driver->tool = [](const ToolCall&) { return tool_in_doubt("no answer"); };
    driver->finish();
    CHECK_FALSE(driver->run().ended());
    CHECK(keys_of(*driver).size() == 3);
    CHECK(driver->run().doubts().size() == 1);
  }
}

TEST_CASE("a key that is older than its tool's key_ttl is not sent again") {
  Driver driver(with_tools("  act: {tool: put, args: {id: a}, needs: []}\n"));
  driver.submit();
  driver.pass(std::chrono::hours(2));
  auto again = driver.restarted();
  again->finish();
  CHECK_FALSE(again->run().ended());
  CHECK(again->run().doubts().size() == 1);
  CHECK(keys_of(*again).size() == 1);
}

TEST_CASE("a key's age counts from when it was first sent, however often it leaves again") {
  Driver driver(with_tools("  act: {tool: put, args: {id: a}, needs: []}\n"));
  driver.submit();
  driver.pass(std::chrono::minutes(40));
  auto once = driver.restarted();
  CHECK(keys_of(*once).size() == 2);
  once->pass(std::chrono::minutes(40));
  auto twice = once->restarted();
  twice->finish();
  CHECK(twice->run().doubts().size() == 1);
  CHECK(keys_of(*twice).size() == 2);
}

TEST_CASE("on_doubt: retry sends no key again that is too old either") {
  Driver driver(with_tools("  act: {tool: again, args: {id: a}, needs: []}\n"));
  driver.submit();
  driver.pass(std::chrono::hours(25));  // The default is a day.
  auto late = driver.restarted();
  late->finish();
  CHECK(late->run().doubts().size() == 1);
  CHECK(keys_of(*late).size() == 1);
}

TEST_CASE("an idempotent call leaves as often as its step's retry says, and a crash counts for none of them") {
  Driver driver(with_tools("  act: {tool: put, args: {id: a}, needs: [], retry: {attempts: 5, backoff: 1s..1s}}\n"));
  driver.submit();
  SECTION("lost replies") {
    driver.tool = [](const ToolCall&) { return tool_in_doubt("no answer"); };
    driver.finish();
    CHECK(keys_of(driver).size() == 5);
    CHECK(driver.run().doubts().size() == 1);
  }
  SECTION("crashes") {
    auto again = driver.restarted();
    for (int i = 0; i < 6; ++i) again = again->restarted();
    again->finish();
    CHECK(keys_of(*again).size() == 8);
    CHECK(again->end().status() == v1::RUN_STATUS_SUCCEEDED);
  }
}

TEST_CASE("a call that is to leave again later leaves after a restart too") {
  Driver driver(with_tools("  act: {tool: put, args: {id: a}, needs: [], timeout: 1h, retry: {backoff: 1m..1m}}\n"));
  bool lose = true;
  driver.tool = [&](const ToolCall&) {
    return std::exchange(lose, false) ? tool_in_doubt("no answer") : tool_done("1");
  };
  driver.submit();
  REQUIRE(driver.step());
  REQUIRE(driver.count(v1::Event::kToolCallResolved) == 1);
  auto again = driver.restarted();
  CHECK(keys_of(*again).size() == 1);  // Not at once.
  again->finish();
  CHECK(keys_of(*again).size() == 2);
  CHECK(again->count(v1::Event::kAttemptStarted) == 1);
  CHECK(again->end().status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a tool step out of time goes on in its attempt where its call may leave again") {
  Driver driver(
      with_tools("  act: {tool: put, args: {id: a}, needs: [], timeout: 5s, retry: {attempts: 2, backoff: 1s..1s}}\n"));
  bool lose = true;
  driver.tool = [&](const ToolCall&) {
    return std::exchange(lose, false) ? tool_in_doubt("no answer") : tool_done("1");
  };
  driver.submit();
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  driver.finish();
  CHECK(driver.status("act") == "succeeded");
  CHECK(driver.count(v1::Event::kAttemptStarted) == 1);
  const auto keys = keys_of(driver);
  REQUIRE(keys.size() == 2);
  CHECK(keys[0] == keys[1]);
}

TEST_CASE("a call that its step's timeout left in doubt, and that was not done, ends, and the next has a new key") {
  Driver driver(with_tools(
      "  act: {tool: seen, args: {id: a}, needs: [], timeout: 5s, retry: {attempts: 2, backoff: 1s..1s}}\n"));
  bool lose = true;
  driver.tool = [&](const ToolCall&) {
    return std::exchange(lose, false) ? tool_in_doubt("no answer") : tool_done("1");
  };
  driver.submit();
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  driver.finish();
  CHECK(driver.status("act") == "succeeded");
  CHECK(driver.count(v1::Event::kToolCallEnded) == 2);  // Each call that began has an end in the trace.
  const auto keys = keys_of(driver);
  REQUIRE(keys.size() == 2);
  CHECK(keys[0] != keys[1]);
}

TEST_CASE("a step out of time says so, also where its call was in doubt and given up") {
  Driver driver(with_tools("  act: {tool: stop, args: {id: a}, needs: [], timeout: 5s}\n"));
  driver.tool = [](const ToolCall&) { return tool_in_doubt("no answer"); };
  driver.submit();
  driver.fire(v1::TIMER_KIND_TIMEOUT);
  driver.finish();
  CHECK(driver.status("act") == "failed:TIMED_OUT");
}

TEST_CASE("a group is not tried again for a step of which it is not known whether it was done") {
  Driver driver(
      with_tools("  all:\n    needs: []\n    retry: {attempts: 3, backoff: 1s..1s}\n    steps:\n"
                 "      act: {tool: stop, args: {id: a}, needs: []}\n"));
  driver.tool = [](const ToolCall&) { return tool_in_doubt("no answer"); };
  driver.submit();
  driver.finish();
  CHECK(driver.status("all") == "failed:IN_DOUBT");
  CHECK(driver.count(v1::Event::kAttemptFailed) == 0);
}

TEST_CASE("a tool that names one to verify asks that one first") {
  auto driver = std::make_unique<Driver>(with_tools("  act: {tool: seen, args: {id: a}, needs: []}\n"));
  driver->submit();
  std::vector<std::string> asked;
  SECTION("it was done: its result is what the other one says") {
    driver = driver->restarted();
    driver->verify = [&](const VerifyCall& question) {
      asked.push_back(question.tool + " " + driver->run().question(question.key).value().inline_());
      return verified(v1::VERDICT_DONE, R"({"state":"refunded"})");
    };
    driver->finish();
    CHECK(driver->output() == Json{{"state", "refunded"}});
    CHECK(asked == std::vector<std::string>{R"(look {"id":"a"})"});
    CHECK(keys_of(*driver).size() == 1);
  }
  SECTION("it was not done: it leaves again with its key") {
    driver = driver->restarted();
    driver->finish();
    CHECK(driver->end().status() == v1::RUN_STATUS_SUCCEEDED);
    const auto keys = keys_of(*driver);
    REQUIRE(keys.size() == 2);
    CHECK(keys[0] == keys[1]);
  }
  SECTION("it cannot be told: it is asked three times, then a person is") {
    driver = driver->restarted();
    driver->verify = [&](const VerifyCall&) {
      asked.emplace_back("again");
      return verified(v1::VERDICT_UNKNOWN);
    };
    driver->finish();
    CHECK(asked.size() == 3);
    CHECK(driver->run().doubts().size() == 1);
    // A restart in the middle of a question asks it again.
    CHECK(std::ranges::none_of(driver->run().outstanding(),
                               [](const Command& command) { return std::holds_alternative<VerifyCall>(command); }));
  }
  SECTION("a question that a crash cut off is put again") {
    driver = driver->restarted();
    driver = driver->restarted();
    driver->verify = [](const VerifyCall&) { return verified(v1::VERDICT_DONE); };
    driver->finish();
    CHECK(driver->end().status() == v1::RUN_STATUS_SUCCEEDED);
    CHECK(keys_of(*driver).size() == 1);
  }
}

TEST_CASE("a tool that is asked about a doubt and cannot tell is given longer each time") {
  auto driver = crashed("seen");
  std::vector<std::int64_t> asked_us;
  driver->verify = [&](const VerifyCall& question) {
    asked_us.push_back(question.due_us);
    return verified(v1::VERDICT_UNKNOWN);
  };
  driver->finish();
  REQUIRE(asked_us.size() == 3);
  CHECK(asked_us[1] - asked_us[0] >= 2'000'000);
  CHECK(asked_us[2] - asked_us[1] >= 4'000'000);
}

TEST_CASE("on_doubt decides where the tool says so") {
  CHECK([] {
    auto driver = crashed("gone");
    driver->finish();
    return driver->status("act");
  }() == "skipped:in_doubt");
  CHECK([] {
    auto driver = crashed("stop");
    driver->finish();
    return driver->status("act");
  }() == "failed:IN_DOUBT");
  auto again = crashed("again");
  again->finish();
  CHECK(again->status("act") == "succeeded");
  CHECK(keys_of(*again).size() == 2);
  CHECK(last_of(*again, v1::Event::kToolCallResolved).tool_call_resolved().by() == v1::RESOLVED_BY_ON_DOUBT);
}

TEST_CASE("keys: equal for equal arguments in any order, new only where an answer proved that nothing was done") {
  Driver driver(with_tools("  act: {tool: refund, args: {id: a}, needs: [], retry: {attempts: 3, backoff: 1s}}\n"));
  int calls = 0;
  driver.tool = [&](const ToolCall&) {
    ++calls;
    return calls == 1 ? tool_declined("busy") : calls == 2 ? tool_failed("no such order") : tool_done("1");
  };
  driver.submit();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  const auto keys = keys_of(driver);
  REQUIRE(keys.size() == 3);
  CHECK(keys[0] == keys[1]);  // 429: the same key again.
  CHECK(keys[1] != keys[2]);  // 404: nothing was done, and that is the end of that key.
}

TEST_CASE("an identical call of one agent gets the recorded result, unless its tool is repeatable") {
  Driver driver(with_tools("  act: {prompt: Go., tools: [refund, note], needs: []}\n"));
  driver.model = in_turns({{"refund", R"({"id":"a"})"},
                           {"refund", R"({"id":"a"})"},
                           {"note", R"({"id":"n"})"},
                           {"note", R"({"id":"n"})"},
                           {"refund", R"({"id":"b"})"}});
  driver.submit();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  const auto keys = keys_of(driver);
  CHECK(keys.size() == 4);  // One refund of a, two notes, one refund of b.
  CHECK(std::set<std::string>(keys.begin(), keys.end()).size() == 4);
  std::size_t reused = 0;
  for (const v1::Event& event : driver.events()) reused += event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_REUSED;
  CHECK(reused == 1);
}

TEST_CASE("what was in doubt and let go does not leave again with the next attempt of the group around it") {
  for (const auto& [tool, outcome] : {std::pair{"gone", v1::TOOL_OUTCOME_SKIPPED},
                                      {"stop", v1::TOOL_OUTCOME_REFUSED},
                                      {"refund", v1::TOOL_OUTCOME_SKIPPED}}) {
    INFO(tool);
    const std::string steps =
        std::string("  all:\n    needs: []\n    retry: {attempts: 2, on: [tool_failed]}\n    steps:\n") +
        "      first: {set: 1}\n      act: {tool: " + tool + ", args: {id: a}, on_error: continue}\n" +
        "      then: {tool: look, args: {id: a}, needs: [act, first], retry: {attempts: 1}}\n";
    Driver driver(with_tools(steps));
    bool fails = true;
    driver.tool = [&](const ToolCall& call) {
      if (call.tool != "look") return tool_in_doubt("no answer");
      return std::exchange(fails, false) ? tool_failed("not now") : tool_done("1");
    };
    driver.submit();
    driver.finish();
    if (!driver.run().ended()) {
      driver.resolve(v1::RESOLUTION_SKIP);
      driver.finish();
    }
    std::size_t sent = 0;
    for (const v1::Event& event : driver.events()) sent += event.tool_call_started().tool() == tool;
    CHECK(sent == 1);
    const v1::Event& second = *std::ranges::find_if(driver.events(), [&](const v1::Event& event) {
      return event.has_tool_call_ended() && event.path() == "all~2/act";
    });
    CHECK(second.tool_call_ended().outcome() == outcome);
    CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  }
}

TEST_CASE("while an effect of an agent is in doubt, no other one of it leaves, and its conversation waits") {
  Driver driver(with_tools("  act: {prompt: Go., tools: [refund], needs: []}\n"));
  driver.model = [](const ModelCall& call) {
    if (call.key.turn > 1) return answer("done");
    v1::Event event = answer("");
    for (const char* id : {"a", "b"}) {
      v1::RequestedCall& requested = *event.mutable_model_call_ended()->add_calls();
      requested.set_id(id);
      requested.set_tool("refund");
      requested.set_wire_name("refund");
      requested.mutable_arguments()->set_inline_(std::string(R"({"id":")") + id + "\"}");
    }
    return event;
  };
  bool lose = true;
  driver.tool = [&](const ToolCall&) {
    return std::exchange(lose, false) ? tool_in_doubt("no answer") : tool_done("1");
  };
  driver.submit();
  driver.finish();
  CHECK(keys_of(driver).size() == 1);
  CHECK_FALSE(driver.run().ended());
  driver.resolve(v1::RESOLUTION_DONE);
  driver.finish();
  CHECK(keys_of(driver).size() == 2);
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(driver.count(v1::Event::kModelCallStarted) == 2);
}

TEST_CASE("a key that a workflow forms stands for one payload") {
  Driver driver(with_tools("  act: {prompt: Go., tools: [named], needs: []}\n"));
  driver.model = in_turns({{"named", R"({"id":"1","text":"x"})"},
                           {"named", R"({"text":"x","id":"1"})"},
                           {"named", R"({"id":"1","text":"y"})"}});
  driver.submit();
  driver.finish();
  CHECK(keys_of(driver) == std::vector<std::string>{"order-1"});
  const v1::ToolCallEnded& last = last_of(driver, v1::Event::kToolCallEnded).tool_call_ended();
  CHECK(last.outcome() == v1::TOOL_OUTCOME_REFUSED);
  CHECK(last.output().inline_().find("was used in this run for other arguments") != std::string::npos);
}

TEST_CASE("what was done is taken back in reverse where the run fails") {
  const char* steps = R"(
  one: {tool: book, args: {id: a}, needs: []}
  two: {tool: book, args: {id: b}, needs: [one]}
  three: {tool: refund, args: {id: c}, needs: [two]}
)";
  Driver driver(with_tools(steps));
  std::vector<std::string> made;
  driver.tool = [&](const ToolCall& call) {
    made.push_back(call.tool + call.arguments.inline_());
    if (call.tool == "refund") return tool_failed("no");
    const std::string booking = call.arguments.inline_() == R"({"id":"a"})" ? "A" : "B";
    return tool_done(R"({"booking":")" + booking + "\"}");
  };
  driver.submit();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
  CHECK(made == std::vector<std::string>{R"(book{"id":"a"})", R"(book{"id":"b"})", R"(refund{"id":"c"})",
                                         R"(cancel_it{"id":"B"})", R"(cancel_it{"id":"A"})"});
  CHECK(driver.status("two/undo") == "succeeded");
  CHECK(driver.end().undos_failed() == 0);
  // A restart anywhere takes back each of them once.
  for (std::size_t durable = 1; durable < driver.events().size(); ++durable) {
    made.clear();
    auto again = driver.restarted(durable);
    again->finish();
    while (!again->run().ended() && !again->run().doubts().empty()) {
      const bool booked = again->run().doubts().front().tool != "refund";
      again->resolve(booked ? v1::RESOLUTION_DONE : v1::RESOLUTION_RETRY, R"({"booking":"X"})");
      again->finish();
    }
    REQUIRE(again->run().ended());
    CHECK(again->count(v1::Event::kStepEnded) == driver.count(v1::Event::kStepEnded));
  }
}

TEST_CASE("an undo that does not work is tried three times, recorded, and hides nothing") {
  Driver driver(with_tools(
      "  one: {tool: book, args: {id: a}, needs: []}\n  two: {tool: refund, args: {id: c}, needs: [one]}\n"));
  driver.tool = [&](const ToolCall& call) {
    return call.tool == "book" ? tool_done(R"({"booking":"A"})") : tool_failed("no");
  };
  driver.submit();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
  CHECK(driver.end().undos_failed() == 1);
  CHECK(driver.status("one/undo") == "failed:TOOL_FAILED");
  CHECK(driver.count(v1::Event::kToolCallStarted) == 5);
}

TEST_CASE("an undo whose arguments do not fit is recorded at once: trying again would change nothing") {
  Driver driver(with_tools(
      "  one: {tool: book, args: {id: a}, needs: []}\n  two: {tool: refund, args: {id: c}, needs: [one]}\n"));
  driver.tool = [&](const ToolCall& call) {
    return call.tool == "book" ? tool_done(R"({"booking":["A","B"]})") : tool_failed("no");
  };
  driver.submit();
  driver.finish();
  CHECK(driver.end().undos_failed() == 1);
  CHECK(driver.status("one/undo") == "failed:EXPRESSION");
  CHECK(driver.count(v1::Event::kAttemptFailed) == 0);
}

TEST_CASE("an undo that is to be tried again is tried after a restart too") {
  Driver driver(with_tools(
      "  one: {tool: book, args: {id: a}, needs: []}\n  two: {tool: refund, args: {id: c}, needs: [one]}\n"));
  bool busy = true;
  driver.tool = [&](const ToolCall& call) {
    if (call.tool == "cancel_it") return std::exchange(busy, false) ? tool_failed("busy") : tool_done("1");
    return call.tool == "book" ? tool_done(R"({"booking":"A"})") : tool_failed("no");
  };
  driver.submit();
  while (driver.count(v1::Event::kAttemptFailed) == 0) REQUIRE(driver.step());
  auto again = driver.restarted();
  again->finish();
  CHECK(again->end().undos_failed() == 0);
  CHECK(again->status("one/undo") == "succeeded");
}

TEST_CASE("a cancel waits for doubts and undoes; a kill does neither") {
  Driver driver(with_tools(
      "  one: {tool: book, args: {id: a}, needs: []}\n  two: {tool: refund, args: {id: c}, needs: [one]}\n"));
  driver.tool = [&](const ToolCall& call) {
    return call.tool == "refund" ? tool_in_doubt("no answer") : tool_done(R"({"booking":"A"})");
  };
  driver.submit();
  driver.finish();
  REQUIRE(driver.run().doubts().size() == 1);
  SECTION("cancelled") {
    driver.cancel();
    driver.finish();
    CHECK_FALSE(driver.run().ended());
    REQUIRE(driver.run().doubts().size() == 1);
    CHECK(driver.run().doubts().front().closing);
    driver.resolve(v1::RESOLUTION_SKIP);
    driver.finish();
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
    CHECK(driver.status("one/undo") == "succeeded");
  }
  SECTION("killed") {
    driver.kill();
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
    CHECK(driver.count(v1::Event::kToolCallStarted) == 2);
  }
  SECTION("cancelled, then killed") {
    driver.cancel();
    driver.kill();
    CHECK(driver.run().ended());
  }
}

TEST_CASE("a kill leaves what is under way in doubt at once") {
  Driver driver(with_tools("  act: {tool: refund, args: {id: a}, needs: []}\n  think: {prompt: Go.}\n"));
  driver.submit();
  driver.kill();
  CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  CHECK(driver.count(v1::Event::kToolCallInDoubt) == 1);
}
