// How long anything keeps the loop of a shard: whatever a value, an expression or a model's answer is, other runs have
// their turn, and an engine whose loop stands says so.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;
using namespace std::chrono_literals;

namespace {

// A list of so many texts of so many bytes.
std::string texts(int count, std::size_t bytes) {
  std::string list = "[";
  for (int i = 0; i < count; ++i) list += fmt::format("{}\"{}\"", i == 0 ? "" : ",", std::string(bytes, 'a'));
  return list + "]";
}

std::string numbers(int count) {
  std::string list = "[0";
  for (int i = 1; i < count; ++i) list += fmt::format(",{}", i);
  return list + "]";
}

constexpr const char* kNone = R"({"l":[]})";

struct Row {
  std::string name;
  std::string steps;
  std::string input = kNone;
  std::string signal = "";  // Sent when the run rests.
  std::string reply = "{text: done}";
  v1::RunStatus ends = v1::RUN_STATUS_SUCCEEDED;
};

std::vector<Row> rows() {
  const std::string whole = R"({"l":)" + texts(150, 100'000) + "}";
  const std::string large = R"({"l":)" + texts(20, 100'000) + "}";
  return {
      {"an input of 15 MB", "  a: {set: \"{{ size(input.l) }}\"}\n", whole},
      {"a step that gives 2 MB on", "  a: {set: \"{{ input.l }}\"}\n  b: {set: \"{{ size(steps.a.output) }}\"}\n",
       large},
      {"elements of 2 MB", "  a: {for_each: input.l, set: \"{{ size(item) }}\"}\n", large},
      {"an expression over it, to its limit", "  a: {set: \"{{ input.l.all(x, input.l.all(y, x == y)) }}\"}\n", whole,
       "", "", v1::RUN_STATUS_FAILED},
      {"a pattern over it, to its limit", "  a: {set: \"{{ input.l.exists(x, x.matches('[ab]*a[ab]{900}c')) }}\"}\n",
       whole, "", "", v1::RUN_STATUS_FAILED},
      {"a tool's arguments and result of 1 MB", "  a: {tool: t.echo, args: {x: \"{{ input.l }}\"}}\n",
       R"({"l":)" + texts(10, 100'000) + "}"},
      {"an instant tool's arguments and result of 1 MB", "  a: {tool: t.now, args: {x: \"{{ input.l }}\"}}\n",
       R"({"l":)" + texts(10, 100'000) + "}"},
      {"a signal with 1 MB", "  a: {wait: {signal: go}}\n  b: {set: \"{{ size(steps.a.output) }}\"}\n", kNone,
       texts(10, 100'000)},
      {"a signal with 150,000 numbers", "  a: {wait: {signal: go}}\n  b: {set: \"{{ size(steps.a.output) }}\"}\n",
       kNone, numbers(150'000)},
      {"a model's answer of 200 KB", "  a: {prompt: Say it.}\n  b: {set: \"{{ size(steps.a.text) }}\"}\n", kNone, "",
       fmt::format("{{text: '{}'}}", std::string(200'000, 'a'))},
  };
}

// What the engine's loop was kept for at most, at one thing, while the run was on its way.
double longest_ms(const Row& row) {
  World world;
  world.limits = {};
  world.script("sim: 1\ncache: {delay: 0s}\nrules: [{reply: " + (row.reply.empty() ? "{text: done}" : row.reply) +
               "}]\n");
  for (const bool instant : {false, true}) {
    auto echo = std::make_shared<RecordingTool>(instant ? "t.now" : "t.echo", tools::Effect::kRead,
                                                [](const tools::ToolRequest& request) {
                                                  return tools::ToolReply{tools::ToolStatus::kDone, request.arguments};
                                                });
    echo->instant = instant;
    world.tools.push_back(std::move(echo));
  }
  world.start();
  world.apply("weft: 1\nname: long\ndefaults: {max_output: 300k}\ninput: {l: [string]}\nsteps:\n" + row.steps);
  const std::string id = world.submit("long", row.input);
  if (!row.signal.empty()) {
    world.rest(id);
    v1::RunsSignalRequest signal;
    signal.set_run_id(id);
    signal.set_name("go");
    signal.set_payload_json(row.signal);
    const auto sent = call(world.engine(), &Api::signal, signal);
    if (!sent) FAIL(sent.error().message);
  }
  const v1::Run run = world.wait(id);
  if (run.status() != row.ends) FAIL(run.DebugString());
  return static_cast<double>(world.engine().longest_turn().count()) / 1'000;
}

}  // namespace

TEST_CASE("whatever a value, a tool's result, a signal or a model's answer is, it keeps the loop for 50 ms at most") {
  for (const Row& row : rows()) {
    // A machine that is busy keeps a thread waiting in the middle of a turn; so it is not each time.
    double longest = longest_ms(row);
    for (int again = 0; again < 2 && longest >= 50; ++again) longest = std::min(longest, longest_ms(row));
    fmt::print("{}: {:.1f} ms\n", row.name, longest);
    CAPTURE(row.name, longest);
    CHECK(longest > 0);
    CHECK(longest < 1'000);  // What a build without optimisation takes for any of it at once.
#ifdef WEFT_TIMED
    CHECK(longest < 50);
#endif
  }
}

TEST_CASE("an engine whose loop stands takes no runs, says for how long, and is well again when it goes on") {
  World world;
  CHECK(world.stuck_after == 5s);
  world.stuck_after = Duration(200ms);
  std::atomic<bool> go_on = false;
  auto blocks = std::make_shared<RecordingTool>("t.blocks", tools::Effect::kRead, [&](const tools::ToolRequest&) {
    eventually([&] { return go_on.load(); });
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  });
  blocks->instant = true;
  world.tools.push_back(blocks);
  world.start();
  CHECK(world.engine().admits());
  world.apply(
      "weft: 1\nname: blocks\nsteps:\n  later: {wait: 10ms}\n  a: {tool: t.blocks, args: {x: 1}, needs: [later]}\n");
  const std::string id = world.submit("blocks");
  REQUIRE(eventually([&] { return !world.engine().admits(); }));
  const Status stands = world.engine().admits();
  CHECK(stands.error().code == Code::kUnavailable);
  CHECK(stands.error().message == "a thread of this weft has been at one thing for 0 s, and its runs do not go on");
  v1::RunsSubmitRequest request;
  request.set_workflow("blocks");
  const auto refused = world.submit(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kUnavailable);
  go_on = true;
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(eventually([&] { return world.engine().admits().has_value(); }));
  CHECK(world.engine().longest_turn() >= world.stuck_after);
}
