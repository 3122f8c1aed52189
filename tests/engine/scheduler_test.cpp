// The scheduler by itself, in a world that cannot always be looked at.
#include "runtime/engine/schedules/scheduler.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "fixture.h"
#include "tests/conformance/journal_fixture.h"
#include "workflows/workflow.h"

namespace weft::engine {
namespace {

using testing::eventually;
using testing::FakeClock;

Time at(const std::string& text) { return workflows::parse_instant(text).value(); }

// A scheduler, its loop and a store. Runs begin when they are asked for, and end when the test says so.
class SchedulerBed {
 public:
  explicit SchedulerBed(const std::string& now) : clock(at(now)) {
    const memory::Epoch epoch = memory::test::claim_all(*journal);
    SchedulerWorld world{*journal, clock, loop, epoch, {}, {}, {}};
    world.submit = [this, epoch](const ScheduledRun&, Reply<v1::RunsSubmitResponse> reply) {
      const std::string id = fmt::format("run-{}", ++submitted);
      memory::test::must_append(*journal, memory::test::first_append(id, epoch));
      v1::RunsSubmitResponse response;
      response.set_run_id(id);
      reply(std::move(response));
    };
    world.cancel = [](const std::string&, const std::string&) {};
    world.watch = [this](const std::string&, std::weak_ptr<Watcher> watcher) -> Status {
      ++looks;
      if (looks_failing > 0) {
        --looks_failing;
        return unavailable("the store cannot be read");
      }
      const std::lock_guard lock(mutex_);
      watcher_ = std::move(watcher);
      return {};
    };
    epoch_ = epoch;
    scheduler = std::make_unique<Scheduler>(std::move(world), Schedules::kStarted);
    CHECK(scheduler->load());
    thread_ = std::thread([this] { loop.run(); });
  }
  ~SchedulerBed() {
    loop.stop();
    thread_.join();
    journal->drain();
    loop.drop();
    scheduler.reset();
  }

  void end(const std::string& id) {
    memory::Append append = memory::test::next_append(id, epoch_, 2, 2);
    append.update = memory::RunRow{};
    append.update->id = id;
    append.update->ended = true;
    memory::test::must_append(*journal, std::move(append));
    std::shared_ptr<Watcher> watcher;
    {
      const std::lock_guard lock(mutex_);
      watcher = watcher_.lock();
    }
    if (watcher) watcher->on_advance(2, std::make_shared<v1::Run>());
  }

  std::unique_ptr<memory::Journal> journal = memory::make_memory_journal();
  FakeClock clock;
  Loop loop;
  std::atomic<int> submitted = 0;
  std::atomic<int> looks = 0;
  std::atomic<int> looks_failing = 0;
  std::unique_ptr<Scheduler> scheduler;

 private:
  memory::Epoch epoch_ = 0;
  std::mutex mutex_;
  std::weak_ptr<Watcher> watcher_;  // Guarded by mutex_.
  std::thread thread_;
};

v1::Workflow each_minute() {
  v1::Workflow workflow;
  workflow.set_name("daily");
  workflow.set_hash("c0ffee");
  workflow.mutable_schedule()->set_schedule("* * * * *");
  workflow.mutable_schedule()->set_zone("UTC");
  workflow.mutable_schedule()->set_overlap(v1::SCHEDULE_OVERLAP_QUEUE);
  workflow.set_applied_at_us(at("2026-03-01T11:59:00Z").time_since_epoch().count());
  return workflow;
}

}  // namespace

TEST_CASE("a schedule that cannot look at the run before looks again, and goes on when that run ends") {
  SchedulerBed world("2026-03-01T11:59:59.990Z");
  world.scheduler->applied(each_minute());
  world.clock.set(at("2026-03-01T12:00:00Z"));
  REQUIRE(eventually([&] { return world.submitted == 1; }));
  world.looks_failing = 1;
  world.clock.set(at("2026-03-01T12:01:00Z"));
  v1::SchedulesResumeRequest look;
  look.set_workflow("daily");
  world.scheduler->resume(look, [](const auto&) {});
  REQUIRE(eventually([&] { return world.looks == 1; }));
  CHECK(world.submitted == 1);
  // It looks again in a second, and no other time is due in this minute.
  REQUIRE(eventually([&] {
    if (world.clock.now() < at("2026-03-01T12:01:50Z"))
      world.clock.set(world.clock.now() + std::chrono::milliseconds(5));
    return world.looks == 2;
  }));
  world.end("run-1");
  CHECK(eventually([&] { return world.submitted == 2; }));
}

}  // namespace weft::engine
