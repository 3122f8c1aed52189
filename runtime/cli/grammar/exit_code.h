// What the program returns. The first that applies, in the order of docs/cli.md.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "weft/v1/runs.pb.h"

namespace weft::cli {

enum class Exit : std::uint8_t {
  kOk = 0,
  kFailed = 1,  // Any failure that is none of the others.
  kUsage = 2,   // Also an invalid file.
  kCancelled = 3,
  kNotAllowed = 4,
  kUnreachable = 5,  // weft's own server.
  kNotFound = 6,
  kWaits = 7,  // For an answer, in doubt, or paused: it has not ended, and nothing moves it now.
  kLimited = 8,
  kGate = 9,           // A replay that differs.
  kInterrupted = 130,  // Ctrl-C twice.
};

Exit exit_for(const Error& error);
Exit exit_for(v1::RunStatus status);
// Of several outcomes the one that comes first in the order of docs/cli.md.
Exit graver(Exit a, Exit b);

}  // namespace weft::cli
