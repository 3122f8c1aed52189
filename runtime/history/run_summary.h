// The summary of a run: the sums over its events (tokens, money, calls, steps), formed in one place for runs at work
// and for queries.
#pragma once

#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"

namespace weft::history {

// Adds `event` to the summary `run`: the sums, and the identity, status, times, digest and end. The cost is partial
// from the first call on whose price is not known.
void add_to_summary(const v1::Event& event, v1::Run& run);

}  // namespace weft::history
