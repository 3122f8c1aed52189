#include "sim/cache.h"

#include <algorithm>

namespace weft::sim {
namespace {

// FNV-1a: it can be continued at any byte, and nobody is kept out by it.
constexpr std::uint64_t kHashStart = 14'695'981'039'346'656'037ULL;
constexpr std::uint64_t kHashFactor = 1'099'511'628'211ULL;

std::uint64_t go_on(std::uint64_t hash, std::string_view bytes) {
  for (unsigned char byte : bytes) hash = (hash ^ byte) * kHashFactor;
  return hash;
}

}  // namespace

Trail::Trail(std::string_view key_space, std::uint64_t unit_tokens)
    : block_bytes_(static_cast<std::size_t>(unit_tokens) * kTokenBytes), hash_(go_on(kHashStart, key_space)) {}

void Trail::extend(std::string_view text, const std::vector<std::size_t>& ends) {
  std::size_t from = bytes_;
  std::size_t whole = from + text.size();
  auto end = ends.begin();
  while (bytes_ < whole) {
    std::size_t block = (bytes_ / block_bytes_ + 1) * block_bytes_;
    std::size_t stop = std::min(block, whole);
    if (end != ends.end()) stop = std::min(stop, std::max(from + *end, bytes_));
    hash_ = go_on(hash_, text.substr(bytes_ - from, stop - bytes_));
    bytes_ = stop;
    if (stop == block) blocks_.push_back({bytes_, hash_});
    if (end != ends.end() && stop == from + *end) {
      if (bytes_ > 0) ends_.push_back({bytes_, hash_});
      ++end;
    }
  }
}

Cache::Unit* Cache::Units::find(std::uint64_t hash) {
  if (auto found = young_.find(hash); found != young_.end()) return &found->second;
  auto found = old_.find(hash);
  if (found == old_.end()) return nullptr;
  add(hash, found->second);
  return &young_.find(hash)->second;
}

void Cache::Units::add(std::uint64_t hash, Unit unit) {
  if (young_.size() >= kEntriesMax / 4) {
    old_ = std::move(young_);
    young_.clear();
  }
  young_.insert_or_assign(hash, unit);
}

std::uint64_t Cache::hit(const Trail& prompt, Duration now) {
  std::lock_guard lock(mutex_);
  std::size_t held = 0;
  for (const auto* points : {&prompt.ends(), &prompt.blocks()}) {
    auto longest = std::find_if(points->rbegin(), points->rend(), [&](const Trail::Point& point) {
      const Unit* unit = units_.find(point.hash);
      return unit != nullptr && unit->ready <= now && alive(*unit, now);
    });
    if (longest == points->rend()) continue;
    units_.find(longest->hash)->used = now;
    held = std::max(held, longest->bytes);
  }

  // Rule 2: a prefix is only looked for in steps of a unit.
  auto shared = std::find_if(prompt.blocks().rbegin(), prompt.blocks().rend(), [&](const Trail::Point& point) {
    const Unit* earlier = seen_.find(point.hash);
    return earlier != nullptr && alive(*earlier, now);
  });
  if (shared != prompt.blocks().rend() && shared->bytes > held) add(*shared, now);
  for (const Trail::Point& block : prompt.blocks()) seen_.add(block.hash, {.ready = now, .used = now});

  std::uint64_t all = tokens_of(prompt.bytes());
  std::uint64_t hit = std::min<std::uint64_t>(held / kTokenBytes, all == 0 ? 0 : all - 1);
  return hit / rules_.unit * rules_.unit;
}

void Cache::leave(const Trail& prompt, const Trail& whole, Duration now) {
  std::lock_guard lock(mutex_);
  if (!prompt.ends().empty()) add(prompt.ends().back(), now);
  if (!whole.ends().empty()) add(whole.ends().back(), now);
  if (rules_.every == 0) return;
  std::size_t step = static_cast<std::size_t>(rules_.every) * kTokenBytes;
  for (const Trail::Point& block : whole.blocks()) {
    if (block.bytes % step == 0) add(block, now);
  }
}

// A unit that is there already keeps its time.
void Cache::add(const Trail::Point& point, Duration now) {
  Unit* known = units_.find(point.hash);
  if (known != nullptr && alive(*known, now)) {
    known->used = now;
    return;
  }
  units_.add(point.hash, {.ready = now + rules_.delay, .used = now + rules_.delay});
}

}  // namespace weft::sim
