// The interface of an engine: the same requests and answers as over gRPC, without gRPC.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/engine/reply.h"
#include "runtime/history/queries.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"
#include "weft/v1/schedules.pb.h"
#include "weft/v1/traces.pb.h"
#include "weft/v1/workflows.pb.h"

namespace weft::engine {

// Notified when a run advances; it reads the events itself, at its own pace, so that no run waits for a watcher.
// Called on the engine's threads: must not block.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // `ended`: the run as its row has it, once it has ended; null before.
  virtual void on_advance(std::uint64_t durable_seq, std::shared_ptr<const v1::Run> ended) = 0;
  // The run has not ended and waits for a person, another program or a repair; its status says so.
  virtual void on_rest() = 0;
  virtual void on_progress(const v1::Progress& progress) = 0;
};

class Admin;

// Thread-safe. Each reply is answered exactly once (runtime/engine/reply.h), on one of the engine's threads.
class Api : public history::Queries {
 public:
  virtual Result<v1::WorkflowsCheckResponse> check(const v1::WorkflowsCheckRequest& request) const = 0;
  virtual void apply(const v1::WorkflowsApplyRequest& request, Reply<v1::WorkflowsApplyResponse> reply) = 0;
  virtual void submit(const v1::RunsSubmitRequest& request, Reply<v1::RunsSubmitResponse> reply) = 0;
  virtual void cancel(const v1::RunsCancelRequest& request, Reply<v1::RunsCancelResponse> reply) = 0;
  // Operations on its store (runtime/engine/maintenance/admin.h); null where it has none.
  virtual Admin* admin() { return nullptr; }
  // Whether new runs are taken now; the sentence that says why not.
  virtual Status admits() const { return {}; }
  virtual void resolve(const v1::RunsResolveRequest& request, Reply<v1::RunsResolveResponse> reply) = 0;
  virtual void answer(const v1::RunsAnswerRequest& request, Reply<v1::RunsAnswerResponse> reply) = 0;
  virtual void signal(const v1::RunsSignalRequest& request, Reply<v1::RunsSignalResponse> reply) = 0;
  virtual void retry(const v1::RunsRetryRequest& request, Reply<v1::RunsRetryResponse> reply) = 0;
  virtual void fork(const v1::RunsForkRequest& request, Reply<v1::RunsForkResponse> reply) = 0;
  // May take as long as a run has events; ends as CANCELLED where `is_over` says so between two pages.
  virtual Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest& request,
                                                  const std::function<bool()>& is_over = {}) const = 0;
  virtual void pause(const v1::RunsPauseRequest& request, Reply<v1::RunsPauseResponse> reply) = 0;
  virtual void resume(const v1::RunsResumeRequest& request, Reply<v1::RunsResumeResponse> reply) = 0;
  virtual void pause_schedule(const v1::SchedulesPauseRequest& request, Reply<v1::SchedulesPauseResponse> reply) = 0;
  virtual void resume_schedule(const v1::SchedulesResumeRequest& request, Reply<v1::SchedulesResumeResponse> reply) = 0;
  virtual void trigger_schedule(const v1::SchedulesTriggerRequest& request,
                                Reply<v1::SchedulesTriggerResponse> reply) = 0;
  // Calls on_advance at once with what is durable, then at each advance, until `watcher` is gone. NOT_FOUND but for a
  // whole id.
  virtual Status watch(std::string_view run_id, std::weak_ptr<Watcher> watcher) = 0;
};

}  // namespace weft::engine
