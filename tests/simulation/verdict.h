// How a simulated world says that a promise was broken.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::simulation {

// The promises, as they are listed in docs/building.md.
enum class Promise : std::uint8_t {
  kAcknowledged,  // What was acknowledged is never lost.
  kRecorded,      // A recorded result is never asked for again; what is asked again is asked with the same bytes.
  kIntent,        // What costs money or changes the world leaves after its intent is durable.
  kOnce,          // Effects per step instance, tool and arguments: at most one.
  kDoubt,         // What may have changed the world is recorded as done, or as in doubt.
  kUndone,        // What a failed or cancelled run did is taken back, the last first, and nothing else is.
  kLedger,        // The books hold what the provider counted; lost calls are marked as estimates.
  kFence,         // A stale owner writes and sends nothing.
  kCommitted,     // A committed append is a success, also where it looked failed.
  kFold,          // Every decision follows from the events before it; numbers, times and digests are a chain.
  kHeld,          // While a run is paused, and once it is killed, nothing of it begins.
  kSaid,          // An answer moves one question, a signal one step, and each is taken once.
  kPast,          // A fork shares what was recorded, pays for none of it, and changes nothing unasked.
  kTimer,         // A timer fires once, and not before its time.
  kSchedule,      // A time of a schedule starts one run, whatever stops in between.
  kReply,         // Whoever asks is answered, once, as long as the server lives.
  kRead,          // A read that failed decides nothing.
  kLoop,          // No run holds the loop: what is done for it at a stretch has a bound.
  kEnds,          // Once the faults stop, every run ends; what stands still says why.
  kOwnCheck,      // A check of the runtime's own did not hold.
};
std::string_view promise_name(Promise promise);

// The seed that is at work, for the sentence of a failure.
void set_seed(std::uint64_t seed);
// Prints "seed N: …; replay: ./dev sim N" and ends the program: nothing after a broken promise means anything.
[[noreturn]] void broken(Promise promise, const std::string& sentence);

}  // namespace weft::simulation
