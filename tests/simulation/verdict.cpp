#include "verdict.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <source_location>

#include "base/check.h"

namespace weft {
namespace simulation {
namespace {

std::uint64_t seed_at_work = 0;

}  // namespace

std::string_view promise_name(Promise promise) {
  switch (promise) {
    case Promise::kAcknowledged: return "acknowledged is never lost";
    case Promise::kRecorded: return "a recorded result is never asked for again";
    case Promise::kIntent: return "intent before effect";
    case Promise::kOnce: return "an effect happens at most once";
    case Promise::kDoubt: return "every doubt is visible";
    case Promise::kUndone: return "what failed is taken back, the last first";
    case Promise::kLedger: return "the ledger is what the provider counted";
    case Promise::kFence: return "a stale owner writes and sends nothing";
    case Promise::kCommitted: return "a committed append is a success";
    case Promise::kFold: return "live state equals the fold";
    case Promise::kHeld: return "what is held begins nothing";
    case Promise::kSaid: return "what is said is taken once";
    case Promise::kPast: return "a fork shares what was recorded";
    case Promise::kTimer: return "a timer fires once, in time";
    case Promise::kSchedule: return "a time of a schedule starts one run";
    case Promise::kReply: return "every reply once";
    case Promise::kRead: return "a failed read decides nothing";
    case Promise::kLoop: return "no run holds the loop";
    case Promise::kEnds: return "every run ends";
    case Promise::kOwnCheck: return "the runtime's own checks";
  }
  return "";
}

void set_seed(std::uint64_t seed) { seed_at_work = seed; }

void broken(Promise promise, const std::string& sentence) {
  std::fflush(stdout);
  fmt::print(stderr, "seed {}: {}: {}; replay: ./dev sim {}\n", seed_at_work, promise_name(promise), sentence,
             seed_at_work);
  std::fflush(stderr);
  std::_Exit(1);
}

}  // namespace simulation

// Stands in for base/check.cpp.
void die(std::string_view what, std::source_location where) {
  simulation::broken(simulation::Promise::kOwnCheck, fmt::format("{} ({}:{})", what, where.file_name(), where.line()));
}

}  // namespace weft
