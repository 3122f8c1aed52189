// Steps of `finally`: they run however the steps before them ended, after what is taken back, and see what it came to.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

using Kind = v1::Event::KindCase;

std::shared_ptr<const workflows::Workflow> whole(const std::string& text) {
  return workflow("weft: 1\nname: last\n" + text);
}

// Where the first event of this kind at this path stands; the events' number where there is none.
std::size_t place_of(const Driver& driver, const std::string& path, Kind kind) {
  for (std::size_t i = 0; i < driver.events().size(); ++i) {
    if (driver.events()[i].path() == path && driver.events()[i].kind_case() == kind) return i;
  }
  return driver.events().size();
}

std::string said(const Driver& driver, const std::string& path) {
  return driver.step_ended(path).result().output_json().inline_();
}

constexpr const char* kCleaned = R"(
finally:
  note: {set: "{{ run.status }} {{ run.error.message ?? 'fine' }} {{ steps.work.status }}"}
)";

}  // namespace

TEST_CASE("finally runs after a success, a failure and a cancel, and reads how the run went") {
  Driver driver(whole(std::string("steps:\n  work: {tool: t.read, retry: {attempts: 1}}\n") + kCleaned));
  SECTION("a success") {
    driver.submit();
    driver.finish();
    CHECK(said(driver, "note") == "\"succeeded fine succeeded\"");
    CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
    CHECK(driver.output() == Json{{"done", true}});  // The run's result is not the last step's of finally.
  }
  SECTION("a failure") {
    driver.tool = [](const ToolCall&) { return tool_failed("no such file"); };
    driver.submit();
    driver.finish();
    CHECK(said(driver, "note") == "\"failed no such file failed\"");
    CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
    CHECK(driver.end().failure().path() == "work");
  }
  SECTION("a cancel") {
    driver.submit();
    driver.cancel();
    driver.finish();
    CHECK(said(driver, "note") == "\"cancelled fine cancelled\"");
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  }
  SECTION("a kill leaves it out") {
    driver.submit();
    driver.kill();
    driver.finish();
    CHECK(driver.status("note").starts_with("cancelled"));
    CHECK(driver.count(Kind::kFinallyStarted) == 0);
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  }
}

TEST_CASE("a failed step of finally fails a run that had succeeded, keeps the first failure of one that had not") {
  Driver driver(whole(R"(
steps:
  work: {tool: t.read, args: {x: work}, retry: {attempts: 1}}
finally:
  close: {tool: t.read, args: {x: close}, retry: {attempts: 1}}
  other: {set: "{{ 1 }}"}
  later: {set: "{{ steps.close.output }}"}
  told: {set: "{{ steps.close.error.message ?? '' }}"}
)"));
  SECTION("it had succeeded") {
    driver.tool = [](const ToolCall& call) {
      return call.key.path == "close" ? tool_failed("jammed") : tool_done("1");
    };
    driver.submit();
    driver.finish();
    CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
    CHECK(driver.end().failure().path() == "close");
  }
  SECTION("it had failed") {
    driver.tool = [](const ToolCall& call) { return tool_failed(call.key.path); };
    driver.submit();
    driver.finish();
    CHECK(driver.end().failure().message() == "work");
  }
  // Its neighbours go on; what strictly reads it is skipped.
  CHECK(driver.status("other") == "succeeded");
  CHECK(driver.status("later").starts_with("skipped"));
  CHECK(driver.status("told") == "succeeded");
}

TEST_CASE("what is taken back is taken back before finally, and what finally does stands") {
  Driver driver(whole(R"(
tools:
  open: {input: {x: any?}, effect: write, http: {post: "http://127.0.0.1:1/open"}, undo: {tool: shut, args: {}}}
  shut: {input: {}, effect: idempotent, http: {post: "http://127.0.0.1:1/shut"}}
steps:
  a: {needs: [], tool: open}
  b: {needs: [a], tool: t.read, retry: {attempts: 1}}
finally:
  log: {tool: open, args: {x: "{{ run.status }}"}}
)"));
  driver.tool = [](const ToolCall& call) { return call.key.path == "b" ? tool_failed("no") : tool_done("{}"); };
  driver.submit();
  driver.finish();
  const std::size_t undone = place_of(driver, "a/undo", Kind::kStepEnded);
  const std::size_t begun = place_of(driver, "", Kind::kFinallyStarted);
  CHECK(undone < begun);
  CHECK(begun < place_of(driver, "log", Kind::kAttemptStarted));
  CHECK(place_of(driver, "log/undo", Kind::kStepEnded) == driver.events().size());
  CHECK(driver.end().failure().message() == "no");
}

TEST_CASE("a group's finally runs each time the group does, before what follows it") {
  Driver driver(whole(R"(
steps:
  all:
    for_each: {in: "['a', 'b', 'c']", key: item}
    on_item_error: keep
    steps:
      work: {tool: t.read, args: {x: "{{ item }}"}, retry: {attempts: 1}}
    finally:
      close: {tool: t.pure, args: {x: "{{ item + ' ' + run.status }}"}}
  after: {needs: [all], set: "{{ steps.all.output }}"}
)"));
  std::vector<std::string> closed;
  driver.tool = [&](const ToolCall& call) {
    if (call.tool == "t.pure") closed.push_back(call.arguments.inline_());
    if (call.tool == "t.read" && call.arguments.inline_().find("\"b\"") != std::string::npos) return tool_failed("no");
    return tool_done("1");
  };
  driver.submit();
  driver.finish();
  std::ranges::sort(closed);
  CHECK(closed == std::vector<std::string>{R"({"x":"a succeeded"})", R"({"x":"b failed"})", R"({"x":"c succeeded"})"});
  CHECK(driver.output() == Json{1, nullptr, 1});
  CHECK(place_of(driver, "all[b]/close", Kind::kStepEnded) < place_of(driver, "after", Kind::kStepEnded));
}

TEST_CASE("a group that is cancelled because a step beside it failed still runs its finally") {
  Driver driver(whole(R"(
steps:
  slow:
    steps:
      work: {wait: 1h}
    finally:
      close: {tool: t.pure, args: {x: "{{ run.status }}"}}
  bad: {tool: t.read, retry: {attempts: 1}}
)"));
  std::string given;
  driver.tool = [&](const ToolCall& call) {
    if (call.tool == "t.read") return tool_failed("no");
    given = call.arguments.inline_();
    return tool_done("1");
  };
  driver.submit();
  driver.finish();
  CHECK(given == R"({"x":"cancelled"})");
  CHECK(driver.status("slow") == "cancelled:scope_failed");
  CHECK(driver.end().failure().message() == "no");
  CHECK(place_of(driver, "slow/close", Kind::kStepEnded) < place_of(driver, "slow", Kind::kStepEnded));
}

TEST_CASE("a group that is out of time runs its finally, then its next attempt") {
  Driver driver(whole(R"(
steps:
  g:
    retry: {attempts: 2}
    deadline: 1m
    steps:
      ask: {ask: "Now?"}
    finally:
      close: {set: "{{ run.error.kind ?? run.status }}"}
)"));
  driver.submit();
  driver.fire(v1::TIMER_KIND_DEADLINE);
  CHECK(said(driver, "g/close") == "\"deadline\"");
  CHECK(driver.status("g") == "failed:DEADLINE");
}

TEST_CASE("a question in the finally of a cancelled group is open, is answered, and ends in time") {
  Driver driver(whole(R"(
steps:
  g:
    steps:
      work: {wait: 1h}
    finally:
      sure: {ask: "Anything left?", timeout: 1h, on_timeout: "no"}
)"));
  driver.submit();
  driver.cancel();
  REQUIRE(driver.run().open_waits().size() == 1);
  CHECK(driver.run().open_waits().front().key.path == "g/sure");
  CHECK_FALSE(driver.run().ended());
  SECTION("answered") {
    driver.reply("g/sure", "\"none\"");
    CHECK(said(driver, "g/sure") == "\"none\"");
  }
  SECTION("not answered") {
    driver.finish();
    CHECK(said(driver, "g/sure") == "\"no\"");
  }
  CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
}

TEST_CASE("once finally has begun the result stands: no cancel and no deadline changes it, a kill ends it") {
  Driver driver(whole("deadline: 1h\nsteps:\n  work: {set: 7}\nfinally:\n  rest: {wait: 30s}\n"));
  driver.submit();
  CHECK(driver.run().finishing());
  v1::Event cancel;
  cancel.mutable_cancel_requested();
  CHECK_FALSE(driver.run().expects(cancel));
  v1::Event late;
  late.mutable_timer_fired()->set_timer(v1::TIMER_KIND_DEADLINE);
  CHECK_FALSE(driver.run().expects(late));
  SECTION("it ends as it had come to") {
    auto again = driver.restarted();
    CHECK(again->run().finishing());
    CHECK(again->in_flight().size() == 1);  // The wait; the run's deadline is over.
    again->finish();
    CHECK(again->output() == 7);
  }
  SECTION("a kill") {
    driver.kill();
    driver.finish();
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
    CHECK(driver.status("rest").starts_with("cancelled"));
  }
}

TEST_CASE("a kill ends a group's finally too, also after a cancel") {
  Driver driver(whole(R"(
steps:
  g:
    steps:
      work: {wait: 1h}
    finally:
      call: {tool: t.write, args: {x: 1}}
      rest: {wait: 30s}
)"));
  driver.submit();
  driver.cancel();
  CHECK(driver.count(Kind::kFinallyStarted) == 1);
  driver.kill();
  CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  CHECK(driver.status("g/rest").starts_with("cancelled"));
}

TEST_CASE("a run with finally that stops anywhere goes on to the same end") {
  const auto last = whole(R"(
steps:
  g:
    repeat: {until: steps.work.output == 2, at_most: 3, else: keep}
    steps:
      work: {tool: t.read, retry: {attempts: 2}}
    finally:
      close: {tool: t.pure, args: {x: "{{ run.status }}"}}
  after: {set: "{{ steps.g.output }}"}
finally:
  tell: {tool: t.pure, args: {x: "{{ run.status }}"}}
)");
  const auto play = [](Driver& driver) {
    driver.tool = [](const ToolCall& call) {
      if (call.key.path == "g#2/work" && call.key.attempt == 1) return tool_failed("no");
      return tool_done(call.key.path.starts_with("g#2") ? "2" : "1");
    };
  };
  Driver driver(last);
  play(driver);
  driver.submit();
  driver.finish();
  REQUIRE(driver.output() == 2);
  for (std::size_t durable = 1; durable < driver.events().size(); ++durable) {
    auto again = driver.restarted(durable);
    play(*again);
    again->finish();
    INFO(durable);
    CHECK(again->output() == 2);
    CHECK(again->count(Kind::kFinallyStarted) == 3);
  }
}
