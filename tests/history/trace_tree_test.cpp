#include "runtime/history/trace_tree.h"

#include <catch2/catch.hpp>

#include "tests/history/story.h"

namespace weft::history {

TEST_CASE("a path is split into its step, element, round and inner step") {
  CHECK(path_chain("greet") == std::vector<std::string>{"greet"});
  CHECK(path_chain("search[7]#2") == std::vector<std::string>{"search", "search[7]", "search[7]#2"});
  CHECK(path_chain("reply#2/draft") == std::vector<std::string>{"reply", "reply#2", "reply#2/draft"});
  CHECK(path_chain("a~2/b[x/y]/c") == std::vector<std::string>{"a", "a~2", "a~2/b", "a~2/b[x/y]", "a~2/b[x/y]/c"});
  CHECK(path_chain("").empty());
}

TEST_CASE("a step's attempts, model calls and tool calls hang at its path, in order") {
  Story story;
  story.submitted();
  story.attempt_started("find", v1::STEP_KIND_PROMPT);
  story.model_started("find", 1);
  story.model_asked_for_tools("find", 1, {"fs.read", "fs.list"});
  story.tool_started("find", 1, 1, "fs.read");
  story.tool_ended("find", 1, 1, v1::TOOL_OUTCOME_DONE);
  story.tool_ended("find", 1, 2, v1::TOOL_OUTCOME_REFUSED);
  story.model_started("find", 2);
  story.model_ended("find", 2);
  story.step_ended("find", v1::STEP_STATUS_SUCCEEDED);
  const TraceTree& tree = story.tree();
  REQUIRE(tree.root.children.size() == 1);
  const TraceNode& node = tree.root.children.front();
  CHECK(node.kind() == v1::STEP_KIND_PROMPT);
  REQUIRE(node.attempts.size() == 1);
  const TraceAttempt& attempt = node.attempts.front();
  REQUIRE(attempt.model_calls.size() == 2);
  CHECK(attempt.model_calls[0].ended);
  CHECK(attempt.model_calls[1].turn == 2);
  REQUIRE(attempt.tool_calls.size() == 2);
  CHECK(attempt.tool_calls[0].tool == "fs.read");
  CHECK(attempt.tool_calls[0].started_at_us > 0);
  // Refused before it started: known from what the model asked for.
  CHECK(attempt.tool_calls[1].tool == "fs.list");
  CHECK(attempt.tool_calls[1].started_at_us == 0);
  CHECK(attempt.tool_calls[1].ended->outcome() == v1::TOOL_OUTCOME_REFUSED);
  REQUIRE(node.result);
}

TEST_CASE("elements, rounds and inner steps nest beneath their step") {
  Story story;
  story.submitted();
  story.fan_out("review", 2);
  story.attempt_started("review[0]#1/draft", v1::STEP_KIND_PROMPT);
  story.step_ended("review[0]#1/draft", v1::STEP_STATUS_SUCCEEDED);
  story.round_ended("review[0]#1", v1::ROUND_VERDICT_AGAIN);
  story.attempt_started("review[0]#2/draft", v1::STEP_KIND_PROMPT);
  story.round_ended("review[0]#2", v1::ROUND_VERDICT_MET);
  story.element_ended("review[0]#2", 0);
  const TraceNode* review = story.tree().find("review");
  REQUIRE(review != nullptr);
  CHECK(review->elements == 2U);
  REQUIRE(review->children.size() == 1);
  const TraceNode& element = review->children.front();
  CHECK(element.label == "[0]");
  CHECK(element.result);
  REQUIRE(element.children.size() == 2);
  CHECK(element.children[0].label == "#1");
  CHECK(element.children[0].verdict == v1::ROUND_VERDICT_AGAIN);
  REQUIRE(element.children[0].children.size() == 1);
  CHECK(element.children[0].children.front().label == "draft");
  CHECK(element.children[0].children.front().path == "review[0]#1/draft");
}

TEST_CASE("a node is found by its path, and without element and round where there is only one") {
  Story story;
  story.submitted();
  story.attempt_started("reply#1/draft", v1::STEP_KIND_PROMPT);
  CHECK(story.tree().find("reply/draft") == story.tree().find("reply#1/draft"));
  CHECK(story.tree().find("reply/draft") != nullptr);
  CHECK(story.tree().find("nope") == nullptr);
  story.attempt_started("reply#2/draft", v1::STEP_KIND_PROMPT);
  CHECK(story.tree().find("reply/draft") == nullptr);
  CHECK(story.tree().find("reply#2/draft") != nullptr);
  CHECK(story.tree().find("reply")->path == "reply");
}

TEST_CASE("a retry is a second attempt, and a call that a crash cut off is lost and sent again") {
  Story story;
  story.submitted();
  story.attempt_started("greet", v1::STEP_KIND_PROMPT);
  story.attempt_failed("greet", "not JSON");
  story.attempt_started("greet", v1::STEP_KIND_PROMPT, 2);
  story.model_started("greet", 1, 1, 2);
  story.model_failed("greet", 1, "lost", 1, 2);
  story.model_started("greet", 1, 2, 2);
  const TraceNode* node = story.tree().find("greet");
  REQUIRE(node->attempts.size() == 2);
  CHECK(node->attempts[0].failed->failure().message() == "not JSON");
  REQUIRE(node->attempts[1].model_calls.size() == 2);
  CHECK(node->attempts[1].model_calls[0].lost());
  CHECK_FALSE(node->attempts[1].model_calls[1].failed);
}

}  // namespace weft::history
