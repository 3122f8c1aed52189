// Admission under a fake clock: tenants, priorities, rates.
#include "runtime/admission/admission.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <vector>

using namespace weft;
using namespace weft::admission;

namespace {

constexpr std::int64_t kSecond = 1'000'000;

class FakeClock final : public Clock {
 public:
  Time now() const override { return Time(Duration(1'790'000'000'000'000 + us)); }
  Duration monotonic() const override { return Duration(us); }
  std::int64_t us = 0;
};

// What happens at its time, in order.
class World {
 public:
  FakeClock clock;
  Admission admission{clock};

  World() {
    admission.set_alarm([this](Duration delay) { at(clock.us + delay.count(), [this] { admission.recheck(); }); });
  }
  ~World() {
    admission.set_alarm({});
    admission.serve(Admission::Service::kNone);
  }
  void at(std::int64_t us, std::function<void()> happens) { due_[us].push_back(std::move(happens)); }
  void run_until(std::int64_t us) {
    while (!due_.empty() && due_.begin()->first <= us) {
      clock.us = std::max(clock.us, due_.begin()->first);
      auto next = std::move(due_.begin()->second.front());
      due_.begin()->second.pop_front();
      if (due_.begin()->second.empty()) due_.erase(due_.begin());
      next();
    }
    clock.us = us;
  }
  // Asks at once, works for `work_us` when the permit is granted, and returns it; `on_begin` is told.
  void ask(const std::string& tenant, std::int32_t priority, const Limits& limits, std::int64_t work_us,
           std::function<void()> on_begin, std::uint64_t tokens = 0) {
    const std::size_t asked = permits_.size();
    auto begin = [this, asked, work_us, on_begin = std::move(on_begin)] {
      on_begin();
      at(clock.us + work_us, [this, asked] { permits_[asked] = {}; });
    };
    Waiter waiter;
    waiter.run_id = fmt::format("run-{}", asked);
    waiter.tenant = tenant;
    waiter.priority_time_us = priority_time(clock.us, priority);
    waiter.tokens = tokens;
    // As a shard does: the news is passed on, and acted upon later.
    permits_.push_back(admission.request(std::move(waiter), limits, [this, begin] { at(clock.us, begin); }));
    if (permits_[asked].is_granted()) begin();
  }

 private:
  std::map<std::int64_t, std::deque<std::function<void()>>> due_;
  std::deque<Permit> permits_;
};

Limits limit(std::string key, Bounds bounds) {
  return {{std::move(key), std::make_shared<const Bounds>(std::move(bounds))}};
}

Bounds places_max(std::uint64_t max) {
  Bounds bounds;
  bounds.places_max = max;
  return bounds;
}

}  // namespace

TEST_CASE("at ten times the offered load a tenant begins as often as the other one, over 60 seconds") {
  World world;
  const Limits four = limit("calls", places_max(4));
  std::map<std::string, int> begun;
  // Four places for 100 ms each are 40 a second; 300 and 30 a second are wanted.
  const auto offer = [&](const std::string& tenant, std::int64_t every_us) {
    for (std::int64_t at = 0; at < 60 * kSecond; at += every_us)
      world.at(at, [&, tenant] { world.ask(tenant, 0, four, kSecond / 10, [&, tenant] { ++begun[tenant]; }); });
  };
  offer("loud", kSecond / 300);
  offer("quiet", kSecond / 30);
  world.run_until(60 * kSecond);
  const double equal = (begun["loud"] + begun["quiet"]) / 2.0;
  CHECK(begun["loud"] + begun["quiet"] >= 60 * 40 - 4);
  CHECK(begun["quiet"] / equal > 0.8);
  CHECK(begun["loud"] / equal < 1.25);
}

TEST_CASE("what a tenant does not use, the others do") {
  World world;
  const Limits one = limit("calls", places_max(1));
  std::map<std::string, int> begun;
  for (std::int64_t at = 0; at < 60 * kSecond; at += kSecond / 100)
    world.at(at, [&] { world.ask("loud", 0, one, kSecond / 10, [&] { ++begun["loud"]; }); });
  for (std::int64_t at = 0; at < 60 * kSecond; at += kSecond)
    world.at(at, [&] { world.ask("quiet", 0, one, kSecond / 10, [&] { ++begun["quiet"]; }); });
  world.run_until(60 * kSecond);
  CHECK(begun["quiet"] >= 59);
  CHECK(begun["loud"] >= 60 * 10 - 61);
}

TEST_CASE("a higher priority begins first, and a low one within its bound under a constant stream of high ones") {
  World world;
  const Limits one = limit("runs", places_max(1));
  std::vector<std::string> order;
  const auto ask = [&](const std::string& name, std::int32_t priority) {
    world.ask("tenant", priority, one, kSecond, [&, name] { order.push_back(name); });
  };
  ask("first", 0);
  ask("low", -1);
  ask("usual", 0);
  ask("high", 5);
  world.run_until(4 * kSecond);
  CHECK(order == std::vector<std::string>{"first", "high", "usual", "low"});

  // More high ones than there is room for, for an hour.
  World busy;
  std::optional<std::int64_t> low_begun_us;
  constexpr std::int32_t kHigh = 10;
  for (std::int64_t at = 0; at < 3'600 * kSecond; at += kSecond)
    busy.at(at, [&] { busy.ask("tenant", kHigh, one, kSecond, [] {}); });
  busy.at(kSecond / 2, [&] { busy.ask("tenant", 0, one, kSecond, [&] { low_begun_us = busy.clock.us; }); });
  busy.run_until(3'600 * kSecond);
  REQUIRE(low_begun_us);
  // All that came within the bound goes first, and then it.
  CHECK(*low_begun_us > (kHigh * kPriorityStepUs) - kSecond);
  CHECK(*low_begun_us <= (kHigh * kPriorityStepUs) + 3 * kSecond);
}

TEST_CASE("no more begin within any minute than a rate allows, and they do begin") {
  World world;
  Bounds bounds;
  bounds.per_minute = 30;
  const Limits rate = limit("calls", bounds);
  std::vector<std::int64_t> begun;
  for (int i = 0; i < 100; ++i)
    world.at(i * kSecond / 10, [&] { world.ask("all", 0, rate, 1'000, [&] { begun.push_back(world.clock.us); }); });
  world.run_until(59 * kSecond);
  CHECK(begun.size() == 30);
  world.run_until(300 * kSecond);
  REQUIRE(begun.size() == 100);
  for (std::size_t i = 30; i < begun.size(); ++i) CHECK(begun[i] - begun[i - 30] >= kRateWindow.count());
  CHECK(begun.back() < 190 * kSecond);
}

TEST_CASE("tokens within a minute are counted as they are thought to be, and then as they were") {
  World world;
  Bounds bounds;
  bounds.tokens_per_minute = 1'000;
  const Limits rate = limit("calls", bounds);
  std::vector<int> begun;
  for (int i = 0; i < 4; ++i) world.ask("all", 0, rate, 1'000, [&, i] { begun.push_back(i); }, 400);
  world.run_until(kSecond);
  CHECK(begun == std::vector<int>{0, 1});
  // One that alone is more than the limit goes alone, or it would wait for ever.
  world.ask("all", 0, rate, 1'000, [&] { begun.push_back(9); }, 5'000);
  world.run_until(200 * kSecond);
  CHECK(begun == std::vector<int>{0, 1, 2, 3, 9});

  Waiter waiter;
  waiter.tokens = 100;
  const Limits other = limit("others", bounds);
  Permit first = world.admission.request(waiter, other, [] {});
  first.settle(1'000);
  bool came = false;
  Permit second = world.admission.request(waiter, other, [&] { came = true; });
  CHECK_FALSE(second.is_granted());
  first.settle(900);
  CHECK(came);
}

TEST_CASE("a waiter that gives up before its permit is granted takes nothing of any limit") {
  World world;
  Bounds bounds;
  bounds.places_max = 1;
  bounds.per_minute = 2;
  Limits both = limit("narrow", bounds);
  both.push_back(limit("wide", places_max(1)).front());
  Permit at_work = world.admission.request({}, limit("wide", places_max(1)), [] {});
  std::vector<std::string> came;
  // It has the narrow place, and waits for the wide one.
  std::optional<Permit> between = world.admission.request({}, both, [&] { came.push_back("between"); });
  Permit behind = world.admission.request({}, both, [&] { came.push_back("behind"); });
  CHECK_FALSE(between->is_granted());
  between.reset();
  at_work = {};
  CHECK(came == std::vector<std::string>{"behind"});
  behind = {};
  CHECK(world.admission.request({}, both, [] {}).is_granted());
  // The minute's two are gone.
  CHECK_FALSE(world.admission.request({}, both, [] {}).is_granted());
}

TEST_CASE("a full queue refuses the tenant that fills it, and nobody else") {
  World world;
  const Limits one = limit("runs", places_max(1));
  std::vector<Permit> permits;
  const auto take = [&](const std::string& tenant) {
    Waiter waiter;
    waiter.kind = Waiter::Kind::kRun;
    waiter.run_id = fmt::format("{}-{}", tenant, permits.size());
    waiter.tenant = tenant;
    auto permit = world.admission.request(waiter, one, [] {}, 10);
    if (permit) permits.push_back(*std::move(permit));
    return permit.has_value();
  };
  int loud = 0;
  while (take("loud")) ++loud;
  CHECK(loud == 1 + 10);
  int quiet = 0;
  while (take("quiet")) ++quiet;
  CHECK(quiet == 5);
  CHECK_FALSE(take("loud"));
  CHECK(world.admission.runs_waiting() == 15);
  CHECK(world.admission.runs_at_work() == 1);
}

TEST_CASE("when to ask again follows from how fast the queue moves, within bounds") {
  World world;
  const auto pace_s = [&] { return std::chrono::duration<double>(world.admission.pace()).count(); };
  CHECK(pace_s() == 1);  // Nothing is known yet.
  std::vector<Permit> permits;
  Waiter run;
  run.kind = Waiter::Kind::kRun;
  for (int i = 0; i < 400; ++i) permits.push_back(world.admission.request(run, limit("runs", places_max(1)), [] {}));
  const auto begin_each = [&](std::int64_t every_us, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      world.clock.us += every_us;
      permits[i] = {};  // The next one begins.
    }
  };
  begin_each(5 * kSecond, 0, 60);
  CHECK(pace_s() == Approx(5).epsilon(0.01));
  begin_each(1'000, 60, 160);
  CHECK(pace_s() == 0.1);
  begin_each(600 * kSecond, 160, 260);
  CHECK(pace_s() == 30);
}

TEST_CASE("ten thousand in line cost no more each than a few") {
  World world;
  const Limits one = limit("calls", places_max(100));
  int begun = 0;
  const auto from = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i) world.ask(fmt::format("tenant-{}", i % 1'000), i % 7, one, 1'000, [&] { ++begun; });
  world.run_until(kSecond);
  CHECK(begun == 10'000);
  // A look through all that wait, for each that begins, would be 10^8 steps.
  CHECK(std::chrono::steady_clock::now() - from < std::chrono::seconds(5));
}
