// A run's past: begun again where it failed, shared by a fork up to a path, and run again from its record.
#include "past.h"

#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "fixture.h"
#include "memory/journal/sqlite_store.h"
#include "runtime/history/event_codec.h"
#include "runtime/run/run.h"
#include "tests/folder.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

TEST_CASE("a failed run goes on after the retry, also when the engine stops right behind it") {
  std::atomic<bool> down = true;
  Shop shop(refuses("/ship", down));
  World world;
  world.start();
  world.apply(shop_flow(shop));
  const std::string id = world.submit("order");
  CHECK(world.wait(id).status() == v1::RUN_STATUS_FAILED);
  CHECK(retry(world, "nobody").error().code == Code::kNotFound);
  const auto still_down = retry(world, id);
  if (!still_down) FAIL(still_down.error().message);
  CHECK(still_down->run().status() == v1::RUN_STATUS_RUNNING);
  CHECK(still_down->run().ended_at_us() == 0);
  CHECK(world.wait(id).status() == v1::RUN_STATUS_FAILED);
  down = false;
  world.journal().hold();
  std::thread later([&] { (void)retry(world, id); });
  REQUIRE(eventually([&] { return world.journal().waiting() > 0; }));
  world.journal().release();
  later.join();
  world.stop();
  world.start();
  // The engine may have stopped between the intent of the last call and its result.
  if (world.rest(id).status() == v1::RUN_STATUS_IN_DOUBT) REQUIRE(world.resolve(id, "send", v1::RESOLUTION_RETRY));
  const v1::Run run = world.wait(id);
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK_FALSE(run.has_failure());
  CHECK(shop.count("/charge") == 1);
  CHECK(world.provider().requests() == 2);
  CHECK(retry(world, id).error().code == Code::kFailedPrecondition);
  CHECK(replay(world, id).differences_found() == 0);
}

TEST_CASE("a fork shares the past up to its path, pays for nothing of it, and asks before it changes the world") {
  Shop shop([](const Shop::Request&) { return Shop::Answer{200, R"({"ok": true})"}; });
  World world;
  world.start();
  world.apply(shop_flow(shop));
  const std::string source = world.submit("order");
  const v1::Run paid = world.wait(source);
  REQUIRE(paid.status() == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(shop.requests().size() == 2);
  v1::RunsForkRequest request = fork_of(source, "write");
  request.set_request_id("once");

  v1::RunsForkRequest dry = request;
  dry.set_validate_only(true);
  const auto checked = call(world.engine(), &Api::fork, dry);
  REQUIRE(checked);
  CHECK(checked->run_id().empty());

  const std::string id = fork(world, request);
  CHECK(fork(world, request) == id);
  v1::Run run = world.rest(id);
  CHECK(run.status() == v1::RUN_STATUS_IN_DOUBT);
  CHECK(run.waits_for() ==
        fmt::format("somebody who allows ship to be called: weft resolve {} send retry|done|skip", id));
  CHECK(run.forked_from() == source);
  CHECK(run.model_calls() == 1);
  CHECK(run.usage().output() < paid.usage().output());
  CHECK(shop.requests().size() == 2);
  world.stop();
  world.start();
  CHECK(world.rest(id).status() == v1::RUN_STATUS_IN_DOUBT);
  REQUIRE(world.resolve(id, "send", v1::RESOLUTION_RETRY));
  run = world.wait(id);
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.provider().requests() == 3);
  // The same call of the same lineage leaves under the same key: the shop can know it.
  const auto requests = shop.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[1].key == requests[2].key);
  CHECK(requests[1].path == "/ship");
  CHECK(replay(world, id).differences_found() == 0);
  CHECK(replay(world, source).differences_found() == 0);
}

TEST_CASE("what a fork may do to the world is said when it is made") {
  Shop shop([](const Shop::Request&) { return Shop::Answer{200, R"({"ok": true})"}; });
  World world;
  world.start();
  world.apply(shop_flow(shop));
  const std::string source = world.submit("order");
  world.wait(source);
  v1::RunsForkRequest request = fork_of(source, "pay");
  request.set_effects(v1::FORK_EFFECTS_REFUSE);
  const v1::Run refused = world.wait(fork(world, request));
  CHECK(refused.status() == v1::RUN_STATUS_FAILED);
  CHECK(refused.failure().message().find("charge: not run") != std::string::npos);
  CHECK(shop.requests().size() == 2);
  request.set_effects(v1::FORK_EFFECTS_ALLOW);
  CHECK(world.wait(fork(world, request)).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(shop.count("/charge") == 2);
  // One that is cancelled while it asks is over: nothing had left.
  request.set_effects(v1::FORK_EFFECTS_ASK);
  const std::string asks = fork(world, request);
  CHECK(world.rest(asks).status() == v1::RUN_STATUS_IN_DOUBT);
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(asks);
  REQUIRE(call(world.engine(), &Api::cancel, cancel));
  const v1::Run cancelled = world.wait(asks);
  CHECK(cancelled.status() == v1::RUN_STATUS_CANCELLED);
  CHECK(cancelled.doubts_open() == 0);
  CHECK(shop.count("/charge") == 2);
}

TEST_CASE("what was asked or allowed in a fork is not so in a fork of it") {
  std::atomic<int> charged = 0;
  Shop shop([&](const Shop::Request& request) {
    const bool refused = request.path == "/charge" && ++charged == 2;
    return Shop::Answer{refused ? 422 : 200, R"({"ok": true})"};
  });
  World world;
  world.start();
  std::string flow = shop_flow(shop);
  flow.replace(flow.find("args: {id: a}"), 13, "args: {id: a}, retry: {attempts: 2, backoff: 1ms..1ms}");
  world.apply(flow);
  const std::string source = world.submit("order");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  const std::string asks = fork(world, fork_of(source, "pay"));
  REQUIRE(world.rest(asks).status() == v1::RUN_STATUS_IN_DOUBT);
  REQUIRE(world.resolve(asks, "pay", v1::RESOLUTION_RETRY));
  REQUIRE(eventually([&] { return charged == 3; }));  // Refused once, and once more under what was allowed.
  CHECK(world.rest(asks).status() == v1::RUN_STATUS_IN_DOUBT);

  const std::string again = fork(world, fork_of(asks, "pay~2"));
  const v1::Run waits = world.rest(again);
  CHECK(waits.status() == v1::RUN_STATUS_IN_DOUBT);
  CHECK(waits.waits_for().find("allows charge") != std::string::npos);
  CHECK(charged == 3);
}

TEST_CASE("what a fork waits to be allowed, a fork of it allows or refuses as it was told itself") {
  std::atomic<int> written = 0;
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>("t.write", tools::Effect::kWrite, [&](const auto&) {
    ++written;
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  world.start();
  world.apply(
      "weft: 1\nname: beside\nsteps:\n  think: {prompt: Think., needs: []}\n"
      "  act: {tool: t.write, args: {x: 1}, needs: []}\n  write: {prompt: \"{{ steps.think.text }}\"}\n");
  const std::string source = world.submit("beside");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  const std::string asks = fork(world, fork_of(source, "act"));
  REQUIRE(eventually(
      [&] { return world.get(asks).steps_ended() == 2 && world.get(asks).status() == v1::RUN_STATUS_IN_DOUBT; }));
  v1::RunsForkRequest other = fork_of(asks, "write");
  other.set_effects(v1::FORK_EFFECTS_REFUSE);
  CHECK(world.wait(fork(world, other)).failure().message().find("t.write: not run") != std::string::npos);
  CHECK(written == 1);
  other.set_effects(v1::FORK_EFFECTS_ALLOW);
  CHECK(world.wait(fork(world, other)).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(written == 2);
}

TEST_CASE("what a fork asks may be answered when the step around it is over and only waits for another call") {
  std::promise<void> go;
  auto gone = go.get_future().share();
  std::atomic<bool> as_in_source = true;
  std::atomic<int> written = 0;
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>("t.write", tools::Effect::kWrite, [&](const auto& request) {
    ++written;
    if (as_in_source) return tools::ToolReply{tools::ToolStatus::kDone, "1"};
    if (request.arguments == R"({"x":2})") return tools::ToolReply{tools::ToolStatus::kFailed, "no"};
    gone.wait();
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  world.start();
  world.apply(
      "weft: 1\nname: many\nsteps:\n  all: {for_each: {in: \"[1, 2, 3]\", key: item}, tool: t.write, args: {x: \"{{ "
      "item }}\"}, needs: "
      "[]}\n");
  const std::string source = world.submit("many");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  as_in_source = false;
  const std::string id = fork(world, fork_of(source, "all"));
  REQUIRE(eventually([&] { return world.get(id).doubts_size() == 3; }));
  REQUIRE(world.resolve(id, "all[3]", v1::RESOLUTION_RETRY));
  REQUIRE(eventually([&] { return written == 4; }));
  REQUIRE(world.resolve(id, "all[2]", v1::RESOLUTION_RETRY));
  REQUIRE(eventually([&] { return written == 5 && world.get(id).doubts_size() == 1; }));
  CHECK(world.resolve(id, "all[1]", v1::RESOLUTION_SKIP));
  go.set_value();
  CHECK(world.wait(id).status() == v1::RUN_STATUS_FAILED);
  CHECK(written == 5);
}

TEST_CASE("a fork with another model, input or definition takes them from its path on") {
  Shop shop([](const Shop::Request&) { return Shop::Answer{200, R"({"ok": true})"}; });
  World world;
  world.start();
  world.apply(shop_flow(shop));
  const std::string source = world.submit("order");
  world.wait(source);
  v1::RunsForkRequest request = fork_of(source, "write");
  request.set_effects(v1::FORK_EFFECTS_ALLOW);
  request.set_model("deepseek-v4-pro");
  request.set_input_json(R"({"who": "bob"})");
  const std::string id = fork(world, request);
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  std::vector<std::string> models;
  for (const v1::Event& event : world.events(id)) {
    if (event.has_model_call_started()) models.push_back(event.model_call_started().model());
  }
  CHECK(models == std::vector<std::string>{"deepseek-flash", "deepseek-v4-pro"});
  CHECK(replay(world, id).differences_found() == 0);

  request.set_model("nope");
  CHECK(call(world.engine(), &Api::fork, request).error().message.starts_with("there is no model \"nope\""));

  std::string other = shop_flow(shop);
  other.replace(other.find("Write after"), 11, "Compose after");
  world.apply(other);
  v1::RunsForkRequest changed = fork_of(source, "write");
  changed.set_workflow("order");
  changed.set_effects(v1::FORK_EFFECTS_ALLOW);
  const v1::Run composed = world.wait(fork(world, changed));
  CHECK(composed.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(composed.output_json().inline_().find("Compose after") != std::string::npos);

  // What does not fit is listed, with paths, before anything is made.
  std::string misfit = shop_flow(shop);
  const std::string think = "{prompt: \"Think of {{ input.who }}.\"}";
  misfit.replace(misfit.find(think), think.size(), "{set: \"{{ input.who }}\"}");
  misfit.replace(misfit.find("steps.think.text"), 16, "steps.think.output");
  misfit.replace(misfit.find("{tool: charge"), 13, "{tool: ship");
  world.apply(misfit);
  v1::RunsListRequest list;
  const std::size_t before = static_cast<std::size_t>(world.engine().list_runs(list)->runs_size());
  const auto refused = call(world.engine(), &Api::fork, changed);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kFailedPrecondition);
  std::vector<std::string> places;
  for (const Detail& detail : refused.error().details) {
    if (detail.key == "misfit") places.push_back(detail.value);
  }
  CHECK(places == std::vector<std::string>{"think: it is of another kind", "pay: it calls ship, and called charge"});
  CHECK(static_cast<std::size_t>(world.engine().list_runs(list)->runs_size()) == before);
}

TEST_CASE(
    "a fork may begin at a turn of an agent, or at a round; a path that never was is refused with those that were") {
  World world;
  std::atomic<int> adds = 0;
  world.tools.push_back(std::make_shared<RecordingTool>("t.add", tools::Effect::kRead, [&](const auto&) {
    ++adds;
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  world.script(
      "sim: 1\ncache: {delay: 0s}\nrules:\n"
      "  - {when: {turn: 1}, reply: {calls: [{tool: t.add, args: {x: 1}}]}}\n"
      "  - {when: {turn: 2}, reply: {calls: [{tool: t.add, args: {x: 2}}]}}\n"
      "  - {reply: {text: done}}\n");
  world.start();
  world.apply("weft: 1\nname: turns\nsteps:\n  work: {prompt: Go., tools: [t.add]}\n");
  const std::string source = world.submit("turns");
  CHECK(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(adds == 2);
  const auto requests = world.provider().requests();
  const std::string id = fork(world, fork_of(source, "work:3"));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.provider().requests() == requests + 1);
  CHECK(adds == 2);
  CHECK(replay(world, id).differences_found() == 0);
  const std::string again = fork(world, fork_of(source, "work:2.1"));
  CHECK(world.wait(again).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(adds == 3);
  const auto nowhere = call(world.engine(), &Api::fork, fork_of(source, "wrok"));
  CHECK(nowhere.error().code == Code::kNotFound);
  CHECK(nowhere.error().message.find("it has been at work") != std::string::npos);
  const auto late = call(world.engine(), &Api::fork, fork_of(source, "work:9"));
  CHECK(late.error().message.find("it has been at work and had 3 turns there") != std::string::npos);
  CHECK(call(world.engine(), &Api::fork, fork_of(source, "work:x")).error().code == Code::kInvalidArgument);
  CHECK(call(world.engine(), &Api::fork, fork_of(source, "")).error().code == Code::kInvalidArgument);
}

TEST_CASE("results of calls that were under way at a fork's path are its own too; its long values outlive the source") {
  const Folder folder;
  const std::string long_text(40'000, 'x');
  std::atomic<int> slow = 0;
  std::promise<void> go;
  auto gone = go.get_future().share();
  {
    World world;
    world.on(std::shared_ptr<memory::Journal>(*memory::open_sqlite({.path = folder / "weft.db"})));
    world.tools.push_back(std::make_shared<RecordingTool>("t.slow", tools::Effect::kWrite, [&](const auto&) {
      ++slow;
      gone.wait();
      return tools::ToolReply{tools::ToolStatus::kDone, "1"};
    }));
    world.start();
    world.apply(
        "weft: 1\nname: both\ninput: {text: string}\nsteps:\n"
        "  side: {tool: t.slow, args: {x: 1}, needs: []}\n"
        "  first: {set: \"{{ input.text }}\"}\n"
        "  second: {prompt: \"{{ steps.first.output }}\"}\n"
        "returns: \"{{ steps.side.output }}\"\n");
    const std::string source = world.submit("both", to_text(Json{{"text", long_text}}));
    REQUIRE(eventually([&] { return slow == 1 && world.get(source).steps_ended() == 2; }));
    go.set_value();
    REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
    const std::string id = fork(world, fork_of(source, "second"));
    const v1::Run run = world.wait(id);
    CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
    CHECK(slow == 1);
    CHECK(run.tool_calls() == 0);
    const auto replayed = replay(world, id);
    CHECK(replayed.differences_found() == 0);
    CHECK(replayed.contents() > 0);
  }
}

TEST_CASE("a fork's call leaves under the key under which the source's equal call was done") {
  std::atomic<int> charges = 0;
  Shop shop([&](const Shop::Request& request) {
    return Shop::Answer{request.path == "/charge" && ++charges == 1 ? 400 : 200, R"({"ok": true})"};
  });
  World world;
  world.start();
  std::string flow = shop_flow(shop);
  flow.replace(flow.find("needs: [think]"), 14, "needs: [think], retry: {attempts: 2, backoff: 1ms..1ms}");
  SECTION("where the first was refused") {
    world.apply(flow);
    const std::string source = world.submit("order");
    REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
    v1::RunsForkRequest request = fork_of(source, "pay");
    request.set_effects(v1::FORK_EFFECTS_ALLOW);
    const std::string first = fork(world, request);
    CHECK(world.wait(first).status() == v1::RUN_STATUS_SUCCEEDED);
    // Also in the fork of a fork, and where somebody lets the call go.
    request.set_run_id(first);
    request.set_effects(v1::FORK_EFFECTS_ASK);
    const std::string second = fork(world, request);
    CHECK(world.rest(second).status() == v1::RUN_STATUS_IN_DOUBT);
    REQUIRE(world.resolve(second, "pay", v1::RESOLUTION_RETRY));
    REQUIRE(eventually([&] { return shop.count("/charge") == 4; }));
    const std::vector<std::string> keys = shop.keys("/charge");
    CHECK(keys[0] != keys[1]);
    CHECK(keys[2] == keys[1]);
    CHECK(keys[3] == keys[1]);
    CHECK(replay(world, first).differences_found() == 0);
  }
  SECTION("but where the workflow forms it itself, somebody has to say what is meant") {
    flow.replace(flow.find("{{ call.key }}"), 14, "order {{ args.id }}");
    world.apply(flow);
    const std::string source = world.submit("order");
    REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
    v1::RunsForkRequest request = fork_of(source, "pay");
    request.set_effects(v1::FORK_EFFECTS_ALLOW);
    const auto refused = call(world.engine(), &Api::fork, request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::kFailedPrecondition);
    CHECK(refused.error().message.find("was refused under a key that the workflow forms itself") != std::string::npos);
    request.set_from("write");  // Behind it nothing of the kind is in the way.
    CHECK(world.wait(fork(world, request)).status() == v1::RUN_STATUS_SUCCEEDED);
  }
}

TEST_CASE("what the source did and took back leaves anew in a fork, under a key that was never used") {
  std::atomic<bool> down = true;
  Shop shop(refuses("/ship", down));
  World world;
  world.start();
  world.apply(with_undo(shop));
  const std::string source = world.submit("order");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_FAILED);
  REQUIRE(shop.count("/give-back") == 1);
  down = false;
  v1::RunsForkRequest request = fork_of(source, "pay");
  request.set_effects(v1::FORK_EFFECTS_ALLOW);
  const std::string id = fork(world, request);
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  const std::vector<std::string> keys = shop.keys("/charge");
  REQUIRE(keys.size() == 2);
  CHECK(keys[0] != keys[1]);
  CHECK(replay(world, id).differences_found() == 0);
}

TEST_CASE("a fork begins where a step really began, also behind a retry, and nowhere where it was only cut off") {
  std::atomic<bool> down = true;
  Shop shop(refuses("/charge", down));
  World world;
  world.start();
  world.apply(shop_flow(shop));
  const std::string source = world.submit("order");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_FAILED);
  CHECK(call(world.engine(), &Api::fork, fork_of(source, "write")).error().code == Code::kNotFound);
  down = false;
  REQUIRE(retry(world, source));
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  v1::RunsForkRequest request = fork_of(source, "write");
  request.set_effects(v1::FORK_EFFECTS_ALLOW);
  const std::string id = fork(world, request);
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(replay(world, id).differences_found() == 0);
}

TEST_CASE("a fork that shares more than one batch of events is whole after a restart") {
  const Folder folder;
  World world;
  world.on(std::shared_ptr<memory::Journal>(*memory::open_sqlite({.path = folder / "weft.db"})));
  world.start();
  world.apply(
      "weft: 1\nname: wide\ninput: {list: [integer]}\nsteps:\n"
      "  all: {for_each: input.list, set: \"{{ item }} and a text that makes the event of the element longer\"}\n"
      "  say: {prompt: Say., needs: [all]}\n");
  Json list = Json::array();
  for (int i = 0; i < 12'000; ++i) list.push_back(i);
  const std::string source = world.submit("wide", to_text(Json{{"list", list}}));
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  const std::string id = fork(world, fork_of(source, "say"));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  const auto batches = world.journal().events(id, 1, std::size_t{64} << 20);
  REQUIRE(batches);
  CHECK(batches->size() >= 2);
  std::size_t first_bytes = batches->front().events.size();
  CHECK(first_bytes >= std::size_t{1} << 20);
  CHECK(first_bytes < std::size_t{2} << 20);
  world.stop();
  world.start();
  CHECK(world.get(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(replay(world, id).differences_found() == 0);
  CHECK(replay(world, source).differences_found() == 0);
}

TEST_CASE("a replay of a run of which a content was removed says which field it lacks, and compares nothing") {
  World world;
  world.start();
  world.apply("weft: 1\nname: long\ninput: {text: string}\nsteps:\n  a: {prompt: \"{{ input.text }}\"}\n");
  const std::string id = world.submit("long", R"({"text": ")" + std::string(30'000, 'x') + "\"}");
  REQUIRE(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(replay(world, id).differences_found() == 0);
  world.journal().lose_blobs();
  v1::TracesReplayRequest request;
  request.set_run_id(id);
  request.set_deep(GENERATE(false, true));
  const auto refused = world.engine().replay(request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kDataLoss);
  CHECK(refused.error().message.find("input_json of event 1 (run_submitted) is not in the store") != std::string::npos);
}

TEST_CASE("a replay names the event that this weft would have written otherwise") {
  World world;
  world.start();
  world.apply("weft: 1\nname: sum\nsteps:\n  one: {set: 1}\n  say: {prompt: \"Say {{ steps.one.output }}.\"}\n");
  const std::string id = world.submit("sum");
  world.wait(id);
  const auto good = replay(world, id);
  CHECK(good.differences_found() == 0);
  CHECK(good.requests() == 1);
  CHECK(good.decisions() >= 4);
  CHECK(good.costs() == 1);
  // The same history with another model's bytes, and one with another decision.
  const auto forged = [&](const std::string& name, const std::function<void(v1::Event&)>& change) {
    memory::Append append;
    append.run = name;
    append.create = *world.journal().run(id);
    append.create->id = name;
    append.partition = append.create->partition;
    append.first_seq = 1;
    std::string digest;
    for (v1::Event event : world.events(id)) {
      change(event);
      run::stamp(event, event.seq() - 1, event.at_us(), digest, event.at_us(), event.epoch());
      digest = event.digest();
      append.epoch = event.epoch();
      append.last_seq = event.seq();
      history::append_event(event, append.events);
    }
    std::promise<void> written;
    world.journal().append(std::move(append), [&](const Result<memory::Appended>& appended) {
      CHECK(appended);
      written.set_value();
    });
    written.get_future().wait();
    v1::TracesReplayRequest request;
    request.set_run_id(name);
    const auto replayed = world.engine().replay(request);
    REQUIRE(replayed);
    return *replayed;
  };
  CHECK(forged("same", [](v1::Event&) {}).differences_found() == 0);
  const auto bytes = forged("bytes", [](v1::Event& event) {
    if (event.has_model_call_started()) event.mutable_model_call_started()->mutable_request_sha256()->front() ^= 1;
  });
  REQUIRE(bytes.differences_found() == 1);
  CHECK(bytes.differences(0).path() == "say:1.1");
  CHECK(bytes.differences(0).what().find("the body of its request") == 0);
  const auto decided = forged("decided", [](v1::Event& event) {
    if (event.path() == "one") event.mutable_step_ended()->mutable_result()->mutable_output_json()->set_inline_("2");
  });
  REQUIRE(decided.differences_found() >= 2);
  CHECK(decided.differences(0).path() == "one");
  CHECK(decided.differences(0).what() == "step_ended is recorded otherwise than it is decided now");
  v1::TracesReplayRequest nobody;
  nobody.set_run_id("nobody");
  CHECK(world.engine().replay(nobody).error().code == Code::kNotFound);
}
