// What the agenda is made of: places where a decision may be due, and the sweep of a signal. Private to this room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/run/scope.h"

namespace weft::run {

// A place where something may be decidable, or the sweep that a signal makes.
struct AgendaItem {
  std::weak_ptr<Scope> scope;
  std::uint32_t position = 0;
  std::uint32_t slot = 0;
  bool is_sweep = false;
};

// Position and slot of each level, from the outermost: in the order of the definition, a group before what is in it.
using OrderKey = std::vector<std::uint32_t>;

struct Sweep {
  std::uint64_t seq = 0;  // Of the signal.
  bool keys_found = false;
  std::map<workflows::StepId, std::string> keys;  // The signal's, for each step that waits for one of its name.
  OrderKey at;                                    // The place that it has reached.
  std::optional<AgendaItem> current;              // The same; nothing before the first.
  std::map<OrderKey, AgendaItem> marked;          // Became due behind it.
};

// Keys under which a step waits for a signal, where no value gives one.
inline const std::string kAnyKey;       // Each signal has to be asked about.
inline const std::string kNoKey = "!";  // Of a signal that is for no step which waits under a key.

// The places at which one step waits for a signal.
struct Waiters {
  static constexpr std::size_t kTidyMin = 1'024;
  std::vector<AgendaItem> fresh;  // Whose key is not looked at yet; some wait no more.
  std::size_t tidy_at = kTidyMin;
  std::map<std::string, std::map<OrderKey, AgendaItem>> by_key;
  std::map<OrderKey, std::string> key_of_place;
  void add(OrderKey place, const std::string& key, const AgendaItem& item);
};

}  // namespace weft::run
