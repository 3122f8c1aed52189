// The sums over a run's events: tokens, money, calls, steps. One place, for the run itself and for its readers.
#pragma once

#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"

namespace weft::run {

// Adds what `event` says to `run`; also its identity, status, times, digest and end. A sum of costs is partial from the
// first call on whose price is not known.
void tally(const v1::Event& event, v1::Run& run);

}  // namespace weft::run
