// Signals cost what they change: a run with thousands of waiting elements takes each as quickly as a small one.
#include <fmt/format.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>

#include "fixture.h"

using namespace weft;
using namespace weft::engine;
using namespace weft::engine::testing;
using Steady = std::chrono::steady_clock;

namespace {

constexpr const char* kOrders =
    "weft: 1\nname: orders\ninput: {orders: [string]}\nsteps:\n  paid:\n    for_each: {in: input.orders, "
    "max_parallel: 1000}\n    wait: {signal: paid}\n    match: signal.order == item\n";

std::string order(std::size_t i) { return fmt::format("order-{}", i); }

// A run with so many elements, all of which have begun to wait or wait for their turn to.
std::string waiting_run(World& world, std::size_t elements) {
  std::string list;
  for (std::size_t i = 0; i < elements; ++i) list += fmt::format("{}\"{}\"", i == 0 ? "" : ",", order(i));
  const std::string id = world.submit("orders", fmt::format("{{\"orders\":[{}]}}", list));
  world.rest(id);
  return id;
}

v1::RunsSignalRequest paid(const std::string& run, std::size_t i) {
  v1::RunsSignalRequest request;
  request.set_run_id(run);
  request.set_name("paid");
  request.set_payload_json(fmt::format("{{\"order\":\"{}\"}}", order(i)));
  return request;
}

// From the first signal until the run has ended; each is sent when the one before was acknowledged.
double seconds_one_by_one(std::size_t elements) {
  World world;
  world.start();
  world.apply(kOrders);
  const std::string id = waiting_run(world, elements);
  const auto begun = Steady::now();
  for (std::size_t i = 0; i < elements; ++i) {
    const auto sent = call(world.engine(), &Api::signal, paid(id, i));
    if (!sent) FAIL(sent.error().message);
  }
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  return std::chrono::duration<double>(Steady::now() - begun).count();
}

// The same, all sent at once.
double seconds_at_once(std::size_t elements) {
  World world;
  world.start();
  world.apply(kOrders);
  const std::string id = waiting_run(world, elements);
  const auto begun = Steady::now();
  std::atomic<std::size_t> taken = 0;
  for (std::size_t i = 0; i < elements; ++i)
    world.engine().signal(paid(id, i), [&](const auto& sent) { taken += sent ? 1 : 0; });
  CHECK(world.wait(id).status() == v1::RUN_STATUS_SUCCEEDED);
  const double seconds = std::chrono::duration<double>(Steady::now() - begun).count();
  CHECK(eventually([&] { return taken == elements; }));
  return seconds;
}

}  // namespace

TEST_CASE("2,000 signals to 2,000 waiting elements take a second, and cost by their number") {
  const double few = seconds_one_by_one(500);
  const double many = seconds_one_by_one(2'000);
  fmt::print("500 signals: {:.2f} s; 2,000 signals: {:.2f} s\n", few, many);
  CHECK(many < 4 * few * 4 + 0.5);
  const double at_once = seconds_at_once(2'000);
  fmt::print("2,000 signals at once: {:.2f} s\n", at_once);
#ifdef WEFT_TIMED
  CHECK(many < 1.0 * 3);  // A second on a quiet machine.
  CHECK(at_once < 1.0 * 3);
#endif
}
