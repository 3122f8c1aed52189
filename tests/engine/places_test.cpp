// Places and lines under a fake clock: shares, priorities, rates.
#include "runtime/engine/places.h"

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
using namespace weft::engine;

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
  Places places{clock};

  World() {
    places.set_alarm([this](Duration delay) { at(clock.us + delay.count(), [this] { places.look(); }); });
  }
  ~World() {
    places.set_alarm({});
    places.serve(Places::Service::kNone);
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
  // Stands in line at once, works for `work_us` when its turn has come, and goes; `on_begin` is told.
  void ask(const std::string& share, std::int32_t priority, const Gates& gates, std::int64_t work_us,
           std::function<void()> on_begin, std::uint64_t tokens = 0) {
    const std::size_t asked = turns_.size();
    auto begin = [this, asked, work_us, on_begin = std::move(on_begin)] {
      on_begin();
      at(clock.us + work_us, [this, asked] { turns_[asked] = {}; });
    };
    Passenger passenger;
    passenger.run_id = fmt::format("run-{}", asked);
    passenger.share = share;
    passenger.rank_us = rank_of(clock.us, priority);
    passenger.tokens = tokens;
    // As a shard does: the word is passed on, and acted upon later.
    turns_.push_back(places.take(std::move(passenger), gates, [this, begin] { at(clock.us, begin); }));
    if (turns_[asked].has_come()) begin();
  }

 private:
  std::map<std::int64_t, std::deque<std::function<void()>>> due_;
  std::deque<Places::Turn> turns_;
};

Gates gate(std::string key, Bounds bounds) {
  return {{std::move(key), std::make_shared<const Bounds>(std::move(bounds))}};
}

Bounds places_max(std::uint64_t max) {
  Bounds bounds;
  bounds.places_max = max;
  return bounds;
}

}  // namespace

TEST_CASE("at ten times the offered load a share begins as often as the other one, over 60 seconds") {
  World world;
  const Gates four = gate("calls", places_max(4));
  std::map<std::string, int> begun;
  // Four places for 100 ms each are 40 a second; 300 and 30 a second are wanted.
  const auto offer = [&](const std::string& share, std::int64_t every_us) {
    for (std::int64_t at = 0; at < 60 * kSecond; at += every_us)
      world.at(at, [&, share] { world.ask(share, 0, four, kSecond / 10, [&, share] { ++begun[share]; }); });
  };
  offer("loud", kSecond / 300);
  offer("quiet", kSecond / 30);
  world.run_until(60 * kSecond);
  const double equal = (begun["loud"] + begun["quiet"]) / 2.0;
  CHECK(begun["loud"] + begun["quiet"] >= 60 * 40 - 4);
  CHECK(begun["quiet"] / equal > 0.8);
  CHECK(begun["loud"] / equal < 1.25);
}

TEST_CASE("what a share does not use, the others do") {
  World world;
  const Gates one = gate("calls", places_max(1));
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
  const Gates one = gate("runs", places_max(1));
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
  const Gates rate = gate("calls", bounds);
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
  const Gates rate = gate("calls", bounds);
  std::vector<int> begun;
  for (int i = 0; i < 4; ++i) world.ask("all", 0, rate, 1'000, [&, i] { begun.push_back(i); }, 400);
  world.run_until(kSecond);
  CHECK(begun == std::vector<int>{0, 1});
  // One that alone is more than the limit goes alone, or it would wait for ever.
  world.ask("all", 0, rate, 1'000, [&] { begun.push_back(9); }, 5'000);
  world.run_until(200 * kSecond);
  CHECK(begun == std::vector<int>{0, 1, 2, 3, 9});

  Passenger passenger;
  passenger.tokens = 100;
  const Gates other = gate("others", bounds);
  Places::Turn first = world.places.take(passenger, other, [] {});
  first.settle(1'000);
  bool came = false;
  Places::Turn second = world.places.take(passenger, other, [&] { came = true; });
  CHECK_FALSE(second.has_come());
  first.settle(900);
  CHECK(came);
}

TEST_CASE("who leaves the line before its turn takes nobody's place, nor anything of a minute") {
  World world;
  Bounds bounds;
  bounds.places_max = 1;
  bounds.per_minute = 2;
  Gates both = gate("narrow", bounds);
  both.push_back(gate("wide", places_max(1)).front());
  Places::Turn at_work = world.places.take({}, gate("wide", places_max(1)), [] {});
  std::vector<std::string> came;
  // It has the narrow place, and waits for the wide one.
  std::optional<Places::Turn> between = world.places.take({}, both, [&] { came.push_back("between"); });
  Places::Turn behind = world.places.take({}, both, [&] { came.push_back("behind"); });
  CHECK_FALSE(between->has_come());
  between.reset();
  at_work = {};
  CHECK(came == std::vector<std::string>{"behind"});
  behind = {};
  CHECK(world.places.take({}, both, [] {}).has_come());
  // The minute's two are gone.
  CHECK_FALSE(world.places.take({}, both, [] {}).has_come());
}

TEST_CASE("a full line shuts out who fills it, and nobody else") {
  World world;
  const Gates one = gate("runs", places_max(1));
  std::vector<Places::Turn> turns;
  const auto take = [&](const std::string& share) {
    Passenger passenger;
    passenger.kind = Passenger::Kind::kRun;
    passenger.run_id = fmt::format("{}-{}", share, turns.size());
    passenger.share = share;
    auto turn = world.places.take(passenger, one, [] {}, 10);
    if (turn) turns.push_back(*std::move(turn));
    return turn.has_value();
  };
  int loud = 0;
  while (take("loud")) ++loud;
  CHECK(loud == 1 + 10);
  int quiet = 0;
  while (take("quiet")) ++quiet;
  CHECK(quiet == 5);
  CHECK_FALSE(take("loud"));
  CHECK(world.places.runs_waiting() == 15);
  CHECK(world.places.runs_at_work() == 1);
}

TEST_CASE("when to ask again follows from how fast the line moves, within bounds") {
  World world;
  const auto pace_s = [&] { return std::chrono::duration<double>(world.places.pace()).count(); };
  CHECK(pace_s() == 1);  // Nothing is known yet.
  std::vector<Places::Turn> turns;
  Passenger run;
  run.kind = Passenger::Kind::kRun;
  for (int i = 0; i < 400; ++i) turns.push_back(world.places.take(run, gate("runs", places_max(1)), [] {}));
  const auto begin_each = [&](std::int64_t every_us, std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      world.clock.us += every_us;
      turns[i] = {};  // The next one begins.
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
  const Gates one = gate("calls", places_max(100));
  int begun = 0;
  const auto from = std::chrono::steady_clock::now();
  for (int i = 0; i < 10'000; ++i) world.ask(fmt::format("tenant-{}", i % 1'000), i % 7, one, 1'000, [&] { ++begun; });
  world.run_until(kSecond);
  CHECK(begun == 10'000);
  // A look through all that wait, for each that begins, would be 10^8 steps.
  CHECK(std::chrono::steady_clock::now() - from < std::chrono::seconds(5));
}
