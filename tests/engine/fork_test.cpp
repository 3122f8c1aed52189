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
