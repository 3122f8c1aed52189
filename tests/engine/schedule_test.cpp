// Schedules: runs that start by themselves, once for each time, whatever stops in between.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>

#include "fixture.h"
#include "runtime/engine/schedules/scheduler.h"
#include "workflows/workflow.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;

namespace {

Time at(const std::string& text) { return workflows::parse_instant(text).value(); }

const std::string kNoon = "0 12 * * *";

std::string said(const std::string& on,
                 const std::string& steps = "  a: {set: '{{ run.scheduled_for ?? \"by hand\" }}'}") {
  return fmt::format("weft: 1\nname: daily\non: {{{}}}\nsteps:\n{}\n", on, steps);
}
std::string at_noon(const std::string& more = "") { return said(fmt::format("schedule: '{}'{}", kNoon, more)); }
// One whose runs wait to be told to end.
std::string long_runs(const std::string& more) {
  return said(fmt::format("schedule: '{}'{}", kNoon, more), "  a: {wait: {signal: go}}");
}

struct Shop : World {
  Shop() { clock = std::make_shared<FakeClock>(at("2026-03-01T00:00:00Z")); }

  v1::Schedule schedule() {
    v1::SchedulesGetRequest request;
    request.set_workflow("daily");
    auto found = engine().get_schedule(request);
    if (!found) FAIL(found.error().message);
    return found->schedule();
  }
  // The clock shows this time, and the engine has looked at it.
  void pass_to(const std::string& time) {
    clock->set(at(time));
    v1::SchedulesResumeRequest look;
    look.set_workflow("daily");
    (void)call(engine(), &Api::resume_schedule, look);
  }
  std::vector<v1::Run> runs() {  // Oldest first.
    auto listed = engine().list_runs(v1::RunsListRequest());
    if (!listed) FAIL(listed.error().message);
    return {listed->runs().rbegin(), listed->runs().rend()};
  }
  bool has_runs(std::size_t count) {
    return eventually([&] { return runs().size() == count; });
  }
  // For which time a run was started; empty: by hand.
  std::string scheduled_for(const v1::Run& run) {
    const std::int64_t us = events(run.id()).front().run_submitted().scheduled_for_us();
    return us == 0 ? "" : to_rfc3339(Time(Duration(us))).substr(8, 8);
  }
  std::vector<std::string> times() {
    std::vector<std::string> all;
    for (const v1::Run& run : runs()) all.push_back(scheduled_for(run));
    return all;
  }
  bool settles(const std::function<bool(const v1::ScheduleState&)>& fits) {
    return eventually([&] { return fits(schedule().state()); });
  }
  void tell_to_end(const std::string& run_id) {
    v1::RunsSignalRequest request;
    request.set_run_id(run_id);
    request.set_name("go");
    REQUIRE(call(engine(), &Api::signal, request));
    wait(run_id);
  }
};

using Times = std::vector<std::string>;

}  // namespace

TEST_CASE("a schedule starts its run when its time has come, and the run knows which time that is") {
  Shop shop;
  shop.clock->set(at("2026-03-01T11:59:59Z"));
  shop.start();
  shop.apply(at_noon());
  const v1::Schedule schedule = shop.schedule();
  CHECK(schedule.served());
  REQUIRE(schedule.next_us_size() == 5);
  CHECK(Time(Duration(schedule.next_us(0))) == at("2026-03-01T12:00:00Z"));
  CHECK(shop.runs().empty());
  shop.clock->set(at("2026-03-01T12:00:00Z"));  // Nobody asks: its own timer looks at the clock.
  REQUIRE(shop.has_runs(1));
  const v1::Run run = shop.wait(shop.runs().front().id());
  CHECK(run.output_json().inline_() == "\"2026-03-01T12:00:00.000000Z\"");
  CHECK(shop.events(run.id()).front().run_submitted().schedule() == "daily");
  CHECK(shop.settles([](const auto& state) { return state.started() == 1; }));
  shop.pass_to("2026-03-01T18:00:00Z");
  CHECK(shop.runs().size() == 1);
  shop.pass_to("2026-03-02T12:00:01Z");
  REQUIRE(shop.has_runs(2));
  CHECK(shop.times() == Times{"01T12:00", "02T12:00"});
}

TEST_CASE("a time starts one run, also where the engine stops before that is kept") {
  auto store = std::shared_ptr<memory::Journal>(memory::make_memory_journal());
  Shop shop;
  shop.on(store);
  shop.start();
  shop.apply(at_noon());
  shop.pass_to("2026-03-01T11:59:59.990Z");
  shop.journal().fail_schedules(unavailable("the disk is full"));
  shop.clock->set(at("2026-03-01T12:00:00Z"));
  REQUIRE(shop.has_runs(1));
  CHECK(shop.schedule().state().started() == 0);  // It could not be kept.
  shop.stop();
  shop.start();
  CHECK(shop.settles([](const auto& state) { return state.started() == 1; }));
  CHECK(shop.runs().size() == 1);
  CHECK(shop.schedule().state().last_run_id() == shop.runs().front().id());
  SECTION("also where another version of the workflow stands there by then") {
    shop.pass_to("2026-03-02T11:59:59.990Z");
    shop.journal().fail_schedules(unavailable("the disk is full"));
    shop.clock->set(at("2026-03-02T12:00:00Z"));
    REQUIRE(shop.has_runs(2));
    shop.stop();
    shop.schedules = Schedules::kLeft;
    shop.start();
    shop.apply(said("schedule: '0 12 * * *'", "  other: {set: 1}"));
    shop.stop();
    shop.schedules = Schedules::kStarted;
    shop.start();
    CHECK(
        shop.settles([](const auto& s) { return Time(Duration(s.decided_until_us())) == at("2026-03-02T12:00:00Z"); }));
    CHECK(shop.runs().size() == 2);
    CHECK(shop.schedule().state().failed() == 0);  // It had started.
  }
}

TEST_CASE("what came while nothing served the schedule is made up for as it says") {
  const auto after_three_days = [](const std::string& catch_up, const std::string& overlap = ", overlap: allow") {
    auto store = std::shared_ptr<memory::Journal>(memory::make_memory_journal());
    Shop shop;
    shop.on(store);
    shop.start();
    shop.apply(at_noon(catch_up + overlap));
    shop.pass_to("2026-03-01T12:00:00Z");
    REQUIRE(shop.has_runs(1));
    CHECK(shop.settles([](const auto& state) { return state.started() == 1; }));
    shop.stop();
    shop.clock->set(at("2026-03-04T20:00:00Z"));
    shop.start();
    CHECK(shop.settles([](const auto& s) {
      return Time(Duration(s.decided_until_us())) >= at("2026-03-04T12:00:00Z") && s.waiting_us_size() == 0;
    }));
    return std::pair(shop.times(), shop.schedule().state().missed());
  };
  CHECK(after_three_days("") == std::pair(Times{"01T12:00", "04T12:00"}, std::uint64_t{2}));
  CHECK(after_three_days(", catch_up: none") == std::pair(Times{"01T12:00"}, std::uint64_t{3}));
  CHECK(after_three_days(", catch_up: all") ==
        std::pair(Times{"01T12:00", "02T12:00", "03T12:00", "04T12:00"}, std::uint64_t{0}));
  CHECK(after_three_days(", catch_up: 40h") == std::pair(Times{"01T12:00", "03T12:00", "04T12:00"}, std::uint64_t{1}));
  CHECK(after_three_days(", catch_up: all", ", overlap: queue") ==
        std::pair(Times{"01T12:00", "02T12:00", "03T12:00", "04T12:00"}, std::uint64_t{0}));
}

TEST_CASE("however long nothing served the schedule, at most the last hundred times are made up for") {
  auto store = std::shared_ptr<memory::Journal>(memory::make_memory_journal());
  Shop shop;
  shop.on(store);
  shop.start();
  shop.apply(said("schedule: '* * * * *', catch_up: all, overlap: allow"));
  shop.pass_to("2026-03-01T00:00:00Z");
  shop.stop();
  shop.clock->set(at("2026-03-01T10:00:00Z"));
  shop.start();
  CHECK(shop.settles([](const auto& state) { return state.started() == Scheduler::kCatchUpMax; }));
  CHECK(shop.schedule().state().missed() == 500);
}

TEST_CASE("where the run before has not ended, the schedule says what happens") {
  Shop shop;
  shop.start();
  SECTION("skip") {
    shop.apply(long_runs(""));
    shop.pass_to("2026-03-01T12:00:00Z");
    REQUIRE(shop.has_runs(1));
    shop.pass_to("2026-03-02T12:00:00Z");
    CHECK(shop.settles([](const auto& state) { return state.skipped() == 1; }));
    shop.tell_to_end(shop.runs().front().id());
    shop.pass_to("2026-03-03T12:00:00Z");
    REQUIRE(shop.has_runs(2));
    CHECK(shop.times() == Times{"01T12:00", "03T12:00"});
  }
  SECTION("queue") {
    shop.apply(long_runs(", overlap: queue"));
    shop.pass_to("2026-03-01T12:00:00Z");
    REQUIRE(shop.has_runs(1));
    shop.pass_to("2026-03-02T12:00:00Z");
    CHECK(shop.settles([](const auto& state) { return state.waiting_us_size() == 1; }));
    shop.pass_to("2026-03-03T12:00:00Z");
    CHECK(shop.settles([](const auto& state) { return state.waiting_us_size() == 2; }));
    CHECK(shop.runs().size() == 1);
    shop.tell_to_end(shop.runs()[0].id());
    REQUIRE(shop.has_runs(2));
    shop.tell_to_end(shop.runs()[1].id());
    REQUIRE(shop.has_runs(3));
    CHECK(shop.times() == Times{"01T12:00", "02T12:00", "03T12:00"});
  }
  SECTION("allow") {
    shop.apply(long_runs(", overlap: allow"));
    shop.pass_to("2026-03-01T12:00:00Z");
    REQUIRE(shop.has_runs(1));
    shop.pass_to("2026-03-02T12:00:00Z");
    REQUIRE(shop.has_runs(2));
    CHECK(shop.get(shop.runs()[0].id()).ended_at_us() == 0);
  }
  SECTION("cancel_previous") {
    shop.apply(long_runs(", overlap: cancel_previous"));
    shop.pass_to("2026-03-01T12:00:00Z");
    REQUIRE(shop.has_runs(1));
    shop.pass_to("2026-03-02T12:00:00Z");
    REQUIRE(shop.has_runs(2));
    CHECK(shop.get(shop.runs()[0].id()).status() == v1::RUN_STATUS_CANCELLED);
    CHECK(shop.get(shop.runs()[1].id()).ended_at_us() == 0);
  }
}

TEST_CASE("of the times that come while the run before is being cancelled, the last one starts a run") {
  std::atomic<bool> go_on = false;
  Shop shop;
  shop.tools.push_back(std::make_shared<RecordingTool>("t.write", tools::Effect::kWrite, [&](const auto&) {
    eventually([&] { return go_on.load(); });
    return tools::ToolReply{tools::ToolStatus::kDone, "1"};
  }));
  shop.start();
  shop.apply(said(fmt::format("schedule: '{}', overlap: cancel_previous", kNoon),
                  "  a: {tool: t.write, args: {x: 1}, needs: []}"));
  shop.pass_to("2026-03-01T12:00:00Z");
  REQUIRE(shop.has_runs(1));
  REQUIRE(eventually([&] { return shop.get(shop.runs().front().id()).tool_calls() == 1; }));
  for (const char* day : {"2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z"}) {
    shop.pass_to(day);
    CHECK(shop.settles([&](const auto& state) { return Time(Duration(state.decided_until_us())) == at(day); }));
  }
  CHECK(shop.schedule().state().waiting_us_size() == 1);
  CHECK(shop.schedule().state().skipped() == 1);
  go_on = true;
  REQUIRE(shop.has_runs(2));
  shop.wait(shop.runs().back().id());
  CHECK(shop.times() == Times{"01T12:00", "03T12:00"});
}

TEST_CASE("at most a hundred times wait for the run before") {
  Shop shop;
  shop.start();
  shop.apply(said("schedule: '* * * * *', overlap: queue, catch_up: all", "  a: {wait: {signal: go}}"));
  shop.pass_to("2026-03-01T00:01:00Z");
  REQUIRE(shop.has_runs(1));
  CHECK(shop.settles([](const auto& state) { return state.started() == 1; }));
  shop.pass_to("2026-03-01T01:41:00Z");
  CHECK(shop.settles([](const auto& state) { return state.waiting_us_size() == Scheduler::kWaitingMax; }));
  shop.pass_to("2026-03-01T01:42:00Z");
  CHECK(shop.settles([](const auto& state) { return state.skipped() == 1; }));
  CHECK(shop.schedule().state().waiting_us_size() == Scheduler::kWaitingMax);
}

TEST_CASE("what waits for the run before goes on waiting in the next life of the engine") {
  auto store = std::shared_ptr<memory::Journal>(memory::make_memory_journal());
  Shop shop;
  shop.on(store);
  shop.start();
  shop.apply(long_runs(", overlap: queue"));
  shop.pass_to("2026-03-01T12:00:00Z");
  REQUIRE(shop.has_runs(1));
  shop.pass_to("2026-03-02T12:00:00Z");
  CHECK(shop.settles([](const auto& state) { return state.waiting_us_size() == 1; }));
  shop.stop();
  shop.start();
  CHECK(shop.runs().size() == 1);
  shop.tell_to_end(shop.runs().front().id());
  REQUIRE(shop.has_runs(2));
  CHECK(shop.times() == Times{"01T12:00", "02T12:00"});
}

TEST_CASE("a paused schedule starts nothing, and what passes meanwhile is not made up for") {
  auto store = std::shared_ptr<memory::Journal>(memory::make_memory_journal());
  Shop shop;
  shop.on(store);
  shop.start();
  shop.apply(at_noon(", catch_up: all"));
  v1::SchedulesPauseRequest pause;
  pause.set_workflow("daily");
  pause.set_reason("holidays");
  const auto paused = call(shop.engine(), &Api::pause_schedule, pause);
  REQUIRE(paused);
  CHECK(paused->schedule().state().paused());
  CHECK(paused->schedule().next_us().empty());
  shop.clock->set(at("2026-03-03T20:00:00Z"));
  shop.stop();
  shop.start();
  CHECK(shop.schedule().state().reason() == "holidays");
  shop.pass_to("2026-03-03T21:00:00Z");  // Which also resumes it.
  CHECK_FALSE(shop.schedule().state().paused());
  shop.pass_to("2026-03-04T12:00:00Z");
  REQUIRE(shop.has_runs(1));
  CHECK(shop.times() == Times{"04T12:00"});
  pause.set_workflow("nothing");
  CHECK(call(shop.engine(), &Api::pause_schedule, pause).error().code == Code::kNotFound);
}

TEST_CASE("a pause that cannot be kept is refused and has not happened") {
  Shop shop;
  shop.start();
  shop.apply(at_noon());
  shop.pass_to("2026-03-01T11:59:58Z");
  shop.journal().fail_schedules(unavailable("the disk is full"));
  v1::SchedulesPauseRequest pause;
  pause.set_workflow("daily");
  CHECK(call(shop.engine(), &Api::pause_schedule, pause).error().code == Code::kUnavailable);
  shop.journal().fail_schedules(std::nullopt);
  shop.clock->set(at("2026-03-01T12:00:01Z"));
  REQUIRE(shop.has_runs(1));
}

TEST_CASE("a run can be started by hand, and the same request id is the same run") {
  Shop shop;
  shop.start();
  shop.apply(at_noon());
  v1::SchedulesTriggerRequest trigger;
  trigger.set_workflow("daily");
  trigger.set_request_id("once");
  const auto first = call(shop.engine(), &Api::trigger_schedule, trigger);
  REQUIRE(first);
  const auto again = call(shop.engine(), &Api::trigger_schedule, trigger);
  REQUIRE(again);
  CHECK(again->run_id() == first->run_id());
  CHECK(again->existing());
  CHECK(shop.wait(first->run_id()).output_json().inline_() == "\"2026-03-01T00:00:00.000000Z\"");
  CHECK(shop.runs().size() == 1);
}

TEST_CASE("a run that was started by hand is counted, and is the run before of the next time") {
  Shop shop;
  shop.start();
  shop.apply(long_runs(""));
  v1::SchedulesTriggerRequest trigger;
  trigger.set_workflow("daily");
  const auto by_hand = call(shop.engine(), &Api::trigger_schedule, trigger);
  REQUIRE(by_hand);
  CHECK(shop.settles([](const auto& state) { return state.started() == 1; }));
  CHECK(shop.schedule().state().last_run_id() == by_hand->run_id());
  shop.pass_to("2026-03-01T12:00:00Z");
  CHECK(shop.settles([](const auto& state) { return state.skipped() == 1; }));
  CHECK(shop.runs().size() == 1);
}

TEST_CASE("a run that is started by hand does not make its schedule forget the one that goes on") {
  Shop shop;
  shop.start();
  shop.apply(long_runs(""));
  shop.pass_to("2026-03-01T12:00:00Z");
  REQUIRE(shop.has_runs(1));
  REQUIRE(shop.settles([](const auto& state) { return state.started() == 1; }));
  const std::string first = shop.schedule().state().last_run_id();
  v1::SchedulesTriggerRequest trigger;
  trigger.set_workflow("daily");
  trigger.set_request_id("by-hand");
  const auto by_hand = call(shop.engine(), &Api::trigger_schedule, trigger);
  if (!by_hand) FAIL(by_hand.error().message);
  REQUIRE(shop.settles([](const auto& state) { return state.started() == 2; }));
  v1::RunsCancelRequest cancel;
  cancel.set_run_id(by_hand->run_id());
  REQUIRE(call(shop.engine(), &Api::cancel, cancel));
  shop.wait(by_hand->run_id());
  shop.pass_to("2026-03-02T12:00:00Z");
  CHECK(shop.settles([](const auto& state) { return state.skipped() == 1; }));
  CHECK(shop.runs().size() == 2);
  // The same request again has started nothing, and is not the run before of anything.
  const auto again = call(shop.engine(), &Api::trigger_schedule, trigger);
  REQUIRE(again);
  CHECK(again->existing());
  v1::SchedulesPauseRequest pause;
  pause.set_workflow("daily");
  REQUIRE(call(shop.engine(), &Api::pause_schedule, pause));  // Behind it.
  CHECK(shop.schedule().state().started() == 2);
  v1::SchedulesResumeRequest resume;
  resume.set_workflow("daily");
  REQUIRE(call(shop.engine(), &Api::resume_schedule, resume));
  shop.pass_to("2026-03-03T12:00:00Z");
  CHECK(shop.settles([](const auto& state) { return state.skipped() == 2; }));
  cancel.set_run_id(first);
  REQUIRE(call(shop.engine(), &Api::cancel, cancel));
  shop.wait(first);
  shop.pass_to("2026-03-04T12:00:00Z");
  CHECK(shop.has_runs(3));
}

TEST_CASE("a version with the same times in another zone counts from when it was applied") {
  Shop shop;
  shop.start();
  shop.apply(at_noon());
  shop.pass_to("2026-03-01T12:00:00Z");
  REQUIRE(shop.has_runs(1));
  CHECK(shop.settles([](const auto& state) { return state.started() == 1; }));
  // In Tokyo it was noon at three, between the last time and now.
  shop.clock->set(at("2026-03-02T05:00:00Z"));
  shop.apply(at_noon(", zone: Asia/Tokyo"));
  shop.pass_to("2026-03-03T03:00:00Z");
  REQUIRE(shop.has_runs(2));
  CHECK(shop.times() == Times{"01T12:00", "03T03:00"});
  CHECK(shop.schedule().state().missed() == 0);
}

TEST_CASE("schedules are listed by pages") {
  Shop shop;
  shop.start();
  for (const char* name : {"a", "b", "c"}) {
    std::string text = at_noon();
    text.replace(text.find("daily"), 5, name);
    shop.apply(text);
  }
  v1::SchedulesListRequest list;
  list.set_page_size(2);
  const auto first = shop.engine().list_schedules(list);
  REQUIRE(first);
  CHECK(first->schedules_size() == 2);
  list.set_page_token(first->next_page_token());
  const auto second = shop.engine().list_schedules(list);
  REQUIRE(second);
  REQUIRE(second->schedules_size() == 1);
  CHECK(second->schedules(0).workflow() == "c");
  CHECK(second->next_page_token().empty());
}

TEST_CASE("a version without a schedule ends it, one with another counts from when it was applied") {
  Shop shop;
  shop.start();
  shop.apply(at_noon());
  shop.pass_to("2026-03-01T00:00:00Z");
  shop.clock->set(at("2026-03-01T11:00:00Z"));
  shop.apply("weft: 1\nname: daily\nsteps: {a: {set: 1}}\n");
  v1::SchedulesGetRequest get;
  get.set_workflow("daily");
  CHECK(shop.engine().get_schedule(get).error().code == Code::kNotFound);
  CHECK(shop.engine().list_schedules({})->schedules().empty());
  shop.pass_to("2026-03-02T13:00:00Z");
  CHECK(shop.runs().empty());
  shop.apply(at_noon(", catch_up: all"));
  shop.pass_to("2026-03-02T20:00:00Z");
  shop.apply(said("schedule: '0 21 * * *', catch_up: all"));
  shop.pass_to("2026-03-02T21:00:00Z");
  REQUIRE(shop.has_runs(1));
  CHECK(shop.times() == Times{"02T21:00"});
  CHECK(shop.engine().list_schedules({})->schedules_size() == 1);
}

TEST_CASE("an engine that does not serve schedules starts nothing by them, and says so") {
  Shop shop;
  shop.schedules = Schedules::kLeft;
  shop.start();
  shop.apply(at_noon());
  CHECK_FALSE(shop.schedule().served());
  shop.pass_to("2026-03-01T13:00:00Z");
  CHECK(shop.runs().empty());
}

TEST_CASE("an engine that another one has overtaken serves schedules no more, and says so") {
  Shop shop;
  shop.start();
  shop.apply(at_noon());
  shop.pass_to("2026-03-01T11:59:59.990Z");
  CHECK(shop.schedule().served());
  shop.journal().fail_schedules(aborted("schedules have another owner"));
  shop.clock->set(at("2026-03-01T12:00:00Z"));
  CHECK(eventually([&] { return !shop.schedule().served(); }));
}

TEST_CASE("a run for which there is no room starts when there is") {
  std::atomic<bool> free = false;
  Shop shop;
  shop.limits.runs_at_work_max = 1;
  shop.limits.runs_queued_max = 1;
  shop.tools.push_back(std::make_shared<RecordingTool>("t.read", tools::Effect::kRead, [&](const tools::ToolRequest&) {
    eventually([&] { return free.load(); });
    return tools::ToolReply{tools::ToolStatus::kDone, "{}"};
  }));
  shop.start();
  shop.apply("weft: 1\nname: busy\nsteps: {a: {tool: t.read, timeout: 1h}}\n");
  shop.apply(at_noon());
  shop.submit("busy");
  shop.submit("busy");
  shop.pass_to("2026-03-01T12:00:00Z");
  CHECK(shop.runs().size() == 2);
  free = true;
  for (const v1::Run& run : shop.runs()) shop.wait(run.id());
  shop.pass_to("2026-03-01T12:00:30Z");
  CHECK(shop.has_runs(3));
}
