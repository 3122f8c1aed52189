// How a run begins: with a submission, with another run's past, or again after its end.
#pragma once

#include "base/result.h"
#include "runtime/engine/shard/active_run.h"
#include "runtime/engine/shard/shard.h"

namespace weft::engine {

// By the thread that has the run: records its submission.
Status take_submission(ActiveRun& run, Submission submission);
// The same for a fork: its own submission, the shared past behind it, and the fork. They become durable in one append:
// a crash leaves the whole fork or none.
Status take_past(ActiveRun& run, ForkStart start);

}  // namespace weft::engine
