// The one source of chance of a simulated world: a seed makes everything.
#pragma once

#include <cstdint>

namespace weft::simulation {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {  // SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(next() % bound); }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  bool percent(std::uint32_t n) { return below(100) < n; }

 private:
  std::uint64_t state_;
};

}  // namespace weft::simulation
