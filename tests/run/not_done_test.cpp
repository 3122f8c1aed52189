// What leaves again, and what does not: calls that are known not to have been done, and calls whose tool has changed
// since.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "effects.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

TEST_CASE(
    "what verify says was not done leaves again as an idempotent call does: three times in all, with its backoff") {
  const auto [attempts, sendings] = GENERATE(table<int, std::size_t>({{1, 3}, {2, 3}, {5, 5}}));
  Driver driver(with_tools("  act: {tool: seen, args: {id: a}, needs: [], retry: {attempts: " +
                           std::to_string(attempts) + ", backoff: 5s..5s}}\n"));
  driver.tool = [](const ToolCall&) { return tool_in_doubt("no answer"); };
  driver.submit();
  driver.finish();
  const auto keys = keys_of(driver);
  REQUIRE(keys.size() == sendings);
  CHECK(std::set<std::string>(keys.begin(), keys.end()).size() == 1);
  CHECK(driver.status("act") == "failed:TOOL_FAILED");
  CHECK(driver.count(v1::Event::kAttemptFailed) == 0);
  std::vector<std::int64_t> sent_us;
  for (const v1::Event& event : driver.events()) {
    if (event.has_tool_call_started()) sent_us.push_back(event.at_us());
    if (event.has_tool_call_resolved()) CHECK(event.tool_call_resolved().by() == v1::RESOLVED_BY_VERIFY);
  }
  for (std::size_t i = 1; i < sent_us.size(); ++i) CHECK(sent_us[i] - sent_us[i - 1] > 2'000'000);
  const std::string why = driver.step_ended("act").result().failure().message();
  CHECK(why.find("look says that seen was not done") != std::string::npos);
}

TEST_CASE("an agent is told that a call was not done, and a cancelled run sends none again") {
  Driver driver(workflow(std::string(kTools) +
                         "agents: {a: {tools: [seen]}}\nsteps:\n  act: {agent: a, prompt: go, needs: []}\n"));
  driver.tool = [](const ToolCall&) { return tool_in_doubt("no answer"); };
  driver.model = in_turns({{"seen", R"({"id":"a"})"}});
  SECTION("told") {
    driver.submit();
    driver.finish();
    CHECK(keys_of(driver).size() == 3);
    CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  }
  SECTION("cancelled between the verdict and what follows from it") {
    driver.on_event = [&](const v1::Event& event) {
      if (event.has_tool_call_verified()) driver.on_event = nullptr;
    };
    driver.submit();
    while (driver.on_event && driver.step()) {
    }
    driver.cancel();
    driver.finish();
    CHECK(keys_of(driver).size() == 1);
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  }
}

namespace {

// What a server makes of the run that has this history, where it offers t.write as `facts`; null: not at all.
std::vector<Command> taken_up(Driver& driver, const ToolFacts* facts) {
  ToolTable table = tool_table();
  table.erase("t.write");
  if (facts != nullptr) table.emplace("t.write", *facts);
  MemoryContents contents;
  Run run(driver.run().shared_workflow(), table, contents);
  for (const v1::Event& event : driver.events()) {
    const Status applied = run.apply(event);
    if (!applied) FAIL(applied.error().message);
  }
  std::vector<Command> left;
  for (Command& command : run.outstanding()) {
    if (std::holds_alternative<ToolCall>(command)) left.push_back(std::move(command));
  }
  return left;
}

}  // namespace

TEST_CASE("a call that left is what its record says, whatever the server offers when it takes up the run") {
  Driver driver(workflow("weft: 1\nname: w\nsteps:\n  act: {tool: t.write, args: {x: 1}, needs: []}\n"));
  driver.submit();
  REQUIRE(driver.count(v1::Event::kToolCallStarted) == 1);
  ToolFacts facts = tool_table().at("t.write");
  const ToolFacts* offered = &facts;
  SECTION("as it was") {}
  SECTION("as one that reads") { facts.policy.effect = tools::Effect::kRead; }
  SECTION("with other arguments") {
    facts.input = with_tools("  act: {tool: look, args: {id: a}, needs: []}\n")->tool("look")->input;
  }
  SECTION("not at all") { offered = nullptr; }
  const auto left = taken_up(driver, offered);
  REQUIRE(left.size() == 1);
  const auto& call = std::get<ToolCall>(left.front());
  CHECK(call.started);
  CHECK(call.effect == tools::Effect::kWrite);
  CHECK(call.idempotency_key == keys_of(driver).front());
  CHECK(call.arguments.inline_() == R"({"x":1})");
}
