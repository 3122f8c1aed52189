// An engine for tests of the server: runs are lists of events that the test appends to.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/engine/api.h"

namespace weft::server {

// Thread-safe.
class FakeApi final : public engine::Api {
 public:
  // What the test does.
  void add_run(const std::string& id);
  // An event with `bytes` of inline output, durable at once.
  void append(const std::string& id, std::size_t bytes = 0);
  void append(const std::string& id, v1::Event event);
  void end(const std::string& id, v1::RunStatus status = v1::RUN_STATUS_SUCCEEDED);
  void set_status(const std::string& id, v1::RunStatus status);
  void progress(const std::string& id, const v1::Progress& progress);
  std::string add_content(const std::string& run, std::string bytes);  // Its SHA-256.
  void wait_for_watchers(const std::string& id, std::size_t count);    // That still live.
  v1::RunsSubmitRequest last_submission() const;
  v1::RunsAnswerRequest last_answer() const;
  // From now on what may be long (Check, Apply, Retry, Fork, Replay) takes as long as the flag is held up.
  void hold_long(bool hold) { long_held_ = hold; }
  std::size_t long_calls() const { return long_calls_; }  // Under way.
  std::size_t long_begun() const { return long_begun_; }  // Since ever.
  std::size_t watchers(const std::string& id) const;      // That still live.
  std::size_t reads() const { return reads_; }            // How often a run was read.

  // What the server asks.
  Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& request) const override;
  Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& request) const override;
  Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& request) const override;
  Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& request) const override;
  Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& request) const override;
  Result<std::vector<v1::Event>> events(std::string_view run_id, std::uint64_t from_seq,
                                        std::size_t bytes_max) const override;
  Result<std::shared_ptr<const std::string>> content(std::string_view sha256) const override;
  Result<memory::BlobPiece> content_piece(std::string_view run_id, std::string_view sha256, std::uint64_t offset,
                                          std::size_t bytes_max) const override;
  Result<v1::WorkflowsCheckResponse> check(const v1::WorkflowsCheckRequest& request) const override;
  void apply(const v1::WorkflowsApplyRequest& request, engine::Reply<v1::WorkflowsApplyResponse> done) override;
  void submit(const v1::RunsSubmitRequest& request, engine::Reply<v1::RunsSubmitResponse> done) override;
  void answer(const v1::RunsAnswerRequest& request, engine::Reply<v1::RunsAnswerResponse> done) override;
  void signal(const v1::RunsSignalRequest&, engine::Reply<v1::RunsSignalResponse> done) override {
    done(unimplemented("not here"));
  }
  void retry(const v1::RunsRetryRequest&, engine::Reply<v1::RunsRetryResponse> done) override {
    be_long();
    done(unimplemented("not here"));
  }
  void fork(const v1::RunsForkRequest&, engine::Reply<v1::RunsForkResponse> done) override {
    be_long();
    done(unimplemented("not here"));
  }
  Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest&, const std::function<bool()>&) const override {
    be_long();
    return unimplemented("not here");
  }
  void pause(const v1::RunsPauseRequest&, engine::Reply<v1::RunsPauseResponse> done) override {
    done(unimplemented("not here"));
  }
  void resume(const v1::RunsResumeRequest&, engine::Reply<v1::RunsResumeResponse> done) override {
    done(unimplemented("not here"));
  }
  void pause_schedule(const v1::SchedulesPauseRequest&, engine::Reply<v1::SchedulesPauseResponse> done) override {
    done(unimplemented("not here"));
  }
  void resume_schedule(const v1::SchedulesResumeRequest&, engine::Reply<v1::SchedulesResumeResponse> done) override {
    done(unimplemented("not here"));
  }
  void trigger_schedule(const v1::SchedulesTriggerRequest&, engine::Reply<v1::SchedulesTriggerResponse> done) override {
    done(unimplemented("not here"));
  }
  Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest&) const override {
    return unimplemented("not here");
  }
  Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest&) const override {
    return unimplemented("not here");
  }
  void resolve(const v1::RunsResolveRequest& request, engine::Reply<v1::RunsResolveResponse> done) override;
  void cancel(const v1::RunsCancelRequest& request, engine::Reply<v1::RunsCancelResponse> done) override;
  Status watch(std::string_view run_id, std::weak_ptr<engine::Watcher> watcher) override;

 private:
  mutable std::atomic<std::size_t> reads_ = 0;
  struct FakeRun {
    v1::Run run;
    std::vector<v1::Event> events;
    std::vector<std::weak_ptr<engine::Watcher>> watchers;
  };
  void tell(const std::string& id);
  void be_long() const;

  mutable std::mutex mutex_;
  std::map<std::string, FakeRun, std::less<>> runs_;
  std::map<std::string, std::shared_ptr<const std::string>, std::less<>> contents_;
  std::map<std::string, std::string, std::less<>> content_runs_;  // By content: whose it is.
  v1::RunsSubmitRequest last_;
  v1::RunsAnswerRequest last_answer_;
  std::atomic<bool> long_held_ = false;
  mutable std::atomic<std::size_t> long_calls_ = 0;
  mutable std::atomic<std::size_t> long_begun_ = 0;
};

}  // namespace weft::server
