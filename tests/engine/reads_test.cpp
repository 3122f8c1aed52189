// A read that failed decides nothing: the run stands still, says why, and goes on when the store can be read.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <future>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

// Longer than what stands in an event.
const std::string kLong(20'000, 'x');
const std::string kInput = R"({"text": ")" + kLong + R"("})";
constexpr const char* kWrite = R"(
weft: 1
name: write
input: {text: string}
steps:
  act: {tool: t.write, args: {x: "{{ input.text }}"}, needs: []}
)";
constexpr const char* kSay = R"(
weft: 1
name: say
input: {text: string}
steps:
  sure: {ask: Sure?}
  say: {prompt: "{{ input.text }}", needs: [sure]}
)";

Error failed_disk() { return data_loss("/srv/weft.db: the disk failed (SQLite 266: disk I/O error)"); }

// A write whose reply does not come until it is let go.
struct Write {
  std::atomic<int> begun = 0;
  std::promise<void> go;
  std::shared_future<void> gone = go.get_future().share();
  std::shared_ptr<RecordingTool> tool(tools::Effect effect = tools::Effect::kWrite) {
    return std::make_shared<RecordingTool>("t.write", effect, [this](const tools::ToolRequest&) {
      ++begun;
      gone.wait();
      return tools::ToolReply{tools::ToolStatus::kDone, "1"};
    });
  }
};

// A run that was stopped while its write was under way.
std::string stopped_in_a_write(World& world, Write& write) {
  world.tools = {write.tool()};
  world.start();
  world.apply(kWrite);
  std::string id = world.submit("write", kInput);
  REQUIRE(eventually([&] { return write.begun == 1; }));
  world.journal().on_drain([&] { write.go.set_value(); });  // Nobody hears of it any more.
  world.stop();
  return id;
}

std::size_t count(const std::vector<v1::Event>& events, v1::Event::KindCase kind) {
  std::size_t found = 0;
  for (const v1::Event& event : events) found += event.kind_case() == kind;
  return found;
}

}  // namespace

TEST_CASE("a write whose past cannot be read at a start is in doubt once it can, and neither refused nor sent again") {
  World world;
  Write write;
  const std::string id = stopped_in_a_write(world, write);
  world.prepare = [](HeldJournal& journal) { journal.fail_reads(failed_disk()); };
  world.start();
  REQUIRE(eventually([&] { return world.journal().failed_reads() > 3; }));
  CHECK(world.journal().appends() == 0);
  world.journal().fail_reads(std::nullopt);
  REQUIRE(eventually([&] { return world.get(id).status() == v1::RUN_STATUS_IN_DOUBT; }));
  CHECK(write.begun == 1);
  REQUIRE(world.resolve(id, "act", v1::RESOLUTION_DONE, "7"));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  const auto events = world.events(id);
  CHECK(count(events, v1::Event::kToolCallStarted) == 1);
  CHECK(count(events, v1::Event::kToolCallInDoubt) == 1);
}

TEST_CASE("what a decision rests on cannot be read: the run says so, records nothing, and decides when it can") {
  World world;
  world.limits.idle_bytes_max = 0;  // What waits is read again when something comes for it.
  world.start();
  world.apply(kSay);
  const std::string id = world.submit("say", kInput);
  world.rest(id);
  world.stop();
  world.start();
  world.rest(id);
  v1::RunsAnswerRequest answer;
  answer.set_run_id(id);
  answer.set_path("sure");
  answer.set_value_json("\"yes\"");
  world.journal().fail_reads(failed_disk());
  const auto refused = call(world.engine(), &Api::answer, answer);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kUnavailable);
  CHECK(world.get(id).waits_for().starts_with("a store that can be read: "));
  world.journal().fail_reads(std::nullopt);
  REQUIRE(eventually([&] { return call(world.engine(), &Api::answer, answer).has_value(); }));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  const auto events = world.events(id);
  const auto asked =
      std::ranges::find_if(events, [](const v1::Event& event) { return event.has_model_call_started(); });
  REQUIRE(asked != events.end());
  CHECK(asked->model_call_started().request_bytes() > kLong.size());  // The input is in it.
}

TEST_CASE("a content that is gone is no refusal: the run waits for somebody who looks at it") {
  World world;
  Write write;
  const std::string id = stopped_in_a_write(world, write);
  world.prepare = [](HeldJournal& journal) { journal.lose_blobs(); };
  world.start();
  REQUIRE(eventually([&] { return world.get(id).waits_for().starts_with("somebody who looks at it: "); }));
  CHECK(world.get(id).status() == v1::RUN_STATUS_WAITING);
  CHECK(world.journal().appends() == 0);
  CHECK(count(world.events(id), v1::Event::kToolCallEnded) == 0);
  world.stop();
  world.start();  // It has been put back.
  CHECK(eventually([&] { return world.get(id).status() == v1::RUN_STATUS_IN_DOUBT; }));
}

TEST_CASE("a write that left stays in doubt though the server offers its tool as one that reads") {
  World world;
  Write write;
  const std::string id = stopped_in_a_write(world, write);
  Write read;
  read.go.set_value();
  world.tools = {read.tool(tools::Effect::kRead)};
  world.start();
  REQUIRE(eventually([&] { return history::is_at_rest(world.get(id).status()); }));
  CHECK(world.get(id).status() == v1::RUN_STATUS_IN_DOUBT);
  CHECK(read.begun == 0);
}

TEST_CASE(
    "a list costs a row for each run: the events of runs that have not ended are read once, and then the new ones") {
  World world;
  world.start();
  world.apply("weft: 1\nname: wait\nsteps:\n  first: {ask: Sure?}\n  second: {ask: Really?, needs: [first]}\n");
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(world.submit("wait"));
  for (const std::string& id : ids) world.rest(id);
  const v1::RunsListRequest all;
  REQUIRE(world.engine().list_runs(all)->runs_size() == 10);
  const std::size_t pages = world.journal().pages_read();
  for (int i = 0; i < 5; ++i) {
    const auto listed = world.engine().list_runs(all);
    REQUIRE(listed);
    for (const v1::Run& run : listed->runs()) {
      CHECK(run.status() == v1::RUN_STATUS_WAITING);
      CHECK(run.steps_ended() == 0);
    }
  }
  v1::TracesGetRequest trace;
  trace.set_run_id(ids.front());
  for (int i = 0; i < 5; ++i) REQUIRE(world.engine().get_trace(trace));
  // The trace's own events, and none to say how the run stands.
  CHECK(world.journal().pages_read() - pages == 5);
  v1::RunsAnswerRequest answer;
  answer.set_run_id(ids.front());
  answer.set_path("first");
  answer.set_value_json("\"yes\"");
  REQUIRE(call(world.engine(), &Api::answer, answer));
  REQUIRE(eventually([&] { return world.get(ids.front()).steps_ended() == 1; }));
  CHECK(world.get(ids.front()).last_seq() == world.events(ids.front()).back().seq());
}
