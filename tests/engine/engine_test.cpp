#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "fixture.h"
#include "runtime/history/run_summary.h"
#include "tests/shop.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

constexpr const char* kGreet =
    "weft: 1\nname: greet\ninput: {name: string}\nsteps:\n  greet: {prompt: \"Greet {{ input.name }}\"}\n";
constexpr const char* kAct = "weft: 1\nname: act\nsteps:\n  act: {tool: t.write, args: {x: 1}, needs: []}\n";

class Seen final : public Watcher {
 public:
  void on_advance(std::uint64_t seq, std::shared_ptr<const v1::Run> over) override {
    last = seq;
    if (over == nullptr) return;
    CHECK(over->ended_at_us() != 0);
    CHECK(over->last_seq() == seq);
    ended = true;
  }
  void on_rest() override { rests = true; }
  void on_progress(const v1::Progress& progress) override {
    const std::lock_guard lock(mutex);
    text += progress.text();
  }
  std::atomic<std::uint64_t> last = 0;
  std::atomic<bool> ended = false;
  std::atomic<bool> rests = false;
  std::mutex mutex;
  std::string text;  // Guarded by mutex.
};

// A run whose first model call hangs, and an engine that stopped meanwhile; the next call is answered.
std::string stopped_in_a_call(World& world) {
  world.script(
      "sim: 1\nrules:\n  - {when: {times: 1}, reply: {text: never, stall_after: 0}}\n  - {reply: {echo: true}}\n");
  world.start();
  world.apply(kGreet);
  std::string id = world.submit("greet", R"({"name": "Ada"})");
  REQUIRE(eventually([&] { return world.provider().requests() == 1; }));
  world.stop();
  return id;
}

}  // namespace

TEST_CASE("a run is submitted, calls its model, and ends with tokens and a price") {
  World world;
  world.start();
  world.apply(kGreet);
  const v1::Run run = world.wait(world.submit("greet", R"({"name": "Ada"})"));
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(run.output_json().inline_() == "\"Greet Ada\"");
  CHECK(run.usage().input_miss() > 0);
  CHECK(run.cost().pico_usd() > 0);
  CHECK(run.cost().simulated());
  const auto events = world.events(run.id());
  for (std::size_t i = 0; i < events.size(); ++i) CHECK(events[i].seq() == i + 1);
  CHECK(events.back().digest() == run.digest());
}

TEST_CASE("no model call and no write leaves before its intent is durable") {
  std::atomic<int> acted = 0;
  std::atomic<bool> answered = false;
  std::atomic<int> acknowledged = 0;
  test::Shop shop([](const test::Shop::Request&) { return test::Shop::Answer{}; });
  World world;
  world.tools.push_back(
      std::make_shared<RecordingTool>("t.write", tools::Effect::kWrite, [&](const tools::ToolRequest&) {
        ++acted;
        return tools::ToolReply{tools::ToolStatus::kDone, "{}"};
      }));
  world.start();
  world.apply(kGreet);
  world.apply(kAct);
  // One whose read may leave at once, since the run is durable.
  world.apply("weft: 1\nname: look\ntools:\n  look: {effect: read, input: {x: integer}, http: {get: \"" + shop.url() +
              "/{{ args.x }}\"}}\nsteps:\n  sure: {ask: Sure?}\n  look: {tool: look, args: {x: 1}, needs: [sure]}\n");
  const std::string looks = world.submit("look");
  world.rest(looks);
  world.journal().hold();
  v1::RunsSubmitRequest request;
  for (const char* name : {"greet", "act"}) {
    request.set_workflow(name);
    request.set_input_json(std::string(name) == "greet" ? R"({"name": "x"})" : "{}");
    world.engine().submit(request,
                          [&](Result<v1::RunsSubmitResponse> response) { acknowledged += response.has_value(); });
  }
  REQUIRE(eventually([&] { return world.journal().waiting() == 2; }));
  // What comes after them and does not wait is seen.
  v1::RunsAnswerRequest answer;
  answer.set_run_id(looks);
  answer.set_path("sure");
  answer.set_value_json("\"yes\"");
  world.engine().answer(answer,
                        [&](const Result<v1::RunsAnswerResponse>& response) { answered = response.has_value(); });
  REQUIRE(eventually([&] { return shop.requests().size() == 1; }));
  CHECK_FALSE(answered);
  CHECK(world.provider().requests() == 0);
  CHECK(acted == 0);
  CHECK(acknowledged == 0);
  world.journal().release();
  CHECK(eventually([&] { return acted == 1 && world.provider().requests() == 1 && acknowledged == 2 && answered; }));
}

TEST_CASE("what instant reads answer rides in one append with what asked for it and what follows from it") {
  World world;
  const auto add = std::make_shared<RecordingTool>("t.add", tools::Effect::kPure, [&](const tools::ToolRequest&) {
    return tools::ToolReply{tools::ToolStatus::kDone, "5"};
  });
  add->instant = true;
  world.tools.push_back(add);
  world.script(
      "sim: 1\ncache: {delay: 0s}\nrules:\n"
      "  - {when: {turn: 1}, reply: {calls: [{tool: t.add, args: {x: 1}}, {tool: t.add, args: {x: 2}}]}}\n"
      "  - {reply: {text: done}}\n");
  world.start();
  world.apply("weft: 1\nname: sums\nsteps:\n  sum: {prompt: Add, tools: [t.add]}\n");
  const std::size_t before = world.journal().appends();
  const v1::Run run = world.wait(world.submit("sums"));
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  // The run and its first call; the answer, both results and the next call; the answer and the end.
  CHECK(world.journal().appends() - before == 3);
}

TEST_CASE("a call that is no longer wanted when its turn comes does not leave, and the engine lives on") {
  World world;
  std::atomic<int> acted = 0;
  world.tools.push_back(
      std::make_shared<RecordingTool>("t.write", tools::Effect::kWrite, [&](const tools::ToolRequest&) {
        ++acted;
        return tools::ToolReply{tools::ToolStatus::kDone, "{}"};
      }));
  world.start();
  world.apply(
      "weft: 1\nname: ask\ninput: {n: string}\nsteps:\n  a: {prompt: hi}\n  b: {set: \"{{ int(input.n) }}\"}\n");
  world.apply(
      "weft: 1\nname: write\ninput: {n: string}\nsteps:\n  a: {tool: t.write, args: {x: 1}, needs: []}\n"
      "  b: {set: \"{{ int(input.n) }}\"}\n");
  world.apply(
      "weft: 1\nname: each\ninput: {n: string}\nsteps:\n  list: {set: [{x: '1'}, {x: b}]}\n"
      "  each: {prompt: \"{{ int(item.x) }}\", for_each: steps.list.output}\n");
  for (const char* name : {"ask", "write", "each"}) {
    INFO(name);
    const v1::Run run = world.wait(world.submit(name, R"({"n": "abc"})"));
    CHECK(run.status() == v1::RUN_STATUS_FAILED);
  }
  CHECK(acted == 0);
  CHECK(world.provider().requests() == 0);
}

TEST_CASE("the same request id gives the same run; another payload under it is refused") {
  World world;
  world.start();
  world.apply(kGreet);
  v1::RunsSubmitRequest request;
  request.set_workflow("greet");
  request.set_input_json(R"({"name": "Ada"})");
  request.set_request_id("order-1");
  const auto first = world.submit(request);
  const auto second = world.submit(request);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->run_id() == second->run_id());
  CHECK(second->existing());
  request.set_input_json(R"({"name": "Bob"})");
  const auto third = world.submit(request);
  REQUIRE_FALSE(third);
  CHECK(third.error().code == Code::kAlreadyExists);
  world.wait(first->run_id());
  CHECK(world.provider().requests() == 1);
}

TEST_CASE("what cannot run is refused before anything starts") {
  World world;
  world.limits.runs_at_work_max = 1;
  world.start();
  world.apply(kGreet);
  v1::RunsSubmitRequest request;
  request.set_workflow("nobody");
  CHECK(world.submit(request).error().code == Code::kNotFound);
  request.set_workflow("greet");
  CHECK(world.submit(request).error().code == Code::kInvalidArgument);
  request.set_input_json(R"({"nam": "Ada"})");
  CHECK_THAT(world.submit(request).error().message, Catch::Contains("name"));
  request.set_input_json("[[[");
  CHECK(world.submit(request).error().code == Code::kInvalidArgument);
  request.set_input_json(R"({"name": "Ada"})");
  request.set_request_id(std::string(129, 'x'));
  CHECK(world.submit(request).error().code == Code::kInvalidArgument);
  request.clear_request_id();
  request.set_validate_only(true);
  const auto valid = world.submit(request);
  REQUIRE(valid);
  CHECK(valid->run_id().empty());
  CHECK(world.engine().active_runs() == 0);
  CHECK(world.provider().requests() == 0);
}

TEST_CASE("a stopped engine's runs go on in the next one, and a lost model call is booked as an estimate") {
  World world;
  const std::string id = stopped_in_a_call(world);
  world.start();
  const v1::Run run = world.wait(id);
  CHECK(run.status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(run.model_calls_lost() == 1);
  CHECK(run.usage().estimated());
  CHECK(run.cost().pico_usd() > 0);
  std::set<std::string> bodies;
  for (const v1::Event& event : world.events(id)) {
    if (event.has_model_call_started()) bodies.insert(event.model_call_started().request_sha256());
  }
  CHECK(bodies.size() == 1);  // The same bytes again.
}

TEST_CASE("a lost call is booked at the prices of the hour in which it left") {
  World world;
  // 3:30 on Monday 2026-11-23, which is a peak hour at twice the price, and an hour later.
  const auto clock = std::make_shared<FakeClock>(Time(std::chrono::seconds(1'795'404'600)));
  world.clock = clock;
  const std::string id = stopped_in_a_call(world);
  clock->set(clock->now() + std::chrono::hours(1));
  world.start();
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  int priced = 0;
  for (const v1::Event& event : world.events(id)) {
    const bool lost = event.has_model_call_failed();
    if (!lost && !event.has_model_call_ended()) continue;
    const v1::Usage& usage = lost ? event.model_call_failed().usage() : event.model_call_ended().usage();
    const v1::Cost& cost = lost ? event.model_call_failed().cost() : event.model_call_ended().cost();
    const std::uint64_t times = lost ? 2 : 1;  // 0.15 dollars a million tokens, that is 150,000 pico-dollars each.
    const std::uint64_t output = usage.output() + usage.reasoning();
    CHECK(cost.pico_usd() == static_cast<std::int64_t>(times * (3'000 * usage.input_hit() +
                                                                150'000 * usage.input_miss() + 600'000 * output)));
    ++priced;
  }
  CHECK(priced == 2);
}

TEST_CASE("a sum of costs says from the first call on whose price is not known that it is not all") {
  v1::Event priced;
  priced.mutable_model_call_ended()->mutable_usage()->set_output(1);
  priced.mutable_model_call_ended()->mutable_cost()->set_pico_usd(7);
  v1::Event unpriced;
  unpriced.mutable_model_call_ended()->mutable_usage()->set_output(1);
  v1::Run run;
  history::add_to_summary(priced, run);
  CHECK_FALSE(run.cost().partial());
  history::add_to_summary(unpriced, run);
  CHECK(run.cost().partial());
  history::add_to_summary(priced, run);
  CHECK(run.cost().partial());
  CHECK(run.cost().pico_usd() == 14);
}

TEST_CASE("a run whose events cannot be read is listed as waiting, and hides no other") {
  World world;
  world.script("sim: 1\nrules: [{reply: {text: slow, stall_after: 0}}]\n");
  world.start();
  world.apply(kGreet);
  const std::string bad = world.submit("greet", R"({"name": "a"})");
  const std::string good = world.submit("greet", R"({"name": "b"})");
  world.journal().damage(bad);
  const auto runs = world.engine().list_runs(v1::RunsListRequest{});
  REQUIRE(runs);
  REQUIRE(runs->runs_size() == 2);
  const v1::Run run = world.get(bad);
  CHECK(run.id() == bad);
  CHECK(run.workflow() == "greet");
  CHECK(run.status() == v1::RUN_STATUS_WAITING);
  CHECK(run.waits_for().starts_with("somebody who looks at it: "));
  CHECK(world.get(good).status() == v1::RUN_STATUS_RUNNING);
}

TEST_CASE("what would make a run unreadable or a filter endless is refused") {
  World world;
  world.start();
  world.apply(kGreet);
  v1::RunsSubmitRequest request;
  request.set_workflow("greet");
  request.set_input_json(R"({"name": "x"})");
  for (const std::string& bad : {std::string("00-\xff\xfe"), std::string(300, 'a'), std::string("a b")}) {
    request.set_traceparent(bad);
    const auto refused = world.submit(request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::kInvalidArgument);
  }
  v1::RunsCancelRequest cancel;
  cancel.set_run_id("x");
  cancel.set_reason(std::string(5'000, 'x'));
  std::promise<Result<v1::RunsCancelResponse>> answer;
  world.engine().cancel(cancel,
                        [&](Result<v1::RunsCancelResponse> response) { answer.set_value(std::move(response)); });
  CHECK(answer.get_future().get().error().code == Code::kInvalidArgument);
  v1::RunsListRequest list;
  for (int i = 0; i < 65; ++i) list.add_labels()->set_key("k");
  CHECK(world.engine().list_runs(list).error().code == Code::kInvalidArgument);
}

TEST_CASE("the time in which no engine runs is not a step's: its timeout goes on where it stood") {
  World world;
  world.script(
      "sim: 1\nrules:\n  - {when: {times: 1}, reply: {text: never, stall_after: 0}}\n"
      "  - {reply: {text: late, first_token: 400ms}}\n");
  world.start();
  world.apply("weft: 1\nname: slow\nsteps:\n  a: {prompt: hi, timeout: 3s}\n");
  const std::string id = world.submit("slow");
  REQUIRE(eventually([&] { return world.provider().requests() == 1; }));
  world.stop();
  std::this_thread::sleep_for(std::chrono::milliseconds(3'200));
  world.start();
  REQUIRE(eventually([&] { return world.provider().requests() == 2; }));
  world.stop();
  world.start();  // The first pause is not forgotten by the second.
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  for (const v1::Event& event : world.events(id)) CHECK_FALSE(event.has_timer_fired());
}

TEST_CASE("a simulated run is not taken up by a real model: it waits for a server that simulates") {
  World world;
  const std::string id = stopped_in_a_call(world);
  world.simulated = false;
  world.start();
  // It says so where it would have called.
  REQUIRE(eventually([&] { return world.get(id).status() == v1::RUN_STATUS_WAITING; }));
  CHECK(world.provider().requests() == 1);
  CHECK(world.get(id).ended_at_us() == 0);
  const auto seen = std::make_shared<Seen>();
  REQUIRE(world.engine().watch(id, seen));
  CHECK(seen->rests);
  CHECK_FALSE(seen->ended);
  // It keeps no stop waiting.
  const auto begun = std::chrono::steady_clock::now();
  world.engine().drain(std::chrono::seconds(20));
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(5));
  CHECK(world.get(id).waits_for() == "a server with a simulated model, as it was begun with; this one has a real one");
  const auto listed = [&](v1::RunStatus status) {
    v1::RunsListRequest list;
    list.add_statuses(status);
    const auto runs = world.engine().list_runs(list);
    REQUIRE(runs);
    return runs->runs_size();
  };
  CHECK(listed(v1::RUN_STATUS_WAITING) == 1);
  CHECK(listed(v1::RUN_STATUS_RUNNING) == 0);
  world.stop();
  world.simulated = true;
  world.start();
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
}

TEST_CASE("a write that was under way when the engine stopped is in doubt and not repeated") {
  std::atomic<int> acted = 0;
  std::atomic<bool> go_on = false;
  World world;
  world.tools.push_back(
      std::make_shared<RecordingTool>("t.write", tools::Effect::kWrite, [&](const tools::ToolRequest&) {
        ++acted;
        eventually([&] { return go_on.load(); });
        return tools::ToolReply{tools::ToolStatus::kDone, "{}"};
      }));
  world.start();
  world.apply(kAct);
  const std::string id = world.submit("act");
  REQUIRE(eventually([&] { return acted == 1; }));
  std::thread stopper([&] { world.stop(); });
  go_on = true;
  stopper.join();
  world.start();
  const v1::Run run = world.rest(id);
  CHECK(acted == 1);
  // Either its result had become durable before the stop, or it is in doubt; it never runs again.
  CHECK((run.status() == v1::RUN_STATUS_SUCCEEDED || run.status() == v1::RUN_STATUS_IN_DOUBT));
}

TEST_CASE("a cancelled run ends as cancelled, with what its dropped call cost") {
  World world;
  world.script("sim: 1\nrules: [{reply: {text: slow, stall_after: 0}}]\n");
  world.start();
  world.apply(kGreet);
  const std::string id = world.submit("greet", R"({"name": "Ada"})");
  REQUIRE(eventually([&] { return world.provider().requests() == 1; }));
  v1::RunsCancelRequest request;
  request.set_run_id(id);
  std::atomic<bool> answered = false;
  world.engine().cancel(request, [&](Result<v1::RunsCancelResponse> response) { answered = response.has_value(); });
  const v1::Run run = world.wait(id);
  CHECK(run.status() == v1::RUN_STATUS_CANCELLED);
  CHECK(run.usage().estimated());
  CHECK(eventually([&] { return answered.load(); }));
  // Again, when it has ended: the run as it is.
  answered = false;
  world.engine().cancel(request, [&](Result<v1::RunsCancelResponse> response) { answered = response.has_value(); });
  CHECK(eventually([&] { return answered.load(); }));
}

TEST_CASE("an answer that broke off is booked by estimate, with what had come of it; a refused call is not") {
  World world;
  world.script(
      "sim: 1\nrules:\n  - {when: {times: 1}, reply: {text: One two three four, cut_after: 2}}\n"
      "  - {reply: {error: {status: 400, message: No.}}}\n");
  world.start();
  world.apply("weft: 1\nname: say\nsteps:\n  say: {prompt: Go., retry: {attempts: 1}}\n");
  const v1::Run broken = world.wait(world.submit("say"));
  CHECK(broken.status() == v1::RUN_STATUS_FAILED);
  CHECK(broken.usage().estimated());
  CHECK(broken.usage().input_miss() > 0);
  CHECK(broken.usage().output() > 0);
  CHECK(broken.cost().pico_usd() > 0);
  const v1::Run refused = world.wait(world.submit("say"));
  CHECK(refused.usage().input_miss() == 0);
  CHECK(refused.cost().pico_usd() == 0);
}

TEST_CASE("a watcher is told of each durable advance and of text as it streams") {
  World world;
  world.script("sim: 1\nrules: [{reply: {text: \"one two three four five six\", tokens_per_second: 200}}]\n");
  world.start();
  world.apply(kGreet);
  const std::string id = world.submit("greet", R"({"name": "Ada"})");
  const auto seen = std::make_shared<Seen>();
  REQUIRE(world.engine().watch(id, seen));
  CHECK(seen->last >= 1);
  CHECK(eventually([&] { return seen->ended.load(); }));
  CHECK(seen->last == world.get(id).last_seq());
  const std::lock_guard lock(seen->mutex);
  CHECK_FALSE(seen->text.empty());
}

TEST_CASE("a large input and a large answer travel by hash; an answer cut by its limit makes the run limited") {
  World world;
  world.script("sim: 1\nrules: [{reply: {text: \"{{ user }}\"}}]\n");
  world.start();
  world.apply(kGreet);
  const std::string big(4 << 20, 'x');
  const v1::Run run = world.wait(world.submit("greet", R"({"name": ")" + big + "\"}"));
  CHECK(run.status() == v1::RUN_STATUS_LIMITED);
  CHECK(run.usage().input_miss() > (4 << 20) / 4);
  REQUIRE(run.output_json().has_blob());
  const auto content = world.engine().content(run.output_json().blob().sha256());
  REQUIRE(content);
  CHECK((*content)->size() == 8192 * 4 + 2);  // Tokens of the default limit, four bytes each, and the quotes.
  for (const v1::Event& event : world.events(run.id())) CHECK(event.ByteSizeLong() < 64 << 10);
}

TEST_CASE("an unknown key is no reason to wait: the run fails with the variable to set") {
  World world;
  world.start();
  v1::WorkflowsCheckRequest request;
  request.mutable_bundle()->set_file("t.yaml");
  request.mutable_bundle()->set_text("weft: 1\nname: t\nsteps:\n  a: {prompt: Hi, model: deepseek-chat}\n");
  const auto checked = world.engine().check(request);
  REQUIRE(checked);
  REQUIRE(checked->diagnostics_size() == 1);
  CHECK_THAT(checked->diagnostics(0).message(), Catch::Contains("deepseek-flash"));
}

TEST_CASE("runs are listed since a time") {
  World world;
  const auto clock = std::make_shared<FakeClock>(Time(std::chrono::seconds(1'790'000'000)));
  world.clock = clock;
  world.start();
  world.apply("weft: 1\nname: one\nsteps:\n  a: {set: 1}\n");
  world.wait(world.submit("one"));
  clock->set(clock->now() + std::chrono::hours(1));
  const std::string later = world.submit("one");
  v1::RunsListRequest list;
  list.set_since_us(clock->now().time_since_epoch().count());
  const auto listed = world.engine().list_runs(list);
  REQUIRE(listed);
  REQUIRE(listed->runs_size() == 1);
  CHECK(listed->runs(0).id() == later);
}

TEST_CASE("labels, reasons and ids are held within their bounds, and what is at the bound is taken") {
  World world;
  world.start();
  world.apply("weft: 1\nname: one\nsteps:\n  a: {ask: Sure?}\n");
  const auto labelled = [&](int count, const std::string& key, const std::string& value) {
    v1::RunsSubmitRequest request;
    request.set_workflow("one");
    for (int i = 0; i < count; ++i) {
      v1::Label& label = *request.add_labels();
      label.set_key(key + (count > 1 ? std::to_string(i) : ""));
      label.set_value(value);
    }
    const auto submitted = world.submit(request);
    return submitted ? std::optional<Code>() : submitted.error().code;
  };
  CHECK(labelled(64, "k", "v") == std::nullopt);
  CHECK(labelled(65, "k", "v") == Code::kResourceExhausted);
  CHECK(labelled(1, "k", std::string(255, 'v')) == std::nullopt);
  CHECK(labelled(1, "k", std::string(256, 'v')) == Code::kInvalidArgument);
  CHECK(labelled(1, "", "v") == Code::kInvalidArgument);
  const std::string id = world.submit("one");
  v1::RunsSignalRequest signal;
  signal.set_run_id(id);
  signal.set_name("paid");
  signal.set_signal_id("two words");
  CHECK(call(world.engine(), &Api::signal, signal).error().code == Code::kInvalidArgument);
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(id);
  cancel.set_reason(std::string(4'097, 'r'));
  CHECK(call(world.engine(), &Api::cancel, cancel).error().code == Code::kInvalidArgument);
  cancel.set_reason(std::string(4'096, 'r'));
  REQUIRE(call(world.engine(), &Api::cancel, cancel));
  world.wait(id);
  v1::RunsPauseRequest pause;
  pause.set_run_id(id);
  CHECK(call(world.engine(), &Api::pause, pause).error().code == Code::kFailedPrecondition);
}

TEST_CASE("pages of runs are bound to their filter") {
  World world;
  world.start();
  world.apply("weft: 1\nname: one\nsteps:\n  a: {set: 1}\n");
  for (int i = 0; i < 5; ++i) world.wait(world.submit("one"));
  v1::RunsListRequest request;
  request.set_page_size(2);
  std::set<std::string> seen;
  int pages = 0;
  do {
    const auto page = world.engine().list_runs(request);
    REQUIRE(page);
    for (const v1::Run& run : page->runs()) seen.insert(run.id());
    request.set_page_token(page->next_page_token());
    ++pages;
  } while (!request.page_token().empty() && pages < 10);
  CHECK(seen.size() == 5);
  CHECK(pages == 3);
  request.clear_page_token();
  const auto page = world.engine().list_runs(request);
  request.set_page_token(page->next_page_token());
  request.set_workflow("one");
  CHECK(world.engine().list_runs(request).error().code == Code::kInvalidArgument);
}
