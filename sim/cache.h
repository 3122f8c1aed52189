// The provider's prefix cache, after its own description: https://api-docs.deepseek.com/guides/kv_cache
//
//  1. A request that was answered leaves two units: its input, and its input with its output. `CacheRules::every` adds
//     units inside of long ones.
//  2. A prefix that a request shares with an earlier one becomes a unit, which a later request can hit. So of A+B, A+C
//     and A+D the third is the first to hit A.
//  3. A request hits the longest unit that it holds whole: not the longest common prefix. Hits are reported in
//  multiples
//     of `unit`, and always leave at least one token to read.
//  4. A unit can be hit `delay` after it was left, in the same key space: account, user and model.
// A prefix is known by a hash of its bytes; four bytes count as one token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "sim/script.h"

namespace weft::sim {

inline constexpr std::size_t kTokenBytes = 4;

constexpr std::uint64_t tokens_of(std::size_t bytes) { return (bytes + kTokenBytes - 1) / kTokenBytes; }

// The hashes of the prefixes of one text in one key space that may be, or become, units.
class Trail {
 public:
  struct Point {
    std::size_t bytes = 0;
    std::uint64_t hash = 0;
  };

  Trail(std::string_view key_space, std::uint64_t unit_tokens);
  // Goes on with further text; `ends` count from its beginning, ascending.
  void extend(std::string_view text, const std::vector<std::size_t>& ends);

  std::size_t bytes() const { return bytes_; }
  const std::vector<Point>& ends() const { return ends_; }      // Of messages.
  const std::vector<Point>& blocks() const { return blocks_; }  // Every `unit` tokens.

 private:
  std::size_t block_bytes_;
  std::size_t bytes_ = 0;
  std::uint64_t hash_;
  std::vector<Point> ends_;
  std::vector<Point> blocks_;
};

// Thread-safe. `now` is monotonic.
class Cache {
 public:
  // Over it, what was not used for longest is forgotten: about 100 MB.
  static constexpr std::size_t kEntriesMax = 2'000'000;

  explicit Cache(const CacheRules& rules) : rules_(rules) {}

  // The tokens of `prompt` that need not be read again. Remembers it, for rule 2.
  std::uint64_t hit(const Trail& prompt, Duration now);
  // The request was answered: leaves a unit at the end of its input and one at the end of `whole`, input and output.
  void leave(const Trail& prompt, const Trail& whole, Duration now);

 private:
  struct Unit {
    Duration ready{0};
    Duration used{0};
  };
  // Entries by hash, in two generations: when the young one is full, the old one is forgotten.
  class Units {
   public:
    Unit* find(std::uint64_t hash);
    void add(std::uint64_t hash, Unit unit);

   private:
    std::unordered_map<std::uint64_t, Unit> young_, old_;
  };

  bool alive(const Unit& unit, Duration now) const { return unit.used + rules_.idle >= now; }
  void add(const Trail::Point& point, Duration now);

  const CacheRules rules_;
  std::mutex mutex_;
  Units units_;  // Guarded by mutex_.
  Units seen_;   // Guarded by mutex_: blocks of prompts, also of those that are no units.
};

}  // namespace weft::sim
