#include "base/loop.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

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

TEST_CASE("blocking work runs elsewhere and its end comes back to the loop's thread") {
  Loop loop;
  std::thread::id worker;
  std::thread::id finisher;
  loop.work([&] { worker = std::this_thread::get_id(); },
            [&] {
              finisher = std::this_thread::get_id();
              loop.stop();
            });
  loop.run();
  REQUIRE(worker != std::this_thread::get_id());
  REQUIRE(finisher == std::this_thread::get_id());
}

TEST_CASE("a loop that ends waits for blocking work and drops every task with what it holds") {
  const auto held = std::make_shared<int>(1);
  std::atomic<bool> began = false;
  std::atomic<bool> ended = false;
  bool done = false;
  {
    Loop loop;
    loop.post([held] {});
    loop.after(milliseconds(0), [held] {});
    loop.work(
        [&began, &ended, held] {
          began = true;
          ended = true;
        },
        [&done, held] { done = true; });
    while (!began) std::this_thread::yield();
  }
  REQUIRE(ended);
  REQUIRE_FALSE(done);
  REQUIRE(held.use_count() == 1);
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
