// What one run may take of an engine: each limit is reached by its name, from the configuration to the refusal. And
// what the engine does only where one run is all there is.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>

#include "fixture.h"
#include "past.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

std::string numbers(int count) {
  std::string list = "{\"l\":[0";
  for (int i = 1; i < count; ++i) list += fmt::format(",{}", i);
  return list + "]}";
}

EngineLimits limits_of(const std::string& yaml) {
  workflows::Diagnostics diagnostics("weft.yaml");
  const auto config = read_config(yaml, diagnostics);
  REQUIRE(config);
  return config->limits;
}

std::vector<v1::CancelRequested> cancels(const std::vector<v1::Event>& events) {
  std::vector<v1::CancelRequested> found;
  for (const v1::Event& event : events) {
    if (event.has_cancel_requested()) found.push_back(event.cancel_requested());
  }
  return found;
}

}  // namespace

TEST_CASE("a run that computes for longer than limits.decide_max is cancelled, and killed where it goes on") {
  // Long enough for the pool each, and so many that no machine is done with them in the meantime.
  const std::string dear = "{{ input.l.all(x, input.l.all(y, y < 10000)) }}";
  const std::string steps = "steps:\n  a: {for_each: input.l, set: \"" + dear + "\"}\n";
  World world;
  world.limits = limits_of("limits: {decide_max: 50ms}\n");
  world.start();
  world.apply("weft: 1\nname: ends\ninput: {l: [integer]}\n" + steps + "finally:\n  tidy: {set: \"{{ 1 }}\"}\n");
  world.apply("weft: 1\nname: goes-on\ninput: {l: [integer]}\n" + steps + "finally:\n  b: {for_each: input.l, set: \"" +
              dear + "\"}\n");
  const std::string reason = "it computed for 50ms and waited for nothing, which is limits.decide_max";

  const std::string ends = world.submit("ends", numbers(600));
  const v1::Run ended = world.wait(ends);
  INFO(ended.failure().message());
  CHECK(ended.status() == v1::RUN_STATUS_CANCELLED);
  const auto cancelled = cancels(world.events(ends));
  REQUIRE(cancelled.size() == 1);
  CHECK(cancelled.front().reason() == reason);
  CHECK_FALSE(cancelled.front().kill());

  const std::string goes_on = world.submit("goes-on", numbers(600));
  CHECK(world.wait(goes_on).status() == v1::RUN_STATUS_CANCELLED);
  const auto killed = cancels(world.events(goes_on));
  REQUIRE(killed.size() == 2);
  CHECK_FALSE(killed.front().kill());
  CHECK(killed.back().kill());
  CHECK(killed.back().reason() == reason);
}

TEST_CASE("limits.run_bytes_max of the configuration bounds what a run holds, and the refusal names it") {
  World world;
  world.limits = limits_of("limits: {run_bytes_max: 200000}\n");
  world.start();
  world.apply(
      "weft: 1\nname: large\ninput: {l: [integer]}\nsteps:\n"
      "  a: {for_each: input.l, set: \"{{ 'x'.replace('x', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy') "
      "}}\"}\n");
  const v1::Run run = world.wait(world.submit("large", numbers(2'000)));
  CHECK(run.status() == v1::RUN_STATUS_FAILED);
  CHECK_THAT(run.failure().message(), Catch::Contains("the limit is 200000 (run_bytes_max)"));
  CHECK(replay(world, run.id()).differences_size() == 0);
  CHECK(world.wait(world.submit("large", numbers(20))).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("an append is alone where its run is the only one at work, and not where another one is") {
  std::atomic<bool> go_on = false;
  std::atomic<bool> begun_slow = false;
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>("t.slow", tools::Effect::kRead, [&](const tools::ToolRequest&) {
    begun_slow = true;
    eventually([&] { return go_on.load(); });
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  world.start();
  world.apply("weft: 1\nname: slow\nsteps: {a: {tool: t.slow, args: {x: 1}}}\n");
  world.apply("weft: 1\nname: waits\nsteps: {a: {wait: {signal: go}}}\n");
  world.apply("weft: 1\nname: small\nsteps: {a: {set: 1}}\n");
  const auto at_work = [&](std::size_t runs) {
    return eventually([&] { return world.engine().active_runs() == runs; });
  };
  // How many appends there are from now on, and how many of these are alone, while a small run goes by.
  const auto of_small_run = [&] {
    const std::size_t before = world.journal().appends();
    const std::size_t alone = world.journal().appends_alone();
    world.wait(world.submit("small"));
    return std::pair(world.journal().appends() - before, world.journal().appends_alone() - alone);
  };
  const auto [by_itself, alone] = of_small_run();
  CHECK(by_itself > 0);
  CHECK(alone == by_itself);
  REQUIRE(at_work(0));
  // One that only waits is not at work.
  world.rest(world.submit("waits"));
  REQUIRE(at_work(0));
  const auto [beside_waiting, alone_still] = of_small_run();
  CHECK(alone_still == beside_waiting);
  REQUIRE(at_work(0));

  const std::string slow = world.submit("slow");
  REQUIRE(eventually([&] { return begun_slow.load(); }));
  const auto [beside_another, none] = of_small_run();
  CHECK(beside_another > 0);
  CHECK(none == 0);
  go_on = true;
  world.wait(slow);
}
