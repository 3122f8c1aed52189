#include "runtime/cli/render/trace_text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/history/story.h"

namespace weft::cli {
namespace {

using history::Story;

v1::Run ended_run() {
  v1::Run run;
  run.set_id("01RUN");
  run.set_workflow("hello");
  run.set_status(v1::RUN_STATUS_SUCCEEDED);
  run.set_submitted_at_us(1'000'000'000);
  run.set_ended_at_us(1'001'200'000);
  run.set_steps_ended(2);
  run.set_model_calls(1);
  run.mutable_usage()->set_input_hit(64);
  run.mutable_usage()->set_output(12);
  run.mutable_cost()->set_pico_usd(123'000'000);
  return run;
}

Result<std::shared_ptr<const std::string>> no_blobs(const v1::Blob&) { return not_found("no blobs here"); }

std::string shown(const Story& story, const TraceView& view = {}, const std::string& step = "",
                  const Look& look = {true, false, 120}) {
  auto text = trace_text(story.tree(), ended_run(), step, view, look, no_blobs);
  REQUIRE(text);
  return *text;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a trace shows steps, model calls and tool calls with times, tokens and cost") {
  Story story;
  story.submitted();
  story.attempt_started("find", v1::STEP_KIND_PROMPT);
  story.model_started("find", 1);
  story.model_asked_for_tools("find", 1, {"fs.read"});
  story.tool_started("find", 1, 1, "fs.read");
  story.tool_ended("find", 1, 1, v1::TOOL_OUTCOME_DONE);
  story.step_ended("find", v1::STEP_STATUS_SUCCEEDED);
  const std::string text = shown(story);
  CHECK(text ==
        "01RUN  hello  succeeded  1.2s  2 steps, 1 model call, 0 tool calls  hit 64 / miss - / out 12  $0.000123\n"
        "└─ ✓ find  prompt  500ms\n"
        "   ├─ model deepseek-flash  900ms (first token 200ms)  hit 64 / miss 32 / out 12  $0.000123\n"
        "   └─ tool fs.read {\"path\":\"a.cpp\"}  3.0ms\n");
  CHECK(shown(story, {}, "", {false, false, 120}).find("`- + find") != std::string::npos);
}

TEST_CASE("a skip names its letter and its cause, a switch what it chose") {
  Story story;
  story.submitted();
  story.chose("route", "bug", {"file_bug"});
  story.step_skipped("refund", "switch", "route");
  story.step_skipped("mail", "no_result", "refund");
  story.step_skipped("log", "needs", "mail");
  story.step_skipped("vip", "when", "input.vip");
  const std::string text = shown(story);
  CHECK(has(text, "✓ route  switch  0.0ms  bug → file_bug"));
  CHECK(has(text, "○ refund  skipped (a): switch route did not choose it"));
  CHECK(has(text, "○ mail  skipped (b): refund has no result"));
  CHECK(has(text, "○ log  skipped (c): all it needs was skipped or cancelled, as mail"));
  CHECK(has(text, "○ vip  skipped (d): when input.vip is false"));
}

TEST_CASE("what failed, was retried, lost or is in doubt says so") {
  Story story;
  story.submitted();
  story.attempt_started("greet", v1::STEP_KIND_PROMPT);
  story.model_started("greet", 1);
  story.model_failed("greet", 1, "rate_limit");
  story.attempt_failed("greet", "not JSON");
  story.attempt_started("greet", v1::STEP_KIND_PROMPT, 2);
  story.model_started("greet", 1, 1, 2);
  story.model_failed("greet", 1, "lost", 1, 2);
  story.step_failed("greet", "it is\nbroken \x1b[31m");
  story.attempt_started("append", v1::STEP_KIND_TOOL);
  story.tool_started("append", 0, 1, "fs.append");
  story.tool_in_doubt("append", 0, 1);
  story.step_ended("fine", v1::STEP_STATUS_SUCCEEDED);
  const std::string text = shown(story);
  CHECK(has(text, "attempt 1: failed: not JSON"));
  CHECK(has(text, "failed: rate_limit (HTTP 429): the server said no  hit - / miss - / out -  -"));
  CHECK(has(text, "lost, cost unknown"));
  CHECK(has(text, "in doubt: weft crashed meanwhile"));
  CHECK(has(text, "✓ fine  set"));
  CHECK_FALSE(has(text, "\x1b"));
  const std::string failed = shown(story, {.full = false, .failed = true});
  CHECK(has(failed, "in doubt"));
  CHECK_FALSE(has(failed, "fine"));
}

TEST_CASE("the whole contents are shown only when asked for, line by line") {
  Story story;
  story.submitted();
  story.attempt_started("greet", v1::STEP_KIND_PROMPT);
  story.model_started("greet", 1);
  story.model_ended("greet", 1);
  story.step_ended("greet", v1::STEP_STATUS_SUCCEEDED);
  CHECK_FALSE(has(shown(story), "in one line."));
  const std::string full = shown(story, {.full = true, .failed = false});
  CHECK(has(full, "   │  prompt:\n   │    Greet Ada\n   │    in one line.\n"));
  CHECK(has(full, "text:\n"));
  CHECK(has(full, "  Hello\n"));
}

TEST_CASE("a trace can be of one step, and one that is not there is NOT_FOUND") {
  Story story;
  story.submitted();
  story.step_ended("one", v1::STEP_STATUS_SUCCEEDED);
  story.step_ended("two", v1::STEP_STATUS_SUCCEEDED);
  CHECK_FALSE(has(shown(story, {}, "two"), "one"));
  const auto missing = trace_text(story.tree(), ended_run(), "three", {}, {}, no_blobs);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Code::kNotFound);
}

TEST_CASE("a trace as JSON has the run, and steps within steps") {
  Story story;
  story.submitted();
  story.attempt_started("reply#1/draft", v1::STEP_KIND_PROMPT);
  story.model_started("reply#1/draft", 1);
  story.model_ended("reply#1/draft", 1);
  story.step_ended("reply#1/draft", v1::STEP_STATUS_SUCCEEDED);
  story.step_skipped("log", "needs", "mail");
  const auto json = trace_json(story.tree(), ended_run(), "", no_blobs);
  REQUIRE(json);
  CHECK((*json)["run"]["run_id"] == "01RUN");
  const Json& draft = (*json)["steps"][0]["steps"][0]["steps"][0];
  CHECK(draft["path"] == "reply#1/draft");
  CHECK(draft["attempts"][0]["model_calls"][0]["usage"]["input_hit"] == 64);
  CHECK(draft["attempts"][0]["model_calls"][0]["cost_usd"] == "0.000123");
  CHECK(draft["attempts"][0]["model_calls"][0]["text"] == "Hello\nAda");
  CHECK((*json)["steps"][1]["skip"] == "c");
}

TEST_CASE("costs are never rounded to nothing, and unknown is not zero") {
  v1::Cost cost;
  cost.set_pico_usd(1);
  CHECK(usd_text(&cost) == "$0.000000000001");
  CHECK(usd_text(nullptr) == "-");
}

}  // namespace weft::cli
