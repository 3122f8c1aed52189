// What a fork shares with its source and what is its own: time, labels, keys, what is taken back and what is made anew.
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <thread>

#include "fixture.h"
#include "past.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

TEST_CASE("a fork takes back nothing of what its source did") {
  std::atomic<bool> down = false;
  Shop shop(refuses("/ship", down));
  World world;
  world.start();
  world.apply(with_undo(shop));
  const std::string source = world.submit("order");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  down = true;
  v1::RunsForkRequest request = fork_of(source, "write");
  request.set_effects(v1::FORK_EFFECTS_ALLOW);
  CHECK(world.wait(fork(world, request)).status() == v1::RUN_STATUS_FAILED);
  CHECK(shop.count("/give-back") == 0);
}

TEST_CASE("what the source took back is not shared, and leaves again unasked under no key of the workflow's own") {
  std::atomic<bool> down = true;
  Shop shop(refuses("/ship", down));
  World world;
  world.start();
  std::string flow = with_undo(shop);
  const auto refused = [&](const std::string& from, const std::string& says) {
    world.apply(flow);
    const std::string source = world.submit("order");
    REQUIRE(world.wait(source).status() == v1::RUN_STATUS_FAILED);
    v1::RunsForkRequest request = fork_of(source, from);
    request.set_effects(v1::FORK_EFFECTS_ALLOW);
    const auto forked = call(world.engine(), &Api::fork, request);
    REQUIRE_FALSE(forked);
    CHECK(forked.error().code == Code::kFailedPrecondition);
    INFO(forked.error().message);
    CHECK(forked.error().message.find(says) != std::string::npos);
  };
  SECTION("the record says that it is done, and it is not") { refused("write", "took back what pay had done"); }
  SECTION("a key that the workflow forms has no next one") {
    flow.replace(flow.find("{{ call.key }}"), 14, "order {{ args.id }}");
    refused("pay", "the call at pay was taken back under a key that the workflow forms itself");
  }
}

TEST_CASE("a fork counts its deadline, its timeouts and the time of its questions from when it was made") {
  const auto clock = std::make_shared<FakeClock>(Time(std::chrono::seconds(1'790'000'000)));
  World world;
  world.clock = clock;
  // Long enough for a timer that is due.
  world.tools.push_back(std::make_shared<RecordingTool>("t.look", tools::Effect::kRead, [](const auto&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  world.start();
  const auto answer = [&](const std::string& id, const std::string& path) {
    v1::RunsAnswerRequest request;
    request.set_run_id(id);
    request.set_path(path);
    request.set_value_json("\"yes\"");
    return call(world.engine(), &Api::answer, request).has_value();
  };
  const auto forked = [&](const std::string& flow, const std::string& from) {
    world.apply("weft: 1\nname: timed\n" + flow);
    const std::string source = world.submit("timed");
    REQUIRE(world.rest(source).status() == v1::RUN_STATUS_WAITING);
    clock->set(clock->now() + std::chrono::hours(5));
    const std::string id = fork(world, fork_of(source, from));
    CHECK(world.rest(id).status() == v1::RUN_STATUS_WAITING);
    return id;
  };
  SECTION("the deadline") {
    const std::string id = forked(
        "deadline: 1h\nsteps:\n  one: {set: 1}\n  sure: {ask: Sure?, needs: [one]}\n"
        "  then: {tool: t.look, needs: [sure]}\n",
        "sure");
    REQUIRE(answer(id, "sure"));
    CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  }
  SECTION("a timeout") {
    const std::string id = forked(
        "steps:\n  all:\n    timeout: 1h\n    steps:\n      one: {set: 1}\n      sure: {ask: Sure?, needs: [one]}\n"
        "      then: {tool: t.look, needs: [sure]}\n",
        "all/sure");
    REQUIRE(answer(id, "all/sure"));
    CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  }
  SECTION("a question") {
    const std::string id = forked(
        "steps:\n  sure: {ask: Sure?, timeout: 1h, on_timeout: late, needs: []}\n  one: {set: 1, needs: []}\n"
        "  two: {set: 2, needs: [one]}\nreturns: \"{{ steps.sure.output }}\"\n",
        "two");
    REQUIRE(answer(id, "sure"));
    CHECK(world.wait(id).output_json().inline_() == "\"yes\"");
  }
}

TEST_CASE("a fork makes anew what it is told to rerun, and shares what else was under way") {
  World world;
  world.start();
  world.apply(
      "weft: 1\nname: beside\nsteps:\n  one: {prompt: One., needs: []}\n  two: {prompt: Two., needs: []}\n"
      "  both: {prompt: \"{{ steps.one.text }} {{ steps.two.text }}\"}\n");
  const std::string source = world.submit("beside");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  REQUIRE(world.provider().requests() == 3);
  v1::RunsForkRequest request = fork_of(source, "both");
  request.add_rerun("two");
  const std::string id = fork(world, request);
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.provider().requests() == 5);
  CHECK(replay(world, id).differences_found() == 0);
  request.add_rerun("nowhere");
  CHECK(call(world.engine(), &Api::fork, request).error().code == Code::kNotFound);
}

TEST_CASE("a fork has the labels that it is given, and one request id makes one fork") {
  World world;
  world.start();
  world.apply("weft: 1\nname: sum\nsteps:\n  one: {set: 1}\n  two: {set: 2, needs: [one]}\n");
  v1::RunsSubmitRequest submit;
  submit.set_workflow("sum");
  submit.add_labels()->set_key("team");
  submit.mutable_labels(0)->set_value("red");
  const std::string source = world.submit(submit).value().run_id();
  world.wait(source);
  v1::RunsForkRequest request = fork_of(source, "two");
  const v1::Run like_source = world.wait(fork(world, request));
  REQUIRE(like_source.labels_size() == 1);
  CHECK(like_source.labels(0).value() == "red");
  request.add_labels()->set_key("team");
  request.mutable_labels(0)->set_value("blue");
  request.set_request_id("once");
  const std::string id = fork(world, request);
  const v1::Run other = world.wait(id);
  REQUIRE(other.labels_size() == 1);
  CHECK(other.labels(0).value() == "blue");
  CHECK(fork(world, request) == id);
  // What may be done to the world is part of what was asked for.
  request.set_effects(v1::FORK_EFFECTS_ALLOW);
  CHECK(call(world.engine(), &Api::fork, request).error().code == Code::kAlreadyExists);
}

TEST_CASE("a fork to a definition whose shapes a shared result does not fit is refused with the path") {
  World world;
  world.start();
  world.apply("weft: 1\nname: sum\nsteps:\n  one: {set: 1}\n  two: {set: 2, needs: [one]}\n");
  const std::string source = world.submit("sum");
  world.wait(source);
  world.apply("weft: 1\nname: sum\nsteps:\n  one: {set: a, output: string}\n  two: {set: 2, needs: [one]}\n");
  v1::RunsForkRequest request = fork_of(source, "two");
  request.set_workflow("sum");
  const auto refused = call(world.engine(), &Api::fork, request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kFailedPrecondition);
  REQUIRE_FALSE(refused.error().details.empty());
  CHECK(refused.error().details.back().value.starts_with("one: its recorded output"));
}

TEST_CASE("an engine that is stopping takes up no run again and makes no fork") {
  World world;
  world.start();
  world.apply("weft: 1\nname: sum\nsteps:\n  one: {set: 1}\n  two: {set: \"{{ [][0] }}\", needs: [one]}\n");
  const std::string id = world.submit("sum");
  REQUIRE(world.wait(id).status() == v1::RUN_STATUS_FAILED);
  world.engine().drain(Duration(0));
  CHECK(retry(world, id).error().code == Code::kUnavailable);
  CHECK(call(world.engine(), &Api::fork, fork_of(id, "two")).error().code == Code::kUnavailable);
}

TEST_CASE("what is settled at one step leaves the doubt at another whose name begins alike") {
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>(
      "t.write", tools::Effect::kWrite, [](const auto&) { return tools::ToolReply{tools::ToolStatus::kDone, "1"}; }));
  world.start();
  world.apply(
      "weft: 1\nname: alike\nsteps:\n  think: {set: 1}\n  pay: {tool: t.write, args: {x: 1}, needs: [think]}\n"
      "  pay_more: {tool: t.write, args: {x: 2}, needs: [think]}\n");
  const std::string source = world.submit("alike");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  const std::string id = fork(world, fork_of(source, "think"));
  REQUIRE(eventually([&] { return world.get(id).doubts_open() == 2; }));
  world.rest(id);
  REQUIRE(world.resolve(id, "pay", v1::RESOLUTION_SKIP));
  REQUIRE(eventually([&] { return world.get(id).steps_ended() == 2; }));
  const v1::Run run = world.get(id);
  REQUIRE(run.doubts_size() == 1);
  CHECK(run.doubts(0).path() == "pay_more");
  CHECK(world.rest(id).waits_for().find("weft resolve " + id + " pay_more") != std::string::npos);
}

TEST_CASE("a call that a fork asks about is one open doubt, whatever its source had asked") {
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>(
      "t.write", tools::Effect::kWrite, [](const auto&) { return tools::ToolReply{tools::ToolStatus::kDone, "1"}; }));
  world.start();
  world.apply(
      "weft: 1\nname: beside\nsteps:\n  think: {prompt: Think., needs: []}\n"
      "  act: {tool: t.write, args: {x: 1}, needs: []}\n  write: {prompt: \"{{ steps.think.text }}\"}\n");
  const std::string source = world.submit("beside");
  REQUIRE(world.wait(source).status() == v1::RUN_STATUS_SUCCEEDED);
  const std::string asks = fork(world, fork_of(source, "act"));
  REQUIRE(eventually(
      [&] { return world.get(asks).steps_ended() == 2 && world.get(asks).status() == v1::RUN_STATUS_IN_DOUBT; }));
  const std::string again = fork(world, fork_of(asks, "write"));
  REQUIRE(eventually(
      [&] { return world.get(again).steps_ended() == 2 && world.get(again).status() == v1::RUN_STATUS_IN_DOUBT; }));
  CHECK(world.get(again).doubts_open() == 1);
}
