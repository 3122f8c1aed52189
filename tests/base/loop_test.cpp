#include "base/loop.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/pool.h"

namespace weft {
namespace {

using std::chrono::milliseconds;

TEST_CASE("posted tasks run in the order of posting, on the loop's thread") {
  Loop loop;
  std::vector<int> seen;
  std::thread::id where;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) {
      loop.post([&, i] {
        seen.push_back(i);
        where = std::this_thread::get_id();
      });
    }
    loop.stop();
  });
  loop.run();
  other.join();
  REQUIRE(seen.size() == 1000);
  REQUIRE(std::is_sorted(seen.begin(), seen.end()));
  REQUIRE(where == std::this_thread::get_id());
}

TEST_CASE("a loop that has ended destroys what it holds, and at once what is posted to it afterwards") {
  Loop loop;
  const auto held = std::make_shared<int>();
  // What is destroyed may post in turn.
  struct Posts {
    Loop& loop;
    std::shared_ptr<int> held;
    ~Posts() {
      loop.post([kept = held] { FAIL("it runs"); });
    }
  };
  loop.post([kept = std::make_unique<Posts>(loop, held)] { FAIL("it runs"); });
  loop.after(milliseconds(0), [kept = std::make_unique<Posts>(loop, held)] { FAIL("it runs"); });
  loop.drop();
  CHECK(held.use_count() == 1);
  loop.post([kept = held] { FAIL("it runs"); });
  CHECK(held.use_count() == 1);
  loop.stop();
  loop.run();
}

TEST_CASE("timers fire in the order of their times, not before them, and equal times in the order of setting") {
  Loop loop;
  const SystemClock clock;
  const Duration start = clock.monotonic();
  std::string order;
  loop.after(milliseconds(30), [&] {
    order += 'c';
    CHECK(clock.monotonic() - start >= milliseconds(30));
    loop.stop();
  });
  loop.after(milliseconds(10), [&] { order += 'a'; });
  loop.after(milliseconds(20), [&] { order += 'b'; });
  loop.after(milliseconds(0), [&] { order += '1'; });
  loop.after(milliseconds(-5), [&] { order += '2'; });
  loop.run();
  REQUIRE(order == "12abc");
}

TEST_CASE("a cancelled timer does not fire, also when another timer of the same tick cancels it") {
  Loop loop;
  int fired = 0;
  const Loop::TimerId never = loop.after(milliseconds(1), [&] { ++fired; });
  loop.cancel(never);
  Loop::TimerId second = 0;
  loop.after(milliseconds(2), [&] { loop.cancel(second); });
  second = loop.after(milliseconds(2), [&] { ++fired; });
  loop.after(milliseconds(10), [&] { loop.stop(); });
  loop.cancel(12345);
  loop.run();
  loop.cancel(second);
  REQUIRE(fired == 0);
}

TEST_CASE("a timer that sets itself again without delay does not starve posted tasks") {
  Loop loop;
  std::uint64_t turns = 0;
  std::function<void()> again = [&] {
    ++turns;
    loop.after(milliseconds(0), [&] { again(); });
  };
  again();
  std::thread other([&] { loop.post([&] { loop.stop(); }); });
  loop.run();
  other.join();
  REQUIRE(turns >= 1);
}

TEST_CASE("a loop that ends drops every task with what it holds") {
  const auto held = std::make_shared<int>(1);
  {
    Loop loop;
    loop.post([held] {});
    loop.after(milliseconds(0), [held] {});
  }
  REQUIRE(held.use_count() == 1);
}

TEST_CASE(
    "a turn takes some of many tasks and lets timers come between, and the loop says how long it has been at it") {
  Loop loop;
  const SystemClock clock;
  const auto work = [&](Duration span) {
    for (const Duration until = clock.monotonic() + span; clock.monotonic() < until;) {
    }
  };
  int done = 0;
  int done_when_due = 0;
  loop.post([&] { loop.after(milliseconds(0), [&] { done_when_due = done; }); });
  for (int i = 0; i < 100; ++i) {
    loop.post([&] {
      work(milliseconds(2));
      ++done;
      CHECK(loop.busy_for() >= milliseconds(2) - Duration(2));  // Both are rounded.
      if (done == 100) loop.stop();
    });
  }
  CHECK(loop.busy_for() == Duration(0));
  loop.run();
  CHECK(done == 100);
  CHECK(done_when_due < 50);
  CHECK(loop.busy_for() == Duration(0));
  CHECK(loop.longest_turn() >= milliseconds(10));
}

TEST_CASE("a pool does at once as much as it has threads, in the order of giving, and drops what has not begun") {
  const auto held = std::make_shared<int>(1);
  std::atomic<int> at_work = 0;
  std::atomic<int> most = 0;
  std::atomic<int> ended = 0;
  std::atomic<bool> go_on = false;
  {
    Pool pool(2);
    for (int i = 0; i < 6; ++i) {
      pool.run([&, held] {
        const int now = ++at_work;
        for (int before = most; before < now && !most.compare_exchange_weak(before, now);) {
        }
        while (!go_on) std::this_thread::yield();
        --at_work;
        ++ended;
      });
    }
    while (at_work < 2) std::this_thread::yield();
    go_on = true;
    while (ended < 3) std::this_thread::yield();
  }
  CHECK(most == 2);
  CHECK(at_work == 0);
  CHECK(held.use_count() == 1);
}

TEST_CASE("a loop that was stopped runs again") {
  Loop loop;
  int runs = 0;
  for (int i = 0; i < 3; ++i) {
    loop.post([&] {
      ++runs;
      loop.stop();
    });
    loop.run();
  }
  REQUIRE(runs == 3);
}

}  // namespace
}  // namespace weft
