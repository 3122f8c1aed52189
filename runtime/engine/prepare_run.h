// From a request that begins a run to what a shard begins: checked, with its workflow, its input as canonical JSON, and
// an id of its own.
#pragma once

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "memory/journal/journal.h"
#include "runtime/engine/config.h"
#include "runtime/engine/registry.h"
#include "runtime/engine/routing/routes.h"
#include "runtime/engine/shard/shard.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

// What is asked meanwhile; all of it is thread-safe.
struct PrepareWorld {
  const EngineLimits& limits;
  const memory::Journal& journal;
  Registry& registry;
  const Routes& routes;
  const Clock& clock;
  Entropy& entropy;
};

// INVALID_ARGUMENT, NOT_FOUND or RESOURCE_EXHAUSTED, naming the field; FAILED_PRECONDITION where a model of the
// workflow has no route, since a run whose first call must fail is not begun.
Result<Submission> prepare_submission(const PrepareWorld& world, const v1::RunsSubmitRequest& request);
// The same, and the errors of history::share_past(). Blocks on the store.
Result<ForkStart> prepare_fork(const PrepareWorld& world, const v1::RunsForkRequest& request);
// The run as admission knows it before its first event.
v1::Run as_submitted(const Submission& submission, Time now);

}  // namespace weft::engine
