#include "runtime/engine/engine.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "runtime/engine/late_inputs.h"
#include "runtime/engine/maintenance/operations.h"
#include "runtime/engine/prepare_run.h"
#include "runtime/engine/replay.h"
#include "runtime/engine/request_validation.h"
#include "runtime/engine/respond_with.h"
#include "runtime/engine/shard/shard.h"
#include "runtime/engine/take_up_runs.h"
#include "runtime/history/store_queries.h"
#include "runtime/history/stored_workflow.h"

namespace weft::engine {
namespace {

// Whether a workflow may use the secret, and what it is now.
Result<std::string> secret(const EngineOptions& options, const std::string& name) {
  if (auto refusal = refuse_secret(options.config, name)) return permission_denied(*std::move(refusal));
  if (auto value = options.environment(name)) return *std::move(value);
  return not_found(
      fmt::format("the secret {} is not set: set the environment variable {} where weft runs", name, name));
}

// Threads for runs whose work takes longer than a shard may work at a stretch.
constexpr std::size_t kDecidingThreads = 2;
// Threads that read what is stored of a run.
constexpr std::size_t kReadingThreads = 2;

struct Pools {
  Pool deciding{kDecidingThreads};
  Pool reading{kReadingThreads};  // Ends first: it hands runs to those who decide.
};

class LiveEngine final : public Engine {
 public:
  LiveEngine(EngineParts parts, EngineOptions options)
      : parts_(std::move(parts)),
        options_(std::move(options)),
        routes_(options_.config, options_.environment),
        secrets_([this](const std::string& name) { return secret(options_, name); }),
        known_secrets_(options_.config, options_.environment),
        registry_(
            *parts_.journal, *parts_.tools, routes_,
            [this](const std::string& name) { return refuse_secret(options_.config, name); }, *parts_.clock),
        queries_(
            *parts_.journal,
            [this](v1::Run& run) {
              admission_.describe(run);
              wait_reasons_.describe(run);
              storage_stall_.describe(run);
            },
            *parts_.clock, summaries_),
        storage_stall_(options_.config.limits.frozen_bytes_max),
        admission_(*parts_.clock),
        policy_(admission_settings(options_.config)),
        late_inputs_(*parts_.journal, queries_) {
    admission_.serve(admission::Admission::Service::kCalls);  // Until every run of the store is in line.
  }

  ~LiveEngine() override {
    admin_.reset();
    stop();
    scheduler_.reset();
    shards_.clear();
    // What still ran did not bring this engine down.
    if (maintenance_ != nullptr && recovered_) (void)maintenance_->leave();
  }

  Status recover() {
    memory::Left left;
    if (maintenance_ != nullptr) {
      WEFT_TRY(left, maintenance_->left(memory::all_partitions()));
    }
    WEFT_TRY(const std::vector<memory::Claim> claimed, parts_.journal->claim(memory::all_partitions()));
    claims_ = memory::Claims(claimed);
    for (std::uint32_t i = 0; i < std::max<std::uint32_t>(options_.shards, 1); ++i) {
      shards_.push_back(std::make_unique<Shard>(ShardWorld{*parts_.journal,
                                                           *parts_.tools,
                                                           tool_threads_,
                                                           routes_,
                                                           subscriptions_,
                                                           wait_reasons_,
                                                           storage_stall_,
                                                           admission_,
                                                           policy_,
                                                           secrets_,
                                                           known_secrets_,
                                                           *parts_.clock,
                                                           options_.config.limits,
                                                           claims_,
                                                           work_.runs,
                                                           work_.tool_calls,
                                                           summaries_,
                                                           pools_->deciding,
                                                           pools_->reading,
                                                           maintenance_ == nullptr ? nullptr : maintenance_->marks()}));
    }
    scheduler_.emplace(scheduler_world(), options_.schedules);
    WEFT_RETURN_IF_ERROR(scheduler_->load());
    WEFT_RETURN_IF_ERROR(
        take_up_runs({*parts_.journal, claims_, maintenance_, registry_, wait_reasons_, options_.config.crashes_max,
                      [this](std::uint32_t partition) -> Shard& { return shard_of(partition); }},
                     std::move(left)));
    const std::size_t taken_up = work_.runs + admission_.runs_waiting();
    if (taken_up > 0)
      spdlog::info("{} of this store {} on",
                   taken_up == 1 ? "one unfinished run" : fmt::format("{} unfinished runs", taken_up),
                   taken_up == 1 ? "goes" : "go");
    admission_.set_alarm([this](Duration delay) { shards_.front()->after(delay, [this] { admission_.recheck(); }); });
    for (auto& shard : shards_) shard->start();
    admission_.serve(admission::Admission::Service::kAll);
    scheduler_->start();
    recovered_ = true;
    for (const std::string& sentence : known_secrets_.complaints()) spdlog::warn("{}", sentence);
    if (maintenance_ == nullptr) return {};
    admin_ = make_operations({*maintenance_, options_.config.retention, storage_stall_, *parts_.clock, leaving_,
                              [this](Duration patience) { return idle(patience); }, [this] { return admits(); },
                              wait_reasons_, admission_, work_.tool_calls});
    return {};
  }

  Result<v1::WorkflowsCheckResponse> check(const v1::WorkflowsCheckRequest& request) const override {
    WEFT_TRY(const workflows::Loaded loaded, registry_.check(request.bundle(), request.strict()));
    v1::WorkflowsCheckResponse response;
    for (const workflows::Diagnostic& diagnostic : loaded.diagnostics)
      *response.add_diagnostics() = to_wire(diagnostic);
    if (loaded.workflow) response.set_hash(loaded.workflow->hash);
    return response;
  }

  void apply(const v1::WorkflowsApplyRequest& request, Reply<v1::WorkflowsApplyResponse> reply) override {
    registry_.apply(request, [this, reply = std::move(reply)](Result<v1::WorkflowsApplyResponse> applied) mutable {
      if (applied) scheduler_->applied(applied->workflow());
      reply(std::move(applied));
    });
  }

  void submit(const v1::RunsSubmitRequest& request, Reply<v1::RunsSubmitResponse> reply) override {
    begin(request, 0, std::move(reply));
  }

  void begin(const v1::RunsSubmitRequest& request, std::int64_t scheduled_for_us, Reply<v1::RunsSubmitResponse> reply) {
    auto submission = prepare_submission(prepare_world(), request);
    if (!submission) return reply(std::move(submission).error());
    if (request.validate_only()) return reply(v1::RunsSubmitResponse{});
    if (Status admitted = admits(); !admitted) return reply(std::move(admitted).error());
    Shard& shard = shard_of(submission->partition);
    const std::size_t queued_max = options_.config.limits.runs_queued_max;
    const v1::Run run = as_submitted(*submission, parts_.clock->now());
    auto permit = admission_.request(
        policy_.waiter(run), policy_.limits_of_run(run), [&shard, id = submission->run_id] { shard.begin(id); },
        queued_max);
    if (!permit) return reply(line_is_full());
    ++work_.runs;
    submission->permit = *std::move(permit);
    submission->scheduled_for_us = scheduled_for_us;
    submission->reply = std::move(reply);
    shard.submit(*std::move(submission));
  }

  void cancel(const v1::RunsCancelRequest& request, Reply<v1::RunsCancelResponse> reply) override {
    if (request.reason().size() > kReasonBytesMax) {
      return reply(invalid_argument(fmt::format("the reason of a cancel has {} bytes; at most {} are kept",
                                                request.reason().size(), kReasonBytesMax)));
    }
    auto row = parts_.journal->run(request.run_id());
    if (!row) return reply(std::move(row).error());
    auto gone_by = [this, id = row->id, reply = std::move(reply)](Result<v1::RunsCancelResponse> response) mutable {
      if (response || response.error().code != Code::kNotFound) return reply(std::move(response));
      // It has ended in the meantime, or is parked.
      late_inputs_.cancel(id, std::move(reply));
    };
    if (row->ended) return gone_by(not_found("ended"));
    v1::CancelRequested cancel;
    cancel.set_reason(request.reason());
    cancel.set_kill(request.kill());
    say(*row, inputs::to_cancel(std::move(cancel), std::move(gone_by)));
  }

  void resolve(const v1::RunsResolveRequest& request, Reply<v1::RunsResolveResponse> reply) override {
    auto checked = checked_resolution(request);
    if (!checked) return reply(std::move(checked).error());
    auto row = parts_.journal->run(request.run_id());
    if (!row) return reply(std::move(row).error());
    if (row->ended) {
      return reply(failed_precondition(fmt::format(
          "run {} has ended, so nothing of it is settled any more; its trace tells what was in doubt", row->id)));
    }
    say(*row, inputs::to_resolve(*std::move(checked), std::move(reply)));
  }

  void answer(const v1::RunsAnswerRequest& request, Reply<v1::RunsAnswerResponse> reply) override {
    if (request.by().size() > kReasonBytesMax) return reply(invalid_argument("`by` is longer than 4,096 bytes"));
    auto row = parts_.journal->run(request.run_id());
    if (!row) return reply(std::move(row).error());
    auto told = [this, id = row->id, request, reply = std::move(reply)](Result<v1::RunsAnswerResponse> answer) mutable {
      const bool open = answer || answer.error().code != Code::kNotFound;
      if (open) return reply(std::move(answer));
      late_inputs_.answer(id, request, std::move(reply));
    };
    if (row->ended) return told(not_found("ended"));
    say(*row, inputs::to_answer(request, std::move(told)));
  }

  void signal(const v1::RunsSignalRequest& request, Reply<v1::RunsSignalResponse> reply) override {
    auto checked = checked_signal(request);
    if (!checked) return reply(std::move(checked).error());
    auto row = parts_.journal->run(request.run_id());
    if (!row) return reply(std::move(row).error());
    auto told = [this, id = row->id, checked = *checked,
                 reply = std::move(reply)](Result<v1::RunsSignalResponse> answer) mutable {
      const bool over = !answer && answer.error().code == Code::kNotFound;
      if (!over) return reply(std::move(answer));
      late_inputs_.signal(id, checked, std::move(reply));
    };
    if (row->ended) return told(not_found("ended"));
    say(*row, inputs::to_signal(*std::move(checked), std::move(told)));
  }

  void retry(const v1::RunsRetryRequest& request, Reply<v1::RunsRetryResponse> reply) override {
    if (request.reason().size() > kReasonBytesMax)
      return reply(invalid_argument(fmt::format("a reason has at most {} bytes", kReasonBytesMax)));
    auto row = parts_.journal->run(request.run_id());
    if (!row) return reply(std::move(row).error());
    if (!row->ended) return reply(failed_precondition(fmt::format("run {} has not ended", row->id)));
    auto definition = registry_.definition_of(*row);
    if (!definition) return reply(std::move(definition).error());
    if (Status taken = take_place(); !taken) return reply(std::move(taken).error());
    const std::uint32_t partition = row->partition;
    shard_of(partition).retry(*std::move(row), *std::move(definition), request.reason(), with_run(std::move(reply)));
  }

  void fork(const v1::RunsForkRequest& request, Reply<v1::RunsForkResponse> reply) override {
    auto start = prepare_fork(prepare_world(), request);
    if (!start) return reply(std::move(start).error());
    v1::RunsForkResponse response;
    response.set_events_shared(start->past.events.size());
    if (request.validate_only()) return reply(std::move(response));
    if (Status taken = take_place(); !taken) return reply(std::move(taken).error());
    start->submission.reply = [reply = std::move(reply), response](Result<v1::RunsSubmitResponse> submitted) mutable {
      if (!submitted) return reply(std::move(submitted).error());
      response.set_run_id(submitted->run_id());
      response.set_existing(submitted->existing());
      reply(std::move(response));
    };
    const std::uint32_t partition = start->submission.partition;
    shard_of(partition).fork(*std::move(start));
  }

  Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest& request,
                                          const std::function<bool()>& is_over) const override {
    return engine::replay(*parts_.journal, routes_, parts_.tools->specs(), run_limits(options_.config.limits), request,
                          is_over);
  }

  void pause(const v1::RunsPauseRequest& request, Reply<v1::RunsPauseResponse> reply) override {
    v1::Event event;
    event.mutable_run_paused()->set_reason(request.reason());
    set_paused(request, std::move(event), std::move(reply));
  }
  void resume(const v1::RunsResumeRequest& request, Reply<v1::RunsResumeResponse> reply) override {
    v1::Event event;
    event.mutable_run_resumed()->set_reason(request.reason());
    set_paused(request, std::move(event), std::move(reply));
  }

  void pause_schedule(const v1::SchedulesPauseRequest& request, Reply<v1::SchedulesPauseResponse> reply) override {
    if (request.reason().size() > kReasonBytesMax)
      return reply(invalid_argument(fmt::format("a reason has at most {} bytes", kReasonBytesMax)));
    scheduler_->pause(request, std::move(reply));
  }
  void resume_schedule(const v1::SchedulesResumeRequest& request, Reply<v1::SchedulesResumeResponse> reply) override {
    scheduler_->resume(request, std::move(reply));
  }
  void trigger_schedule(const v1::SchedulesTriggerRequest& request,
                        Reply<v1::SchedulesTriggerResponse> reply) override {
    scheduler_->trigger(request, std::move(reply));
  }

  Status watch(std::string_view run_id, std::weak_ptr<Watcher> watcher) override {
    subscriptions_.add(run_id, watcher);  // First, so that no advance is missed.
    const auto row = parts_.journal->run(run_id);
    auto run = row ? queries_.outline(*row) : Result<v1::Run>(row.error());
    if (run && row->id != run_id) run = not_found(fmt::format("there is no run '{}'", run_id));
    if (!run || row->ended) subscriptions_.remove(run_id, watcher);
    if (!run) return run.error();
    const bool rests = !row->ended && history::is_at_rest(run->status());
    if (const auto alive = watcher.lock()) {
      alive->on_advance(row->last_seq, row->ended ? std::make_shared<v1::Run>(*std::move(run)) : nullptr);
      if (rests) alive->on_rest();
    }
    return {};
  }

  Admin* admin() override { return admin_.get(); }

  void drain(Duration patience) override {
    leaving_ = true;
    idle(patience);
    parts_.journal->drain();
  }

  void stop() override {
    if (std::exchange(stopped_, true)) return;
    late_inputs_.stop();
    draining_ = true;
    admission_.serve(admission::Admission::Service::kNone);
    // The journal calls back into the shards, so they stop, then its queue empties, and then they let go of their runs.
    for (auto& shard : shards_) shard->stop();
    pools_.reset();
    parts_.journal->drain();
    for (auto& shard : shards_) shard->drop();
  }

  // Admits nothing more, and waits until no run works; the runs that have not ended.
  std::size_t idle(Duration patience) {
    draining_ = true;
    admission_.serve(admission::Admission::Service::kCalls);
    const auto until = std::chrono::steady_clock::now() + patience;
    constexpr std::chrono::milliseconds kPoll{10};
    while (work_.runs > wait_reasons_.active() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(kPoll);
    const std::size_t left = work_.runs;
    return left - std::min(left, wait_reasons_.active());
  }

  std::size_t active_runs() const override { return work_.runs; }

  Duration longest_turn() const override {
    Duration longest{0};
    for (const auto& shard : shards_) longest = std::max(longest, shard->loop().longest_turn());
    return longest;
  }

  Status admits() const override {
    if (draining_) return unavailable("this weft is stopping and takes no new runs");
    for (const auto& shard : shards_) {
      const Duration busy = shard->loop().busy_for();
      if (busy >= options_.stuck_after)
        return unavailable(
            fmt::format("a thread of this weft has been at one thing for {} s, and its runs do not go on",
                        busy.count() / 1'000'000));
    }
    if (auto refusal = storage_stall_.refusal()) return *std::move(refusal);
    return {};
  }

  Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& r) const override {
    return queries_.get_workflow(r);
  }
  Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& r) const override {
    return queries_.list_workflows(r);
  }
  Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& r) const override {
    WEFT_TRY(auto listed, queries_.list_schedules(r));
    for (v1::Schedule& schedule : *listed.mutable_schedules()) schedule.set_served(scheduler_->serves());
    return listed;
  }
  Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& r) const override {
    WEFT_TRY(auto found, queries_.get_schedule(r));
    found.mutable_schedule()->set_served(scheduler_->serves());
    return found;
  }
  Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& r) const override { return queries_.get_run(r); }
  Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& r) const override { return queries_.list_runs(r); }
  Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& r) const override {
    return queries_.get_trace(r);
  }
  Result<std::vector<v1::Event>> events(std::string_view run, std::uint64_t from, std::size_t bytes) const override {
    return queries_.events(run, from, bytes);
  }
  Result<std::shared_ptr<const std::string>> content(std::string_view sha256) const override {
    return queries_.content(sha256);
  }
  Result<memory::BlobPiece> content_piece(std::string_view run, std::string_view sha256, std::uint64_t offset,
                                          std::size_t bytes_max) const override {
    return queries_.content_piece(run, sha256, offset, bytes_max);
  }

 private:
  template <class Request, class Response>
  void set_paused(const Request& request, v1::Event event, Reply<Response> reply) {
    if (request.reason().size() > kReasonBytesMax)
      return reply(invalid_argument(fmt::format("a reason has at most {} bytes", kReasonBytesMax)));
    auto row = parts_.journal->run(request.run_id());
    if (!row) return reply(std::move(row).error());
    if (row->ended) return reply(failed_precondition(fmt::format("run {} has ended", row->id)));
    say(*row, inputs::to_hold(std::move(event), with_run(std::move(reply))));
  }

  void say(const memory::RunRow& row, inputs::Request request) {
    shard_of(row.partition).input(row.id, std::move(request));
  }

  // Schedules belong to partition 0.
  SchedulerWorld scheduler_world() {
    auto begin_run = [this](const ScheduledRun& run, Reply<v1::RunsSubmitResponse> reply) {
      v1::RunsSubmitRequest request;
      request.set_workflow_hash(run.hash);
      request.set_request_id(run.request_id);
      begin(request, run.scheduled_for.time_since_epoch().count(), std::move(reply));
    };
    auto cancel_run = [this](const std::string& run_id, const std::string& reason) {
      v1::RunsCancelRequest request;
      request.set_run_id(run_id);
      request.set_reason(reason);
      cancel(request, [](const Result<v1::RunsCancelResponse>&) {});
    };
    return {*parts_.journal,
            *parts_.clock,
            shard_of(0).loop(),
            claims_.epoch(0),
            begin_run,
            cancel_run,
            [this](const std::string& run_id, std::weak_ptr<Watcher> watcher) {
              return watch(run_id, std::move(watcher));
            }};
  }

  Error line_is_full() const {
    return resource_exhausted(
               fmt::format("{} runs are at work and {} wait for their turn, which is the limit; try again when some "
                           "have begun",
                           admission_.runs_at_work(), admission_.runs_waiting()))
        .with("limit", "runs_queued_max")
        .with("retry_after_ms", fmt::format("{}", admission_.pace().count() / 1'000));
  }

  // For a run that begins at once, since somebody waits for it: counts it among the active ones, or says why none is
  // taken now.
  Status take_place() {
    WEFT_RETURN_IF_ERROR(admits());
    if (admission_.runs_waiting() >= options_.config.limits.runs_queued_max) return line_is_full();
    ++work_.runs;
    return {};
  }

  PrepareWorld prepare_world() {
    return {options_.config.limits, *parts_.journal, registry_, routes_, *parts_.clock, *parts_.entropy};
  }

  Shard& shard_of(std::uint32_t partition) { return *shards_[partition % shards_.size()]; }

  EngineParts parts_;
  EngineOptions options_;
  Routes routes_;
  tools::Secrets secrets_;
  KnownSecrets known_secrets_;
  Registry registry_;
  history::Summaries summaries_;
  history::StoreQueries queries_;
  Subscriptions subscriptions_;
  WaitReasons wait_reasons_;
  StorageStall storage_stall_;
  admission::Admission admission_;
  admission::Policy policy_;
  struct Work {
    std::atomic<std::size_t> runs = 0;        // Active.
    std::atomic<std::size_t> tool_calls = 0;  // Under way.
  } work_;
  memory::Claims claims_;  // Before the shards run.
  memory::Maintenance* maintenance_ = parts_.journal->maintenance();
  bool recovered_ = false;
  bool stopped_ = false;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> leaving_ = false;
  std::unique_ptr<Pools> pools_ = std::make_unique<Pools>();
  // Ends after the shards: then those at work know that nobody waits for them.
  tools::ToolThreads tool_threads_{options_.config.limits.tool_threads};
  std::vector<std::unique_ptr<Shard>> shards_;
  std::optional<Scheduler> scheduler_;
  std::unique_ptr<Admin> admin_;
  LateInputs late_inputs_;  // Last: its threads use the rest.
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(EngineParts parts, EngineOptions options) {
  auto engine = std::make_unique<LiveEngine>(std::move(parts), std::move(options));
  WEFT_RETURN_IF_ERROR(engine->recover());
  return engine;
}

}  // namespace weft::engine
