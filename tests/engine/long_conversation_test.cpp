// What a long conversation takes on the disk: its own bytes once, and little more.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <future>

#include "fixture.h"
#include "memory/journal/sqlite_store.h"
#include "tests/conformance/journal_fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

class End final : public Watcher {
 public:
  void on_advance(std::uint64_t, std::shared_ptr<const v1::Run> over) override {
    if (over != nullptr) ended.set_value();
  }
  void on_rest() override {}
  void on_progress(const v1::Progress&) override {}
  std::promise<void> ended;
};

}  // namespace

TEST_CASE("a conversation of 500 turns takes at most 1.5 times its transcript and 400 bytes a turn") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kTurns = 100;  // Every turn sends the whole conversation, which sanitizers make slow.
#else
  constexpr int kTurns = 500;
#endif
  const memory::test::TemporaryFolder folder;
  const std::string path = folder / "weft.db";
  World world;
  world.limits = {};
  world.on(memory::open_sqlite({path}).value());
  const std::string answer(700, 'a');
  world.tools.push_back(std::make_shared<RecordingTool>("t.look", tools::Effect::kRead, [&](const tools::ToolRequest&) {
    return tools::ToolReply{tools::ToolStatus::kDone, "\"" + answer + "\""};
  }));
  world.script(
      fmt::format("sim: 1\ncache: {{delay: 0s}}\nrules:\n"
                  "  - {{when: {{times: {}}}, reply: {{text: {}, calls: [{{tool: t.look, args: {{x: {}}}}}]}}}}\n"
                  "  - {{reply: {{text: done}}}}\n",
                  kTurns - 1, std::string(500, 't'), std::string(100, 'x')));
  world.start();
  world.apply(fmt::format(
      "weft: 1\nname: long\nsteps:\n  talk: {{prompt: Talk, system: {}, tools: [t.look], turns: {}, timeout: 10m}}\n",
      std::string(2'000, 's'), kTurns + 1));
  const std::string id = world.submit("long");
  // Told, not asked again and again: each reading would fold all of its events.
  const auto end = std::make_shared<End>();
  REQUIRE(world.engine().watch(id, end));
  REQUIRE(end->ended.get_future().wait_for(std::chrono::minutes(3)) == std::future_status::ready);
  REQUIRE(world.get(id).status() == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(world.get(id).model_calls() == kTurns);
  std::uint64_t transcript = 0;
  for (const v1::Event& event : world.events(id)) {
    const v1::ModelCallEnded& ended = event.model_call_ended();
    transcript += ended.text().inline_().size();
    for (const v1::RequestedCall& call : ended.calls())
      transcript += call.id().size() + call.arguments().inline_().size();
    transcript += event.tool_call_ended().output().inline_().size();
  }
  world.stop();
  world.on(nullptr);  // Closed: what the WAL held is in the file.
  const auto empty = folder / "empty.db";
  memory::test::claim_all(*memory::open_sqlite({empty}).value());
  const std::uint64_t bytes = std::filesystem::file_size(path) - std::filesystem::file_size(empty);
  fmt::print("{} turns: transcript {} bytes, store {} bytes: {:.2f} times and {:.0f} bytes a turn beyond it\n", kTurns,
             transcript, bytes, static_cast<double>(bytes) / static_cast<double>(transcript),
             (static_cast<double>(bytes) - 1.0 * static_cast<double>(transcript)) / kTurns);
  CHECK(bytes <= transcript * 3 / 2 + 400 * kTurns);
}
