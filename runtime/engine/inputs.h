// What clients say to a run (cancel, pause, resume, resolve, answer, signal), turned into the event that records it.
//
// Pure: each function looks at the run as it stands and changes nothing but `contents`, into which a long value of the
// event is put. An error is the answer to the client; its message names the way out. Whether the event is still
// expected is asked by whoever records it.
#pragma once

#include <cstdint>
#include <functional>

#include "base/result.h"
#include "runtime/engine/reply.h"
#include "runtime/run/run.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine::inputs {

// What becomes of a request that is not refused.
struct Input {
  enum class Kind : std::uint8_t {
    kRecord,  // The event is recorded; the client is answered when it is durable.
    kKnown,   // It was said before; the client is answered when that is durable.
    kPast,    // Nothing of the run as it stands waits for it: only the whole past of the run tells what it meant.
  };
  Kind kind = Kind::kRecord;
  v1::Event event{};  // Of kRecord.
};

// FAILED_PRECONDITION where the run has its result and its `finally` steps are at work.
Result<Input> cancel(const run::Run& run, const v1::CancelRequested& request);
// `event`: RunPaused or RunResumed. FAILED_PRECONDITION where the run cannot be paused.
Result<Input> set_paused(const run::Run& run, v1::Event event);
// FAILED_PRECONDITION where no call, or more than one, is in doubt at the path.
Result<Input> resolve(const run::Run& run, const v1::RunsResolveRequest& request, run::Contents& contents);
// INVALID_ARGUMENT where the value does not fit, or several questions are open at the path; kPast where none is.
Result<Input> answer(const run::Run& run, const v1::RunsAnswerRequest& request, run::Contents& contents);
// RESOURCE_EXHAUSTED where the run keeps kSignalsMax signals; kPast where it has ended.
Result<Input> signal(const run::Run& run, const v1::RunsSignalRequest& request, run::Contents& contents);

// What the client is told: the run with all that was recorded of the request.
struct Said {
  v1::Run run;
  bool known = false;  // Input::Kind::kKnown.
};

// One request on its way to its run.
struct Request {
  std::move_only_function<Result<Input>(const run::Run&, run::Contents&)> draft;
  Reply<Said> reply;  // NOT_FOUND: the run is not at work here, or the input is kPast.
  // What is urgent does not wait for what the run has still to decide.
  enum class Urgency : std::uint8_t { kUsual, kUrgent } urgency = Urgency::kUsual;
  // Whether it is taken while the run stands still since a content cannot be read.
  enum class Unread : std::uint8_t { kRefused, kTaken } unread = Unread::kRefused;
};

// The requests of clients, checked already, and what answers each.
Request to_cancel(v1::CancelRequested request, Reply<v1::RunsCancelResponse> reply);
Request to_hold(v1::Event event, Reply<v1::Run> reply);  // Pause or resume.
Request to_resolve(v1::RunsResolveRequest request, Reply<v1::RunsResolveResponse> reply);
Request to_answer(v1::RunsAnswerRequest request, Reply<v1::RunsAnswerResponse> reply);
Request to_signal(v1::RunsSignalRequest request, Reply<v1::RunsSignalResponse> reply);

}  // namespace weft::engine::inputs
