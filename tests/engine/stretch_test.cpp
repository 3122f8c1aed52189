// No run holds the loop: one that has much to decide leaves others their turns, and can be stopped.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "fixture.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/engine/maintenance/admin.h"
#include "tests/conformance/journal_fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;
using Steady = std::chrono::steady_clock;

namespace {

constexpr const char* kMany = "weft: 1\nname: many\ninput: {l: [integer]}\nsteps: {a: {for_each: input.l, set: 1}}\n";
constexpr const char* kSmall = "weft: 1\nname: small\nsteps: {a: {set: done}}\n";

std::string numbers(int count) {
  std::string list = "[";
  for (int i = 0; i < count; ++i) list += (i > 0 ? "," : "") + std::to_string(i);
  return list + "]";
}

double ms_since(Steady::time_point begun) {
  return std::chrono::duration<double, std::milli>(Steady::now() - begun).count();
}

// Of `count` submissions, one after the other, how long the slowest but one in ten took until it was durable.
double ninth_decile_ms(World& world, int count) {
  std::vector<double> took;
  for (int i = 0; i < count; ++i) {
    const auto begun = Steady::now();
    world.submit("small");
    took.push_back(ms_since(begun));
  }
  std::ranges::sort(took);
  return took[took.size() * 9 / 10];
}

v1::RunsCancelRequest kill(const std::string& id) {
  v1::RunsCancelRequest request;
  request.set_run_id(id);
  request.set_kill(true);
  return request;
}

}  // namespace

TEST_CASE("while a run decides about 100,000 elements, others begin, it can be killed, and weft stops") {
  World world;
  world.limits = {};
  world.start();
  world.apply(kMany);
  world.apply(kSmall);
  auto begun = Steady::now();
  const std::string many = world.submit("many", fmt::format("{{\"l\":{}}}", numbers(100'000)));
  const double acknowledged_ms = ms_since(begun);
  const double others_ms = ninth_decile_ms(world, 50);
  REQUIRE(world.get(many).ended_at_us() == 0);
  begun = Steady::now();
  REQUIRE(call(world.engine(), &Api::cancel, kill(many)));
  const double killed_ms = ms_since(begun);
  CHECK(world.wait(many).status() == v1::RUN_STATUS_CANCELLED);

  const std::string again = world.submit("many", fmt::format("{{\"l\":{}}}", numbers(100'000)));
  begun = Steady::now();
  world.stop();
  const double stopped_ms = ms_since(begun);
  fmt::print(
      "100,000 elements: acknowledged in {:.0f} ms, others in {:.1f} ms, killed in {:.0f} ms, stopped in {:.0f} ms\n",
      acknowledged_ms, others_ms, killed_ms, stopped_ms);
  CHECK(acknowledged_ms < 1'000);
  CHECK(others_ms < 50);
  CHECK(killed_ms < 1'000);
  CHECK(stopped_ms < 1'000);
  world.start();
  begun = Steady::now();
  REQUIRE(call(world.engine(), &Api::cancel, kill(again)));
  CHECK(ms_since(begun) < 1'000);
}

TEST_CASE("a model's list of 3,000 integers, and of 100,000, with a for_each in a for_each over it, hangs nobody") {
  for (const int count : {3'000, 100'000}) {
    World world;
    world.limits = {};
    world.script("sim: 1\ncache: {delay: 0s}\nrules: [{reply: {text: '" + numbers(count) + "'}}]\n");
    world.start();
    world.apply(
        "weft: 1\nname: listed\ndefaults: {max_output: 300k}\nsteps:\n  list: {prompt: List., output: [integer]}\n"
        "  held: {wait: {signal: never}}\n"  // It does not end by itself, where slots_max ends the rest.
        "  all:\n    for_each: steps.list.output\n    on_error: continue\n    steps:\n"
        "      each: {for_each: steps.list.output, set: \"{{ item + 1 }}\"}\n    returns: \"{{ steps.each.output "
        "}}\"\n");
    world.apply(kSmall);
    const std::string id = world.submit("listed");
    REQUIRE(eventually([&] { return world.get(id).steps_ended() >= 1; }));
    const double others_ms = ninth_decile_ms(world, 50);
    const auto begun = Steady::now();
    REQUIRE(world.get(id).ended_at_us() == 0);
    REQUIRE(call(world.engine(), &Api::cancel, kill(id)));
    const double killed_ms = ms_since(begun);
    fmt::print("a model's {} integers: others in {:.1f} ms, killed in {:.0f} ms\n", count, others_ms, killed_ms);
    CHECK(others_ms < 1'000);
    CHECK(killed_ms < 1'000);
#ifdef WEFT_TIMED
    CHECK(others_ms < 50);
#endif
    CHECK(world.wait(id).status() == v1::RUN_STATUS_CANCELLED);
  }
}

TEST_CASE("what is long is taken up beside the loop, and comes to the same") {
  World world;
  world.limits = {};
  world.start();
  world.apply(
      "weft: 1\nname: long\ninput: {l: [integer]}\nsteps:\n  a: {set: \"{{ input.l }}\"}\n"
      "  b: {for_each: {in: steps.a.output, max_parallel: 3}, set: \"{{ item + 1 }}\"}\n"
      "  c: {set: \"{{ steps.b.output.size() }}\"}\n");
  const std::string id = world.submit("long", fmt::format("{{\"l\":{}}}", numbers(30'000)));
  const v1::Run run = world.wait(id);
  REQUIRE(run.status() == v1::RUN_STATUS_SUCCEEDED);
  const auto events = world.events(id);
  CHECK(events.back().run_ended().output_json().inline_() == "30000");
  v1::TracesReplayRequest replay;
  replay.set_run_id(id);
  replay.set_deep(true);
  const auto replayed = world.engine().replay(replay);
  REQUIRE(replayed);
  CHECK(replayed->differences_found() == 0);
}

TEST_CASE("a cancel and a pause get between the decisions of a run, and a replay takes that for what it is") {
  World world;
  world.limits = {};
  world.start();
  world.apply(kMany);
  const std::string id = world.submit("many", fmt::format("{{\"l\":{}}}", numbers(50'000)));
  v1::RunsPauseRequest pause;
  pause.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::pause, pause));
  CHECK(world.rest(id).status() == v1::RUN_STATUS_PAUSED);
  v1::RunsResumeRequest resume;
  resume.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::resume, resume));
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::cancel, cancel));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_CANCELLED);
  v1::TracesReplayRequest replay;
  replay.set_run_id(id);
  const auto replayed = world.engine().replay(replay);
  REQUIRE(replayed);
  CHECK(replayed->differences_found() == 0);
}

TEST_CASE("a content that comes too late for its own run goes into no other run's append") {
  std::atomic<bool> go_on = false;
  std::atomic<bool> begun = false;
  World world;
  const memory::test::TemporaryFolder folder;
  world.on(std::shared_ptr<memory::Journal>(*memory::open_sqlite({.path = folder / "weft.db"})));
  world.tools.push_back(
      std::make_shared<RecordingTool>("t.slow", tools::Effect::kWrite, [&](const tools::ToolRequest&) {
        begun = true;
        eventually([&] { return go_on.load(); });
        return tools::ToolReply{tools::ToolStatus::kDone, std::string(20'000, 'x')};
      }));
  world.start();
  world.apply("weft: 1\nname: slow\nsteps: {a: {tool: t.slow, needs: [], args: {x: 1}}}\n");
  world.apply(kSmall);
  const std::string id = world.submit("slow");
  REQUIRE(eventually([&] { return begun.load(); }));
  // Its end is not durable yet, so it is still there when the result comes.
  world.journal().hold();
  auto killed = std::async(std::launch::async, [&] { return call(world.engine(), &Api::cancel, kill(id)); });
  REQUIRE(eventually([&] { return world.journal().waiting() > 0; }));
  go_on = true;
  std::promise<Result<v1::RunsSubmitResponse>> other;
  REQUIRE(
      eventually([&] { return world.engine().admin()->stats({})->tool_calls() == 0; }));  // The loop has the result.
  v1::RunsSubmitRequest request;
  request.set_workflow("small");
  world.engine().submit(request,
                        [&](Result<v1::RunsSubmitResponse> response) { other.set_value(std::move(response)); });
  world.journal().release();
  REQUIRE(killed.get());
  REQUIRE(other.get_future().get());
  world.stop();
  const auto store = memory::Connection::open(folder / "weft.db", memory::Connection::Mode::kRead);
  REQUIRE(store);
  CHECK(store->integer("SELECT count(*) FROM blobs").value() == 0);
}
