// Runs that are taken up from a snapshot: what is read for it, and what happens where it is of no use.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

// Elements that are done, an agent in its second turn, and a signal that is waited for.
constexpr const char* kLong = R"(
weft: 1
name: long
steps:
  all: {for_each: "[1, 2, 3, 4, 5, 6, 7, 8]", set: "{{ item }} is done"}
  talk: {prompt: Talk., tools: [t.look], needs: [all]}
  stop: {wait: {signal: go}, needs: [talk]}
  more: {prompt: "More than {{ steps.talk.text }}.", tools: [t.look], needs: [stop]}
returns: "{{ steps.more.text }} after {{ steps.all.output[7] }}"
)";

struct Shop : World {
  Shop() {
    tools.push_back(std::make_shared<RecordingTool>("t.look", tools::Effect::kRead, [this](const tools::ToolRequest&) {
      if (in_look) in_look();
      return tools::ToolReply{tools::ToolStatus::kDone, "1"};
    }));
    script(
        "sim: 1\nrules:\n"
        "  - {when: {turn: 1}, reply: {text: first, calls: [{tool: t.look, args: {x: 1}}]}}\n"
        "  - {reply: {text: second}}\n");
    on(std::shared_ptr<memory::Journal>(memory::make_memory_journal()));
  }
  std::string begin() {
    start();
    apply(kLong);
    const std::string id = submit("long");
    rest(id);
    stop();
    return id;
  }
  v1::Run finish(const std::string& id) {
    v1::RunsSignalRequest request;
    request.set_run_id(id);
    request.set_name("go");
    REQUIRE(call(engine(), &Api::signal, request));
    return wait(id);
  }
  std::size_t differences(const std::string& id) {
    v1::TracesReplayRequest request;
    request.set_run_id(id);
    request.set_deep(true);
    const auto replayed = engine().replay(request);
    if (!replayed) FAIL(replayed.error().message);
    for (const v1::Difference& difference : replayed->differences()) UNSCOPED_INFO(difference.what());
    return replayed->differences_found();
  }

  std::function<void()> in_look;
};

}  // namespace

TEST_CASE("a run that is taken up reads its snapshot and what came after it, and goes on as if it had read all") {
  Shop shop;
  const std::string id = shop.begin();
  shop.start();
  CHECK(shop.journal().read_from(id) > 1);
  const v1::Run run = shop.finish(id);
  CHECK(run.output_json().inline_() == "\"second after 8 is done\"");
  CHECK(shop.provider().requests() == 4);
  CHECK(run.steps_ended() == 4);
  CHECK(run.model_calls() == 4);
  CHECK(shop.differences(id) == 0);
  CHECK_FALSE(shop.journal().snapshot(id).value());  // It has ended, and needs none.
}

TEST_CASE("an agent that is at work goes on in its conversation, which is read from where it began") {
  Shop shop;
  std::promise<void> looked;
  std::promise<void> go;
  auto gone = go.get_future().share();
  std::atomic<int> looks = 0;
  shop.in_look = [&] {
    if (++looks != 1) return;
    looked.set_value();
    gone.wait();
  };
  shop.start();
  shop.apply(kLong);
  const std::string id = shop.submit("long");
  looked.get_future().wait();
  REQUIRE(eventually([&] { return shop.journal().snapshot(id).value().has_value(); }));
  // The look ends when nobody is left to hear of it.
  shop.journal().on_drain([&] { go.set_value(); });
  shop.stop();
  shop.start();
  CHECK(shop.journal().read_from(id) > 1);
  CHECK(shop.finish(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(shop.provider().requests() == 4);
  CHECK(shop.differences(id) == 0);
}

TEST_CASE("a snapshot that is damaged, or of another history, is left aside: all events are read then") {
  Shop shop;
  const std::string id = shop.begin();
  SECTION("a bit has changed") {
    shop.change_snapshot = [](memory::Snapshot& snapshot) { snapshot.bytes[snapshot.bytes.size() / 2] ^= 1; };
  }
  SECTION("it was cut") {
    shop.change_snapshot = [](memory::Snapshot& snapshot) { snapshot.bytes.resize(40); };
  }
  SECTION("it is empty") {
    shop.change_snapshot = [](memory::Snapshot& snapshot) { snapshot.bytes.clear(); };
  }
  SECTION("it says to be of another event") {
    shop.change_snapshot = [](memory::Snapshot& snapshot) { --snapshot.seq; };
  }
  shop.start();
  CHECK(shop.journal().read_from(id) == 1);
  const v1::Run run = shop.finish(id);
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(shop.provider().requests() == 4);
  CHECK(shop.differences(id) == 0);
}

TEST_CASE("how long an attempt has had is the same from a snapshot: what it waited for somebody does not count") {
  Shop shop;
  shop.in_look = [] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); };  // Time for a timer that is due.
  auto clock = std::make_shared<FakeClock>(Time(std::chrono::seconds(1'790'000'000)));
  shop.clock = clock;
  shop.start();
  shop.apply(R"(
weft: 1
name: slow
steps:
  both:
    timeout: 1h
    steps:
      sure: {wait: {signal: go}}
      then: {tool: t.look, needs: [sure]}
)");
  const std::string id = shop.submit("slow");
  shop.rest(id);
  clock->set(clock->now() + std::chrono::hours(5));
  v1::RunsSignalRequest note;
  note.set_run_id(id);
  note.set_name("other");
  REQUIRE(call(shop.engine(), &Api::signal, note));  // An append, and with it a snapshot, in the middle of the wait.
  clock->set(clock->now() + std::chrono::hours(5));
  shop.stop();
  shop.start();
  clock->set(clock->now() + std::chrono::hours(5));
  note.set_name("go");
  const auto told = call(shop.engine(), &Api::signal, note);
  if (!told) FAIL(told.error().message);
  const v1::Run run = shop.wait(id);
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
}
