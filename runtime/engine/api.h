// What can be asked of weft: the same requests and answers as over gRPC, without gRPC.
//
// `Reading` is served by a running engine and, where none runs, by the store alone (open_archive). `Api` is an engine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"
#include "weft/v1/schedules.pb.h"
#include "weft/v1/traces.pb.h"
#include "weft/v1/workflows.pb.h"

namespace weft::engine {

template <class T>
using Done = std::move_only_function<void(Result<T>)>;

inline constexpr std::size_t kTracePageBytes = std::size_t{1} << 20;
inline constexpr int kLabelsMax = 64;  // Of one run.

// Nothing moves the run but a person, another program, or nothing at all.
inline bool is_at_rest(v1::RunStatus status) { return status >= v1::RUN_STATUS_WAITING; }

// Reads see what is durable, the caller's own writes included. Thread-safe; may take milliseconds (SQLite).
class Reading {
 public:
  virtual ~Reading() = default;
  virtual Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& request) const = 0;
  virtual Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& request) const = 0;
  virtual Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& request) const = 0;
  virtual Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& request) const = 0;
  virtual Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& request) const = 0;
  virtual Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& request) const = 0;
  virtual Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& request) const = 0;
  // Events from `from_seq` on, about `bytes_max` of them, at least one where there is one.
  virtual Result<std::vector<v1::Event>> events(std::string_view run_id, std::uint64_t from_seq,
                                                std::size_t bytes_max) const = 0;
  virtual Result<std::shared_ptr<const std::string>> content(std::string_view sha256) const = 0;
};

// Told when a run advances; then it reads the events for itself, at its own pace, so that no run waits for a watcher.
// Called on the engine's threads: must not block.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // `ended`: the run as its row has it, once it has ended; null before.
  virtual void on_advance(std::uint64_t durable_seq, std::shared_ptr<const v1::Run> ended) = 0;
  // Nothing moves the run any more, though it has not ended: its status says so to whoever reads it.
  virtual void on_rest() = 0;
  virtual void on_progress(const v1::Progress& progress) = 0;
};

class Admin;

// Thread-safe. Done callbacks come once, on one of the engine's threads, and must not block.
class Api : public Reading {
 public:
  virtual Result<v1::WorkflowsCheckResponse> check(const v1::WorkflowsCheckRequest& request) const = 0;
  virtual void apply(const v1::WorkflowsApplyRequest& request, Done<v1::WorkflowsApplyResponse> done) = 0;
  virtual void submit(const v1::RunsSubmitRequest& request, Done<v1::RunsSubmitResponse> done) = 0;
  virtual void cancel(const v1::RunsCancelRequest& request, Done<v1::RunsCancelResponse> done) = 0;
  // The care of its store (runtime/engine/admin.h); null where it needs none.
  virtual Admin* admin() { return nullptr; }
  // Whether new runs are taken now; the sentence that says why not.
  virtual Status admits() const { return {}; }
  virtual void resolve(const v1::RunsResolveRequest& request, Done<v1::RunsResolveResponse> done) = 0;
  virtual void answer(const v1::RunsAnswerRequest& request, Done<v1::RunsAnswerResponse> done) = 0;
  virtual void signal(const v1::RunsSignalRequest& request, Done<v1::RunsSignalResponse> done) = 0;
  virtual void retry(const v1::RunsRetryRequest& request, Done<v1::RunsRetryResponse> done) = 0;
  virtual void fork(const v1::RunsForkRequest& request, Done<v1::RunsForkResponse> done) = 0;
  // May take as long as a run has events.
  virtual Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest& request) const = 0;
  virtual void pause(const v1::RunsPauseRequest& request, Done<v1::RunsPauseResponse> done) = 0;
  virtual void resume(const v1::RunsResumeRequest& request, Done<v1::RunsResumeResponse> done) = 0;
  virtual void pause_schedule(const v1::SchedulesPauseRequest& request, Done<v1::SchedulesPauseResponse> done) = 0;
  virtual void resume_schedule(const v1::SchedulesResumeRequest& request, Done<v1::SchedulesResumeResponse> done) = 0;
  virtual void trigger_schedule(const v1::SchedulesTriggerRequest& request,
                                Done<v1::SchedulesTriggerResponse> done) = 0;
  // Calls on_advance at once with what is durable, then at each advance, until `watcher` is gone. NOT_FOUND but for a
  // whole id.
  virtual Status watch(std::string_view run_id, std::weak_ptr<Watcher> watcher) = 0;
};

}  // namespace weft::engine
