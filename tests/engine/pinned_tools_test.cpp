// A run has the tools that it was begun with, whatever the server offers when it is started again.
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "fixture.h"
#include "past.h"

namespace weft::engine::testing {
namespace {

// A tool as a server of some day offers it.
class DatedTool final : public tools::Tool {
 public:
  DatedTool(tools::ToolSpec spec, std::atomic<int>& calls) : spec_(std::move(spec)), calls_(calls) {}
  const tools::ToolSpec& spec() const override { return spec_; }
  tools::ToolReply run(const tools::ToolRequest&, const tools::Cancelled&) override {
    ++calls_;
    return {tools::ToolStatus::kDone, "1"};
  }

 private:
  const tools::ToolSpec spec_;
  std::atomic<int>& calls_;
};

constexpr const char* kTakesX =
    R"({"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false})";
constexpr const char* kTakesY =
    R"({"type":"object","properties":{"y":{"type":"string"}},"required":["y"],"additionalProperties":false})";

struct Server {
  World world;
  std::atomic<int> calls = 0;

  void offer(const std::vector<tools::ToolSpec>& specs) {
    world.tools.clear();
    for (const tools::ToolSpec& spec : specs) world.tools.push_back(std::make_shared<DatedTool>(spec, calls));
  }
  void restart_with(const std::vector<tools::ToolSpec>& specs) {
    world.stop();
    offer(specs);
    world.start();
  }
  void answer(const std::string& id) {
    v1::RunsAnswerRequest request;
    request.set_run_id(id);
    request.set_path("sure");
    request.set_value_json("\"yes\"");
    const auto answered = call(world.engine(), &Api::answer, request);
    if (!answered) FAIL(answered.error().message);
  }
};

TEST_CASE("a tool that promises something else after a restart is called as the run knows it") {
  Server server;
  server.offer({{"t.act", "Acts.", kTakesX, tools::Effect::kIdempotent}});
  server.world.start();
  server.world.apply(
      "weft: 1\nname: act\nsteps:\n  sure: {ask: Sure?}\n  act: {tool: t.act, args: {x: 1}, needs: [sure]}\n");
  const std::string id = server.world.submit("act");
  server.world.rest(id);
  // For another run these arguments would be wrong.
  server.restart_with({{"t.act", "Looks.", kTakesY, tools::Effect::kRead}});
  server.answer(id);
  CHECK(server.world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(server.calls == 1);
  int started = 0;
  for (const v1::Event& event : server.world.events(id)) {
    if (!event.has_tool_call_started()) continue;
    ++started;
    CHECK(event.tool_call_started().effect() == v1::TOOL_EFFECT_IDEMPOTENT);
    CHECK_FALSE(event.tool_call_started().key().empty());
  }
  CHECK(started == 1);
  CHECK(replay(server.world, id).differences().empty());
}

TEST_CASE("an agent is told of its tools in the same bytes after a restart, and a new run in the new ones") {
  Server server;
  server.world.script("sim: 1\ncache: {delay: 0s}\nrules:\n  - {reply: {text: done}}\n");
  server.offer({{"t.look", "Looks.", kTakesX, tools::Effect::kRead}});
  server.world.start();
  server.world.apply(
      "weft: 1\nname: two\nagents:\n  worker: {system: Work., tools: [t.look]}\nsteps:\n"
      "  a: {agent: worker, prompt: A}\n  sure: {ask: Sure?}\n  b: {agent: worker, prompt: B, needs: [sure]}\n");
  const std::string id = server.world.submit("two");
  server.world.rest(id);
  server.restart_with({{"t.look", "Looks closely.", kTakesX, tools::Effect::kRead}});
  server.answer(id);
  CHECK(server.world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  const auto prefixes = [&](const std::string& run) {
    std::vector<std::string> found;
    for (const v1::Event& event : server.world.events(run)) {
      if (event.has_model_call_started()) found.push_back(event.model_call_started().prefix_sha256());
    }
    return found;
  };
  const auto before = prefixes(id);
  REQUIRE(before.size() == 2);
  CHECK(before[0] == before[1]);
  CHECK(replay(server.world, id).differences().empty());

  const std::string later = server.world.submit("two");
  server.world.rest(later);
  REQUIRE(prefixes(later).size() == 1);
  CHECK(prefixes(later)[0] != before[0]);
  server.answer(later);
  server.world.wait(later);
}

TEST_CASE("a call of a tool that is gone waits for a server that offers it, and says so") {
  Server server;
  const tools::ToolSpec act{"t.act", "Acts.", kTakesX, tools::Effect::kWrite};
  server.offer({act});
  server.world.start();
  server.world.apply(
      "weft: 1\nname: act\nsteps:\n  sure: {ask: Sure?}\n  act: {tool: t.act, args: {x: 1}, needs: [sure]}\n");
  const std::string id = server.world.submit("act");
  server.world.rest(id);
  server.restart_with({});
  server.answer(id);
  REQUIRE(eventually([&] { return server.world.get(id).waits_for().starts_with("a server that offers"); }));
  CHECK(server.world.get(id).waits_for() == "a server that offers the tool t.act, as it was begun with");
  CHECK(server.world.get(id).ended_at_us() == 0);
  for (const v1::Event& event : server.world.events(id)) CHECK_FALSE(event.has_tool_call_started());
  server.restart_with({act});
  CHECK(server.world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(server.calls == 1);
}

TEST_CASE("what a run records of the server's tools is what its workflow names") {
  Server server;
  server.world.script("sim: 1\ncache: {delay: 0s}\nrules:\n  - {reply: {text: done}}\n");
  server.offer({{"t.look", "Looks.", kTakesX, tools::Effect::kRead}, {"t.other", "", kTakesY, tools::Effect::kWrite}});
  server.world.start();
  server.world.apply("weft: 1\nname: none\nsteps:\n  a: {prompt: A}\n");
  server.world.apply("weft: 1\nname: one\nsteps:\n  a: {prompt: A, tools: [t.look]}\n");
  const auto recorded = [&](const std::string& workflow) {
    const std::string id = server.world.submit(workflow);
    server.world.wait(id);
    return server.world.events(id).front().run_submitted();
  };
  CHECK_FALSE(recorded("none").has_tools_json());
  const std::string tools = recorded("one").tools_json().inline_();
  CHECK(tools.find("\"t.look\"") != std::string::npos);
  CHECK(tools.find("t.other") == std::string::npos);
}

}  // namespace
}  // namespace weft::engine::testing
