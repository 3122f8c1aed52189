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
