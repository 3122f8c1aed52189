// Runs that wait: they are not held in memory, and go on when an answer, a signal or their time comes.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/json.h"
#include "fixture.h"
#include "memory/journal/maintenance.h"
#include "memory/journal/sqlite.h"
#include "memory/journal/sqlite_store.h"
#include "tests/folder.h"
#include "workflows/workflow.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

constexpr const char* kAsk = R"(
weft: 1
name: ask
steps:
  think: {prompt: Think.}
  sure: {ask: "Send {{ steps.think.text }}?", choices: [send, hold], needs: [think]}
  done: {set: "{{ steps.sure.output }} by {{ steps.sure.answered_by ?? '-' }}"}
)";

Result<v1::RunsAnswerResponse> answer(World& world, const std::string& id, const std::string& path,
                                      const std::string& json) {
  v1::RunsAnswerRequest request;
  request.set_run_id(id);
  request.set_path(path);
  request.set_value_json(json);
  request.set_by("ann");
  return call(world.engine(), &Api::answer, request);
}

Result<v1::RunsSignalResponse> signal(World& world, const std::string& id, const std::string& name,
                                      const std::string& json, const std::string& signal_id = "") {
  v1::RunsSignalRequest request;
  request.set_run_id(id);
  request.set_name(name);
  request.set_payload_json(json);
  request.set_signal_id(signal_id);
  return call(world.engine(), &Api::signal, request);
}

}  // namespace

TEST_CASE("an answer moves its run on; the same again is acknowledged, each other one refused with a code of its own") {
  World world;
  world.start();
  world.apply(kAsk);
  const std::string id = world.submit("ask");
  const v1::Run waiting = world.rest(id);
  CHECK(waiting.status() == v1::RUN_STATUS_WAITING);
  CHECK(waiting.waits_for() == fmt::format("an answer: weft answer {} sure send|hold", id));
  CHECK(answer(world, id, "nowhere", "1").error().code == Code::kNotFound);
  CHECK(answer(world, id, "sure", "\"later\"").error().code == Code::kInvalidArgument);
  CHECK(answer(world, id, "sure", "{").error().code == Code::kInvalidArgument);
  CHECK(world.get(id).status() == v1::RUN_STATUS_WAITING);
  CHECK(eventually([&] { return world.engine().active_runs() == 0; }));  // Woken for a refusal, it sleeps again.
  REQUIRE(answer(world, id, "sure", "\"send\""));
  CHECK(world.wait(id).output_json().inline_() == "\"send by ann\"");
  const auto again = answer(world, id, "sure", "\"send\"");
  REQUIRE(again);
  CHECK(again->existing());
  CHECK(answer(world, id, "sure", "\"hold\"").error().code == Code::kAlreadyExists);
  CHECK(world.provider().requests() == 1);
}

TEST_CASE("an answer after the question's time, and one to a question that is over, have codes of their own") {
  World world;
  world.start();
  world.apply(
      "weft: 1\nname: late\nsteps:\n"
      "  sure: {ask: Sure?, timeout: 50ms, on_timeout: no}\n  more: {ask: More?}\n");
  const std::string id = world.submit("late");
  REQUIRE(
      eventually([&] { return world.get(id).waits_for() == fmt::format("an answer: weft answer {} more VALUE", id); }));
  CHECK(answer(world, id, "sure", "\"yes\"").error().code == Code::kOutOfRange);
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::cancel, cancel));
  world.wait(id);
  CHECK(answer(world, id, "more", "\"yes\"").error().code == Code::kFailedPrecondition);
}

TEST_CASE("the same answer again is known where it is a number among choices, and where it is long") {
  World world;
  world.start();
  world.apply("weft: 1\nname: two\nsteps:\n  many: {ask: How many?, choices: ['1', '2']}\n  why: {ask: Why?}\n");
  const std::string id = world.submit("two");
  world.rest(id);
  const std::string reason = "\"" + std::string(40'000, 'x') + "\"";  // Too long for an event.
  REQUIRE(answer(world, id, "many", "2"));
  REQUIRE(answer(world, id, "why", reason));
  world.wait(id);
  CHECK(answer(world, id, "many", "2").value().existing());
  CHECK(answer(world, id, "many", "1").error().code == Code::kAlreadyExists);
  CHECK(answer(world, id, "why", reason).value().existing());
  CHECK(answer(world, id, "why", "\"no\"").error().code == Code::kAlreadyExists);
}

TEST_CASE("an answer that is refused leaves no content behind, in no later append either") {
  World world;
  world.start();
  world.apply("weft: 1\nname: two\nsteps:\n  why: {ask: Why?}\n  more: {ask: More?, needs: [why]}\n");
  const std::string id = world.submit("two");
  world.rest(id);
  const auto text_of = [](char letter) { return "\"" + std::string(40'000, letter) + "\""; };
  const auto is_stored = [&](char letter) { return static_cast<bool>(world.journal().blob(sha256(text_of(letter)))); };
  REQUIRE(answer(world, id, "why", text_of('a')));
  REQUIRE(eventually([&] { return world.get(id).waits_for().find(" more ") != std::string::npos; }));
  CHECK(answer(world, id, "why", text_of('b')).error().code == Code::kAlreadyExists);
  CHECK(answer(world, id, "nowhere", text_of('c')).error().code == Code::kNotFound);
  REQUIRE(answer(world, id, "more", text_of('d')));
  world.wait(id);
  CHECK(is_stored('a'));
  CHECK_FALSE(is_stored('b'));
  CHECK_FALSE(is_stored('c'));
  CHECK(is_stored('d'));
}

TEST_CASE("a waiting run outlives its engine, and its time comes in the next one's life") {
  World world;
  world.start();
  world.apply(kAsk);
  world.apply("weft: 1\nname: soon\nsteps:\n  pause: {wait: 400ms}\n  after: {set: done, needs: [pause]}\n");
  const std::string asks = world.submit("ask");
  const std::string waits = world.submit("soon");
  CHECK(world.rest(asks).status() == v1::RUN_STATUS_WAITING);
  CHECK(world.get(waits).status() == v1::RUN_STATUS_RUNNING);
  world.stop();
  world.start();
  CHECK(world.rest(asks).status() == v1::RUN_STATUS_WAITING);
  CHECK(world.wait(waits).output_json().inline_() == "\"done\"");
  REQUIRE(answer(world, asks, "sure", "\"hold\""));
  CHECK(world.wait(asks).output_json().inline_() == "\"hold by ann\"");
  CHECK(world.provider().requests() == 1);
}

TEST_CASE("a timeout around a question stands still while it is open") {
  std::atomic<bool> over = false;
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>("t.slow", tools::Effect::kRead, [&](const tools::ToolRequest&) {
    eventually([&] { return over.load(); });
    return tools::ToolReply{tools::ToolStatus::kDone, "{}"};
  }));
  world.start();
  world.apply(R"(
weft: 1
name: still
steps:
  all:
    timeout: 300ms
    steps:
      sure: {ask: Sure?}
      then: {prompt: "{{ steps.sure.output }}"}
)");
  const std::string id = world.submit("still");
  CHECK(world.rest(id).status() == v1::RUN_STATUS_WAITING);
  // A timeout of the same length that began later and does not stand still has come.
  world.apply("weft: 1\nname: later\nsteps:\n  a: {timeout: 300ms, steps: {b: {tool: t.slow, args: {}}}}\n");
  CHECK(world.wait(world.submit("later")).status() == v1::RUN_STATUS_FAILED);
  REQUIRE(answer(world, id, "all/sure", "\"yes\""));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  over = true;
}

TEST_CASE(
    "a signal comes once under one id, also when its run is over, is kept until it is taken, and is refused over the "
    "limit") {
  World world;
  world.start();
  world.apply(
      "weft: 1\nname: paid\nsteps:\n  first: {ask: Go?}\n"
      "  paid: {wait: {signal: paid}, needs: [first]}\n");
  const std::string id = world.submit("paid");
  world.rest(id);
  REQUIRE(signal(world, id, "paid", "{\"n\": 1}", "m-1"));
  const auto twice = signal(world, id, "paid", "{\"n\": 1}", "m-1");
  REQUIRE(twice);
  CHECK(twice->existing());
  CHECK(signal(world, id, "", "1").error().code == Code::kInvalidArgument);
  CHECK(signal(world, id, "paid", "{").error().code == Code::kInvalidArgument);
  for (int i = 0; i < 999; ++i) REQUIRE(signal(world, id, "other", "1"));
  const auto full = signal(world, id, "other", "1");
  REQUIRE_FALSE(full);
  CHECK(full.error().code == Code::kResourceExhausted);
  CHECK(full.error().details == std::vector<Detail>{{"limit", "signals_max"}, {"retry_after_ms", "1000"}});
  REQUIRE(answer(world, id, "first", "\"yes\""));
  CHECK(world.wait(id).output_json().inline_() == "{\"n\":1}");
  CHECK(signal(world, id, "paid", "1").error().code == Code::kFailedPrecondition);
  CHECK(signal(world, id, "paid", "1", "m-2").error().code == Code::kFailedPrecondition);
  const auto late = signal(world, id, "paid", "{\"n\": 1}", "m-1");
  REQUIRE(late);
  CHECK(late->existing());
}

TEST_CASE("what is said twice is acknowledged when the first of it is durable, and not before") {
  World world;
  world.start();
  world.apply("weft: 1\nname: twice\nsteps:\n  sure: {ask: Sure?}\n  paid: {wait: {signal: paid}}\n");
  const std::string id = world.submit("twice");
  world.rest(id);
  REQUIRE(eventually([&] { return world.engine().active_runs() == 0; }));
  // What was asked before it is behind us when it is refused.
  const auto passed = [&] { CHECK_FALSE(world.resolve(id, "sure", v1::RESOLUTION_SKIP)); };
  std::atomic<int> sent = 0;
  std::atomic<int> answered = 0;
  std::atomic<int> existing = 0;
  const auto counts = [&existing](std::atomic<int>& acknowledged) {
    return [&existing, &acknowledged](const auto& said) {
      existing += said && said->existing() ? 1 : 0;
      acknowledged += said ? 1 : 0;
    };
  };

  world.journal().hold();
  v1::RunsSignalRequest signal;
  signal.set_run_id(id);
  signal.set_name("other");
  signal.set_signal_id("m-1");
  for (int i = 0; i < 2; ++i) world.engine().signal(signal, counts(sent));
  v1::RunsAnswerRequest answer;
  answer.set_run_id(id);
  answer.set_path("sure");
  answer.set_value_json("\"yes\"");
  for (int i = 0; i < 2; ++i) world.engine().answer(answer, counts(answered));
  passed();
  CHECK(sent == 0);
  CHECK(answered == 0);
  world.journal().release();
  CHECK(eventually([&] { return sent == 2 && answered == 2; }));
  CHECK(existing == 2);
}

TEST_CASE("a signal that comes when its run has just ended is refused") {
  World world;
  world.start();
  world.apply("weft: 1\nname: over\nsteps:\n  sure: {ask: Sure?}\n");
  const std::string id = world.submit("over");
  world.rest(id);
  world.journal().hold();
  v1::RunsAnswerRequest last;
  last.set_run_id(id);
  last.set_path("sure");
  last.set_value_json("1");
  world.engine().answer(last, [](const Result<v1::RunsAnswerResponse>&) {});
  v1::RunsSignalRequest late;
  late.set_run_id(id);
  late.set_name("paid");
  std::promise<Result<v1::RunsSignalResponse>> said;
  world.engine().signal(late, [&](Result<v1::RunsSignalResponse> response) { said.set_value(std::move(response)); });
  CHECK_FALSE(world.resolve(id, "sure", v1::RESOLUTION_SKIP));  // What was asked before it is behind us.
  world.journal().release();
  const auto refused = said.get_future().get();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::kFailedPrecondition);
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE(
    "a time that a sleeping run waits for comes though the clock was set back, and a date when the clock says so") {
  const auto time = [](const std::string& text) { return *workflows::parse_instant(text); };
  World world;
  world.clock = std::make_shared<FakeClock>(time("2026-03-01T12:00:00Z"));
  world.start();
  world.apply("weft: 1\nname: span\nsteps:\n  pause: {wait: 300ms}\n");
  world.apply("weft: 1\nname: date\nsteps:\n  pause: {wait: {until: '2026-03-01T12:00:00.1Z'}}\n");
  const std::string date = world.submit("date");
  const std::string span = world.submit("span");
  REQUIRE(eventually([&] { return world.engine().active_runs() == 0; }));
  world.clock->set(time("2026-03-01T11:00:00Z"));
  CHECK(world.wait(span).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.get(date).status() == v1::RUN_STATUS_RUNNING);
  world.stop();
  world.clock->set(time("2026-03-01T12:00:00Z"));
  world.start();
  REQUIRE(eventually([&] { return world.engine().active_runs() == 0; }));
  CHECK(world.get(date).status() == v1::RUN_STATUS_RUNNING);
  world.clock->set(time("2026-03-01T12:00:01Z"));
  CHECK(world.wait(date).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a paused run says so, takes what comes, and goes on when it is resumed, by a later engine too") {
  World world;
  world.script("sim: 1\ncache: {delay: 0s}\nrules: [{reply: {text: slow, first_token: 100ms}}]\n");
  world.start();
  world.apply("weft: 1\nname: two\nsteps:\n  a: {prompt: A}\n  b: {prompt: \"{{ steps.a.text }}\"}\n");
  const std::string id = world.submit("two");
  REQUIRE(eventually([&] { return world.provider().requests() == 1; }));
  v1::RunsPauseRequest pause;
  pause.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::pause, pause));
  const v1::Run paused = world.rest(id);
  CHECK(paused.status() == v1::RUN_STATUS_PAUSED);
  CHECK(paused.waits_for() == "somebody who resumes it: weft resume " + id);
  world.stop();
  world.start();
  CHECK(world.rest(id).status() == v1::RUN_STATUS_PAUSED);
  CHECK(world.provider().requests() == 1);
  v1::RunsResumeRequest resume;
  resume.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::resume, resume));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(world.provider().requests() == 2);
}

TEST_CASE("what an agent wants while its run is paused waits for the resume, in a later engine too") {
  World world;
  std::atomic<int> looks = 0;
  world.tools.push_back(std::make_shared<RecordingTool>("t.look", tools::Effect::kWrite, [&](const auto&) {
    ++looks;
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  world.script(
      "sim: 1\ncache: {delay: 0s}\nrules:\n"
      "  - {when: {turn: 1}, reply: {text: slow, first_token: 100ms, calls: [{tool: t.look, args: {x: 1}}]}}\n"
      "  - {reply: {text: done}}\n");
  world.start();
  world.apply("weft: 1\nname: one\nsteps:\n  a: {prompt: A, tools: [t.look], needs: []}\n");
  const std::string id = world.submit("one");
  REQUIRE(eventually([&] { return world.provider().requests() == 1; }));
  v1::RunsPauseRequest pause;
  pause.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::pause, pause));
  CHECK(world.rest(id).model_calls() == 1);
  world.stop();
  world.start();
  CHECK(world.rest(id).status() == v1::RUN_STATUS_PAUSED);
  CHECK(looks == 0);
  v1::RunsResumeRequest resume;
  resume.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::resume, resume));
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(looks == 1);
  CHECK(world.provider().requests() == 2);
}

TEST_CASE("a run that is being cancelled is not paused, and who asks for it is told so") {
  std::atomic<bool> go_on = false;
  World world;
  world.tools.push_back(std::make_shared<RecordingTool>("t.write", tools::Effect::kWrite, [&](const auto&) {
    eventually([&] { return go_on.load(); });
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  world.start();
  world.apply("weft: 1\nname: act\nsteps:\n  act: {tool: t.write, args: {x: 1}, needs: []}\n");
  const std::string id = world.submit("act");
  REQUIRE(eventually([&] { return world.get(id).tool_calls() == 1; }));
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(id);
  REQUIRE(call(world.engine(), &Api::cancel, cancel));  // The write is awaited.
  v1::RunsPauseRequest pause;
  pause.set_run_id(id);
  const auto paused = call(world.engine(), &Api::pause, pause);
  go_on = true;
  REQUIRE_FALSE(paused);
  CHECK(paused.error().code == Code::kFailedPrecondition);
  CHECK(world.wait(id).status() == v1::RUN_STATUS_CANCELLED);
}

TEST_CASE("a run that waits for somebody, or was paused, is at work at no crash, and is not left alone for any") {
  const Folder folder;
  World world;
  world.config.crashes_max = 1;
  world.on(std::shared_ptr<memory::Journal>(*memory::open_sqlite({.path = folder / "weft.db"})));
  world.start();
  world.apply(kAsk);
  const std::string asks = world.submit("ask");
  const std::string paused = world.submit("ask");
  for (const std::string& id : {asks, paused}) world.rest(id);
  v1::RunsPauseRequest pause;
  pause.set_run_id(paused);
  REQUIRE(call(world.engine(), &Api::pause, pause));
  for (int crash = 0; crash < 2; ++crash) {
    world.stop();
    // That the engine left in order is in the store alone.
    REQUIRE(memory::Connection::open(folder / "weft.db", memory::Connection::Mode::kWrite)
                ->execute("DELETE FROM facts WHERE name = 'left_in_order'"));
    world.start();
  }
  CHECK(world.rest(asks).waits_for().starts_with("an answer: "));
  CHECK(world.rest(paused).status() == v1::RUN_STATUS_PAUSED);
  REQUIRE(answer(world, asks, "sure", "\"send\""));
  CHECK(world.wait(asks).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("10,000 waiting runs take no thread, and little memory") {
  const auto figure = [](const std::string& name) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name)) return std::stol(line.substr(name.size() + 1));
    }
    return 0L;
  };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kRuns = 1'000;  // Sanitizers make them slow, and memory large.
#else
  constexpr int kRuns = 10'000;
#endif
  World world;
  world.limits = {};
  world.start();
  world.apply("weft: 1\nname: wait\nsteps:\n  sure: {ask: Sure?, timeout: 30d, on_timeout: no}\n");
  const long threads = figure("Threads:");
  const long before_kb = figure("VmRSS:");
  std::atomic<int> submitted = 0;
  std::string last;
  for (int i = 0; i < kRuns; ++i) {
    v1::RunsSubmitRequest request;
    request.set_workflow("wait");
    world.engine().submit(request, [&](Result<v1::RunsSubmitResponse> response) {
      if (response) last = response->run_id();
      if (response) ++submitted;  // Last: who sees the number reads the id.
    });
  }
  REQUIRE(eventually([&] { return submitted == kRuns; }));
  REQUIRE(eventually([&] { return world.get(last).status() == v1::RUN_STATUS_WAITING; }));
  const long used_mb = (figure("VmRSS:") - before_kb) / 1024;
  fmt::print("{} waiting runs: {} MB (with the journal in memory), {} threads more\n", kRuns, used_mb,
             figure("Threads:") - threads);
  CHECK(figure("Threads:") - threads <= 1);
  REQUIRE(answer(world, last, "sure", "\"yes\""));
  CHECK(world.wait(last).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a choice and a text are taken as they are typed, and a form reads JSON") {
  World world;
  world.start();
  world.apply(R"(
weft: 1
name: typed
steps:
  version: {ask: Which?, choices: ["1.1", "1.10", "2.0", "null"]}
  note: {ask: Say., needs: [version]}
  name: {ask: Name., output: string, needs: [note]}
  form: {ask: Fill., output: {n: number, s: string}, needs: [name]}
)");
  const std::string id = world.submit("typed");
  const auto type = [&](const std::string& path, const std::string& text) {
    v1::RunsAnswerRequest request;
    request.set_run_id(id);
    request.set_path(path);
    request.set_text(text);
    return call(world.engine(), &Api::answer, request);
  };
  const auto recorded = [&](const std::string& path) {
    std::string json;
    for (const v1::Event& event : world.events(id)) {
      if (event.has_answered() && event.path() == path) json = event.answered().value_json().inline_();
    }
    return json;
  };
  const auto rests_at = [&](const std::string& path) {
    return eventually([&] { return world.get(id).waits_for().find(" " + path + " ") != std::string::npos; });
  };
  REQUIRE(rests_at("version"));
  CHECK(type("version", "1.100").error().code == Code::kInvalidArgument);
  const auto [text, other] =
      GENERATE(table<std::string, std::string>({{"1.10", "1.1"}, {"2.0", "1.1"}, {"null", "2.0"}}));
  SECTION("typed") { REQUIRE(type("version", text)); }
  SECTION("as JSON, a number as it is spelled") {
    if (text != "null") REQUIRE(answer(world, id, "version", " " + text + " "));
    if (text == "null") REQUIRE(answer(world, id, "version", "\"null\""));
  }
  CHECK(recorded("version") == "\"" + text + "\"");
  REQUIRE(rests_at("note"));
  CHECK(type("version", text)->existing());
  CHECK(type("version", other).error().code == Code::kAlreadyExists);
  const std::string digits = "12345678901234567890";
  REQUIRE(type("note", digits));
  CHECK(recorded("note") == "\"" + digits + "\"");
  REQUIRE(rests_at("name"));
  CHECK(type("note", digits)->existing());
  REQUIRE(type("name", "42"));
  CHECK(recorded("name") == "\"42\"");
  REQUIRE(rests_at("form"));
  CHECK(type("form", "no JSON").error().code == Code::kInvalidArgument);
  REQUIRE(type("form", R"({"n": 1.10, "s": "42"})"));
  CHECK(recorded("form") == R"({"n":1.1,"s":"42"})");
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
}
