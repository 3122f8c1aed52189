// The entries of a map by call that belong to one attempt, or to the whole run where the path is empty. Keys are sorted
// by path and attempt, so these stand together.
#pragma once

#include "runtime/run/command.h"

namespace weft::engine {

inline run::CallKey first_of(const run::CallKey& attempt) { return {attempt.path, attempt.attempt, 0, 0}; }

inline bool belongs_to(const run::CallKey& key, const run::CallKey& attempt) {
  return attempt.path.empty() || (key.path == attempt.path && key.attempt == attempt.attempt);
}

// Hands each entry of the attempt to `each`, and erases it. `first` is the least key that such an entry may have, and
// `key_of` tells an entry's call.
template <class Map, class First, class KeyOf, class Each>
void take_out(Map& from, const First& first, const run::CallKey& attempt, const KeyOf& key_of, const Each& each) {
  auto next = attempt.path.empty() ? from.begin() : from.lower_bound(first);
  while (next != from.end() && belongs_to(key_of(*next), attempt)) {
    each(*next);
    next = from.erase(next);
  }
}

template <class Map>
void take_out(Map& from, const run::CallKey& attempt) {
  const auto key_of = [](const auto& entry) -> const run::CallKey& { return entry.first; };
  take_out(from, first_of(attempt), attempt, key_of, [](const auto&) {});
}

}  // namespace weft::engine
