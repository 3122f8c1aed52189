#include "sim/cache.h"

#include <catch2/catch.hpp>
#include <string>

namespace weft::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kBlock = 512;  // Bytes of 128 tokens.

std::string text(char what, std::size_t blocks, std::size_t more = 0) {
  return std::string(blocks * kBlock + more, what);
}

// A cache, and a clock that only the test moves.
struct World {
  explicit World(CacheRules rules = {}) : cache(rules) {}

  // Asks with these messages and answers with `output`; the tokens hit.
  std::uint64_t ask(const std::vector<std::string>& messages, const std::string& output, std::string_view key = "key") {
    Trail prompt(key, 128);
    for (const std::string& message : messages) prompt.extend(message, {message.size()});
    std::uint64_t hit = cache.hit(prompt, now);
    Trail whole = prompt;
    whole.extend(output, {output.size()});
    cache.leave(prompt, whole, now);
    return hit;
  }

  Cache cache;
  Duration now{0};
};

}  // namespace

TEST_CASE("the second turn hits the first one's input and output, once they are ready") {
  World world({.delay = 2s});
  std::string input = text('a', 3, 100), output = text('b', 2, 50);
  CHECK(world.ask({input}, output) == 0);
  CHECK(world.ask({input, output, "next"}, "x") == 0);
  world.now += 2s;
  CHECK(world.ask({input, output, "again"}, "x") == 5 * 128);
}

TEST_CASE("of A+B, A+C and A+D the third is the first to hit A") {
  World world({.delay = 0s});
  std::string a = text('a', 4);
  CHECK(world.ask({a + text('b', 2)}, "x") == 0);
  CHECK(world.ask({a + text('c', 2)}, "x") == 0);
  CHECK(world.ask({a + text('d', 2)}, "x") == 4 * 128);
}

TEST_CASE("a unit is hit only by a request that holds it whole") {
  World world({.delay = 0s});
  CHECK(world.ask({text('a', 4, 8)}, text('o', 1)) == 0);
  // All but the last byte of the input: neither of the two units is held; the common prefix becomes one.
  CHECK(world.ask({text('a', 4, 7)}, "x") == 0);
  CHECK(world.ask({text('a', 4, 8) + "y"}, "x") == 4 * 128);
}

TEST_CASE("hits are multiples of a unit and leave at least one token to read") {
  World world({.delay = 0s});
  std::string exact = text('a', 3);
  CHECK(world.ask({exact}, "x") == 0);
  CHECK(world.ask({exact}, "x") == 2 * 128);
  CHECK(world.ask({exact + text('b', 0, 200)}, "x") == 3 * 128);
}

TEST_CASE("another key space hits nothing") {
  World world({.delay = 0s});
  world.ask({text('a', 3)}, "x", "one");
  CHECK(world.ask({text('a', 4)}, "x", "two") == 0);
  CHECK(world.ask({text('a', 5)}, "x", "one") == 3 * 128);
}

TEST_CASE("a unit that nothing hit for long is gone, and each hit keeps it") {
  World world({.delay = 0s, .idle = 60s});
  std::string input = text('a', 3);
  world.ask({input}, "x");
  for (int i = 0; i < 3; ++i) {
    world.now += 50s;
    CHECK(world.ask({input, "turn" + std::to_string(i)}, "x") == 3 * 128);
  }
  world.now += 61s;
  CHECK(world.ask({input, "late"}, "x") == 0);
}

TEST_CASE("units inside of long inputs are left where the script wants them") {
  World world({.delay = 0s, .every = 256});
  std::string long_input = text('a', 5, 3);
  world.ask({long_input}, "x");
  CHECK(world.ask({text('a', 4, 100) + "!"}, "x") == 4 * 128);
}

}  // namespace weft::sim
