// The sums over a run's events: tokens, money, calls, steps. One place, for runs at work and for readers of their past.
#pragma once

#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

// Adds what `event` says to `run`; also its identity, status, times, digest and end. A sum of costs is partial from the
// first call on whose price is not known.
void tally(const v1::Event& event, v1::Run& run);

}  // namespace weft::engine
