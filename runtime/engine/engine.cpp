#include "runtime/engine/engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/engine/held_in.h"
#include "runtime/engine/late.h"
#include "runtime/engine/reading.h"
#include "runtime/engine/replay.h"
#include "runtime/engine/requests.h"
#include "runtime/engine/shard.h"
#include "runtime/engine/store_admin.h"
#include "tools/files.h"
#include "workflows/path.h"

namespace weft::engine {
namespace {

// Whether a workflow may use the secret, and what it is now.
Result<std::string> secret(const EngineOptions& options, const std::string& name) {
  if (auto refusal = refuse_secret(options.config, name)) return permission_denied(*std::move(refusal));
  if (auto value = options.environment(name)) return *std::move(value);
  return not_found(
      fmt::format("the secret {} is not set: set the environment variable {} where weft runs", name, name));
}

class LiveEngine final : public Engine {
 public:
  LiveEngine(EngineParts parts, EngineOptions options)
      : parts_(std::move(parts)),
        options_(std::move(options)),
        table_(tool_table(parts_.tools->specs())),
        routes_(options_.config, options_.environment),
        secrets_([this](const std::string& name) { return secret(options_, name); }),
        registry_(
            *parts_.journal, *parts_.tools, routes_,
            [this](const std::string& name) { return refuse_secret(options_.config, name); }, *parts_.clock),
        reading_(
            *parts_.journal,
            [this](v1::Run& run) {
              places_.describe(run);
              parked_.describe(run);
              frozen_.describe(run);
            },
            *parts_.clock),
        frozen_(options_.config.limits.frozen_bytes_max),
        places_(*parts_.clock),
        order_(options_.config) {
    places_.serve(Places::Service::kCalls);  // Until every run of the store is in line.
  }

  ~LiveEngine() override {
    admin_.reset();
    places_.serve(Places::Service::kNone);
    // The journal calls back into the shards, so they stop, then its queue empties, and then they go.
    for (auto& shard : shards_) shard->stop();
    parts_.journal->drain();
    timekeeper_.reset();
    shards_.clear();
    // What still ran did not bring this engine down.
    if (care_ != nullptr && recovered_) (void)care_->leave();
  }

  Status recover() {
    memory::Left left;
    if (care_ != nullptr) {
      WEFT_TRY(left, care_->left());
    }
    WEFT_TRY(const memory::Epoch epoch, parts_.journal->claim_all());
    for (std::uint32_t i = 0; i < std::max<std::uint32_t>(options_.shards, 1); ++i) {
      shards_.push_back(std::make_unique<Shard>(ShardWorld{*parts_.journal, *parts_.tools, table_, routes_, hub_,
                                                           parked_, frozen_, places_, order_, secrets_, *parts_.clock,
                                                           options_.config.limits, epoch, active_runs_, tool_calls_}));
    }
    timekeeper_.emplace(timekeeper_world(epoch), options_.schedules);
    WEFT_RETURN_IF_ERROR(timekeeper_->load());
    WEFT_TRY(const auto rows, parts_.journal->unfinished());
    Crashes crashes(std::move(left), options_.config.crashes_max, rows.size());
    for (const memory::RunRow& row : rows) {
      auto workflow = registry_.by_hash(row.workflow_hash);
      Status recovered =
          workflow ? shard_of(row.partition).recover(row, *workflow, &crashes) : Status(std::move(workflow).error());
      // One run that cannot be read keeps no other from going on; its events stay as they are.
      if (recovered) continue;
      spdlog::error("run {} is parked: {}", row.id, recovered.error().message);
      parked_.park(row.id, "somebody who looks at it: " + recovered.error().message, Parked::Place::kNone);
    }
    const std::size_t taken_up = active_runs_ + places_.runs_waiting();
    if (taken_up > 0)
      spdlog::info("{} of this store {} on",
                   taken_up == 1 ? "one unfinished run" : fmt::format("{} unfinished runs", taken_up),
                   taken_up == 1 ? "goes" : "go");
    if (care_ != nullptr) WEFT_RETURN_IF_ERROR(care_->count_crashes(crashes.counted()));
    places_.set_alarm([this](Duration delay) { shards_.front()->after(delay, [this] { places_.look(); }); });
    for (auto& shard : shards_) shard->start();
    places_.serve(Places::Service::kAll);
    timekeeper_->start();
    recovered_ = true;
    if (care_ == nullptr) return {};
    admin_ = make_store_admin({*care_, options_.config.retention, frozen_, *parts_.clock, leaving_,
                               [this](Duration patience) { return idle(patience); }, [this] { return admits(); },
                               parked_, places_, tool_calls_});
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

  void apply(const v1::WorkflowsApplyRequest& request, Done<v1::WorkflowsApplyResponse> done) override {
    registry_.apply(request, [this, done = std::move(done)](Result<v1::WorkflowsApplyResponse> applied) mutable {
      if (applied) timekeeper_->applied(applied->workflow());
      done(std::move(applied));
    });
  }

  void submit(const v1::RunsSubmitRequest& request, Done<v1::RunsSubmitResponse> done) override {
    begin(request, 0, std::move(done));
  }

  void begin(const v1::RunsSubmitRequest& request, std::int64_t scheduled_for_us, Done<v1::RunsSubmitResponse> done) {
    auto submission = prepare(request);
    if (!submission) return done(std::move(submission).error());
    if (request.validate_only()) return done(v1::RunsSubmitResponse{});
    if (Status admitted = admits(); !admitted) return done(std::move(admitted).error());
    Shard& shard = shard_of(submission->partition);
    const std::size_t queued_max = options_.config.limits.runs_queued_max;
    const v1::Run run = as_submitted(*submission);
    auto turn = places_.take(
        order_.passenger(run), order_.gates_of_run(run), [&shard, id = submission->run_id] { shard.begin(id); },
        queued_max);
    if (!turn) return done(line_is_full());
    ++active_runs_;
    submission->turn = *std::move(turn);
    submission->scheduled_for_us = scheduled_for_us;
    submission->done = std::move(done);
    shard.submit(*std::move(submission));
  }

  void cancel(const v1::RunsCancelRequest& request, Done<v1::RunsCancelResponse> done) override {
    if (request.reason().size() > kReasonBytesMax) {
      return done(invalid_argument(fmt::format("the reason of a cancel has {} bytes; at most {} are kept",
                                               request.reason().size(), kReasonBytesMax)));
    }
    auto row = parts_.journal->run(request.run_id());
    if (!row) return done(std::move(row).error());
    auto gone_by = [this, id = row->id, done = std::move(done)](Result<v1::RunsCancelResponse> response) mutable {
      if (response || response.error().code != Code::kNotFound) return done(std::move(response));
      // It has ended in the meantime, or is parked.
      v1::RunsGetRequest get;
      get.set_run_id(id);
      auto run = reading_.get_run(get);
      if (!run) return done(std::move(run).error());
      if (run->run().ended_at_us() == 0) {
        return done(failed_precondition(
            fmt::format("run {} is not cancelled: it waits for {}", run->run().id(), run->run().waits_for())));
      }
      v1::RunsCancelResponse over;
      *over.mutable_run() = run->run();
      done(std::move(over));
    };
    if (row->ended) return gone_by(not_found("ended"));
    v1::CancelRequested cancel;
    cancel.set_reason(request.reason());
    cancel.set_kill(request.kill());
    shard_of(row->partition).cancel(row->id, std::move(cancel), std::move(gone_by));
  }

  void resolve(const v1::RunsResolveRequest& request, Done<v1::RunsResolveResponse> done) override {
    auto checked = checked_resolution(request);
    if (!checked) return done(std::move(checked).error());
    auto row = parts_.journal->run(request.run_id());
    if (!row) return done(std::move(row).error());
    if (row->ended) {
      return done(failed_precondition(fmt::format(
          "run {} has ended, so nothing of it is settled any more; its trace tells what was in doubt", row->id)));
    }
    shard_of(row->partition).resolve(row->id, *std::move(checked), std::move(done));
  }

  void answer(const v1::RunsAnswerRequest& request, Done<v1::RunsAnswerResponse> done) override {
    if (request.by().size() > kReasonBytesMax) return done(invalid_argument("`by` is longer than 4,096 bytes"));
    auto row = parts_.journal->run(request.run_id());
    if (!row) return done(std::move(row).error());
    auto told = [this, id = row->id, request, done = std::move(done)](Result<v1::RunsAnswerResponse> answer) mutable {
      const bool open = answer || answer.error().code != Code::kNotFound;
      done(open ? std::move(answer) : past_answer(reading_, id, request));
    };
    if (row->ended) return told(not_found("ended"));
    shard_of(row->partition).answer_question(row->id, request, std::move(told));
  }

  void signal(const v1::RunsSignalRequest& request, Done<v1::RunsSignalResponse> done) override {
    v1::RunsSignalRequest checked = request;
    if (!is_token(request.name(), kSignalNameBytesMax) || request.name().empty())
      return done(invalid_argument(
          fmt::format("a signal has a name of 1 to {} printable ASCII bytes without spaces", kSignalNameBytesMax)));
    if (!is_token(request.signal_id(), kRequestIdBytesMax))
      return done(invalid_argument(
          fmt::format("signal_id is 1 to {} printable ASCII bytes without spaces", kRequestIdBytesMax)));
    auto payload = parse_untrusted(request.payload_json().empty() ? "null" : request.payload_json());
    if (!payload) return done(std::move(payload).error());
    checked.set_payload_json(to_text(*payload));
    auto row = parts_.journal->run(request.run_id());
    if (!row) return done(std::move(row).error());
    auto told = [this, id = row->id, checked, done = std::move(done)](Result<v1::RunsSignalResponse> answer) mutable {
      const bool over = !answer && answer.error().code == Code::kNotFound;
      done(over ? past_signal(reading_, id, checked) : std::move(answer));
    };
    if (row->ended) return told(not_found("ended"));
    shard_of(row->partition).signal(row->id, std::move(checked), std::move(told));
  }

  void retry(const v1::RunsRetryRequest& request, Done<v1::RunsRetryResponse> done) override {
    if (request.reason().size() > kReasonBytesMax)
      return done(invalid_argument(fmt::format("a reason has at most {} bytes", kReasonBytesMax)));
    auto row = parts_.journal->run(request.run_id());
    if (!row) return done(std::move(row).error());
    if (!row->ended) return done(failed_precondition(fmt::format("run {} has not ended", row->id)));
    auto workflow = registry_.by_hash(row->workflow_hash);
    if (!workflow) return done(std::move(workflow).error());
    if (Status taken = take_place(); !taken) return done(std::move(taken).error());
    const std::uint32_t partition = row->partition;
    shard_of(partition).retry(*std::move(row), *std::move(workflow), request.reason(), with_run(std::move(done)));
  }

  void fork(const v1::RunsForkRequest& request, Done<v1::RunsForkResponse> done) override {
    auto start = prepare_fork(request);
    if (!start) return done(std::move(start).error());
    v1::RunsForkResponse response;
    response.set_events_shared(start->past.events.size());
    if (request.validate_only()) return done(std::move(response));
    if (Status taken = take_place(); !taken) return done(std::move(taken).error());
    start->submission.done = [done = std::move(done), response](Result<v1::RunsSubmitResponse> submitted) mutable {
      if (!submitted) return done(std::move(submitted).error());
      response.set_run_id(submitted->run_id());
      response.set_existing(submitted->existing());
      done(std::move(response));
    };
    const std::uint32_t partition = start->submission.partition;
    shard_of(partition).fork(*std::move(start));
  }

  Result<v1::TracesReplayResponse> replay(const v1::TracesReplayRequest& request) const override {
    ReplayWorld world{*parts_.journal, routes_, parts_.tools->specs()};
    // A run may have been another server's, with a root for its files.
    const std::vector<tools::ToolSpec> files = tools::file_tool_specs();
    for (const tools::ToolSpec& spec : files) {
      const bool offered = std::ranges::any_of(world.tools, [&](const auto* own) { return own->name == spec.name; });
      if (!offered) world.tools.push_back(&spec);
    }
    return engine::replay(world, request);
  }

  void pause(const v1::RunsPauseRequest& request, Done<v1::RunsPauseResponse> done) override {
    v1::Event event;
    event.mutable_run_paused()->set_reason(request.reason());
    hold(request, std::move(event), std::move(done));
  }
  void resume(const v1::RunsResumeRequest& request, Done<v1::RunsResumeResponse> done) override {
    v1::Event event;
    event.mutable_run_resumed()->set_reason(request.reason());
    hold(request, std::move(event), std::move(done));
  }

  void pause_schedule(const v1::SchedulesPauseRequest& request, Done<v1::SchedulesPauseResponse> done) override {
    if (request.reason().size() > kReasonBytesMax)
      return done(invalid_argument(fmt::format("a reason has at most {} bytes", kReasonBytesMax)));
    timekeeper_->pause(request, std::move(done));
  }
  void resume_schedule(const v1::SchedulesResumeRequest& request, Done<v1::SchedulesResumeResponse> done) override {
    timekeeper_->resume(request, std::move(done));
  }
  void trigger_schedule(const v1::SchedulesTriggerRequest& request, Done<v1::SchedulesTriggerResponse> done) override {
    timekeeper_->trigger(request, std::move(done));
  }

  Status watch(std::string_view run_id, std::weak_ptr<Watcher> watcher) override {
    hub_.add(run_id, watcher);  // First, so that no advance is missed.
    const auto row = parts_.journal->run(run_id);
    auto run = row ? reading_.outline(*row) : Result<v1::Run>(row.error());
    if (run && row->id != run_id) run = not_found(fmt::format("there is no run '{}'", run_id));
    if (!run || row->ended) hub_.remove(run_id, watcher);
    if (!run) return run.error();
    const bool rests = !row->ended && is_at_rest(run->status());
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

  // Admits nothing more, and waits until no run works; the runs that have not ended.
  std::size_t idle(Duration patience) {
    draining_ = true;
    places_.serve(Places::Service::kCalls);
    const auto until = std::chrono::steady_clock::now() + patience;
    constexpr std::chrono::milliseconds kPoll{10};
    while (active_runs_ > parked_.at_work() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(kPoll);
    const std::size_t left = active_runs_;
    return left - std::min(left, parked_.at_work());
  }

  std::size_t active_runs() const override { return active_runs_; }

  Status admits() const override {
    if (draining_) return unavailable("this weft is stopping and takes no new runs");
    if (auto refusal = frozen_.refusal()) return *std::move(refusal);
    return {};
  }

  Result<v1::WorkflowsGetResponse> get_workflow(const v1::WorkflowsGetRequest& r) const override {
    return reading_.get_workflow(r);
  }
  Result<v1::WorkflowsListResponse> list_workflows(const v1::WorkflowsListRequest& r) const override {
    return reading_.list_workflows(r);
  }
  Result<v1::SchedulesListResponse> list_schedules(const v1::SchedulesListRequest& r) const override {
    WEFT_TRY(auto listed, reading_.list_schedules(r));
    for (v1::Schedule& schedule : *listed.mutable_schedules()) schedule.set_served(timekeeper_->serves());
    return listed;
  }
  Result<v1::SchedulesGetResponse> get_schedule(const v1::SchedulesGetRequest& r) const override {
    WEFT_TRY(auto found, reading_.get_schedule(r));
    found.mutable_schedule()->set_served(timekeeper_->serves());
    return found;
  }
  Result<v1::RunsGetResponse> get_run(const v1::RunsGetRequest& r) const override { return reading_.get_run(r); }
  Result<v1::RunsListResponse> list_runs(const v1::RunsListRequest& r) const override { return reading_.list_runs(r); }
  Result<v1::TracesGetResponse> get_trace(const v1::TracesGetRequest& r) const override {
    return reading_.get_trace(r);
  }
  Result<std::vector<v1::Event>> events(std::string_view run, std::uint64_t from, std::size_t bytes) const override {
    return reading_.events(run, from, bytes);
  }
  Result<std::shared_ptr<const std::string>> content(std::string_view sha256) const override {
    return reading_.content(sha256);
  }

 private:
  template <class Request, class Response>
  void hold(const Request& request, v1::Event event, Done<Response> done) {
    if (request.reason().size() > kReasonBytesMax)
      return done(invalid_argument(fmt::format("a reason has at most {} bytes", kReasonBytesMax)));
    auto row = parts_.journal->run(request.run_id());
    if (!row) return done(std::move(row).error());
    if (row->ended) return done(failed_precondition(fmt::format("run {} has ended", row->id)));
    shard_of(row->partition).hold(row->id, std::move(event), with_run(std::move(done)));
  }

  // Schedules belong to partition 0.
  TimekeeperWorld timekeeper_world(memory::Epoch epoch) {
    auto begin_run = [this](const ScheduledRun& run, Done<v1::RunsSubmitResponse> done) {
      v1::RunsSubmitRequest request;
      request.set_workflow_hash(run.hash);
      request.set_request_id(run.request_id);
      begin(request, run.scheduled_for.time_since_epoch().count(), std::move(done));
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
            epoch,
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
                           places_.runs_at_work(), places_.runs_waiting()))
        .with("limit", "runs_queued_max")
        .with("retry_after_ms", fmt::format("{}", places_.pace().count() / 1'000));
  }

  // For a run that begins at once, since somebody waits for it: counts it among the active ones, or says why none is
  // taken now.
  Status take_place() {
    WEFT_RETURN_IF_ERROR(admits());
    if (places_.runs_waiting() >= options_.config.limits.runs_queued_max) return line_is_full();
    ++active_runs_;
    return {};
  }

  Shard& shard_of(std::uint32_t partition) { return *shards_[partition % shards_.size()]; }

  v1::Run as_submitted(const Submission& submission) const {
    v1::Run run;
    run.set_id(submission.run_id);
    run.set_workflow(submission.workflow->name);
    *run.mutable_labels() = submission.request.labels();
    run.set_priority(submission.request.priority());
    run.set_submitted_at_us(parts_.clock->now().time_since_epoch().count());
    return run;
  }

  Result<ForkStart> prepare_fork(const v1::RunsForkRequest& request) {
    v1::RunsSubmitRequest submit;
    *submit.mutable_labels() = request.labels();
    submit.set_request_id(request.request_id());
    submit.set_input_json(request.input_json());
    WEFT_RETURN_IF_ERROR(check_request(submit, options_.config.limits));
    if (request.from().empty()) return invalid_argument("a fork begins somewhere: name the path of a step in `from`");
    WEFT_TRY(const memory::RunRow source, parts_.journal->run(request.run_id()));
    ForkStart start;
    std::string hash = source.workflow_hash;
    if (!request.workflow().empty() || !request.workflow_hash().empty()) {
      WEFT_TRY(hash, registry_.resolve(request.workflow(), request.workflow_hash()));
    }
    WEFT_TRY(start.submission.workflow, registry_.by_hash(hash));
    if (!request.model().empty()) {
      WEFT_TRY(const Route route, routes_.find(request.model()));
    }
    WEFT_TRY(const auto source_workflow, registry_.by_hash(source.workflow_hash));
    WEFT_TRY(start.past,
             share_past(*parts_.journal, source, request, source_workflow, start.submission.workflow, table_));
    start.own_input = !request.input_json().empty();
    const v1::Content& shared = start.past.events.front().run_submitted().input_json();
    WEFT_TRY(const auto recorded, read_content(shared, *parts_.journal));
    WEFT_TRY(const Json given, parse_untrusted(start.own_input ? request.input_json() : *recorded));
    WEFT_TRY(const Json inputs, workflows::check_inputs(*start.submission.workflow, given));
    start.submission.input = to_text(inputs);
    start.own_input = start.own_input || start.submission.input != *recorded;  // A new definition may have more inputs.
    start.submission.run_id = new_id(parts_.clock->now(), *parts_.entropy);
    start.submission.partition = partition_of(start.submission.run_id);
    start.submission.request_digest =
        payload_digest(submit,
                       fmt::format("{}:{}:{}:{}:{}:{}", hash, source.id, request.from(), request.model(),
                                   static_cast<int>(request.effects()), fmt::join(request.rerun(), ",")),
                       start.submission.input);
    submit.clear_input_json();
    start.submission.request = std::move(submit);
    start.forked.set_source_run(source.id);
    start.forked.set_from(request.from());
    start.forked.set_source_seq(start.past.source_seq);
    for (v1::KeyGeneration& generation : start.past.generations)
      *start.forked.add_generations() = std::move(generation);
    start.forked.set_effects(request.effects() == v1::FORK_EFFECTS_UNSPECIFIED ? v1::FORK_EFFECTS_ASK
                                                                               : request.effects());
    start.forked.set_model(request.model());
    return start;
  }

  static std::uint32_t partition_of(const std::string& run_id) {
    return static_cast<std::uint32_t>(hash64(run_id) % memory::kPartitions);
  }

  Result<Submission> prepare(const v1::RunsSubmitRequest& request) {
    WEFT_RETURN_IF_ERROR(check_request(request, options_.config.limits));
    WEFT_TRY(const std::string hash, registry_.resolve(request.workflow(), request.workflow_hash()));
    Submission submission;
    WEFT_TRY(submission.workflow, registry_.by_hash(hash));
    for (const workflows::Step& step : submission.workflow->steps) {
      const auto* prompt = std::get_if<workflows::PromptBody>(&step.body);
      if (prompt == nullptr) continue;
      // A run whose first call must fail is not begun.
      if (auto route = routes_.find(prompt->agent.model); !route) return std::move(route).error();
    }
    WEFT_TRY(const Json given, parse_untrusted(request.input_json().empty() ? "{}" : request.input_json()));
    WEFT_TRY(const Json inputs, workflows::check_inputs(*submission.workflow, given));
    submission.input = to_text(inputs);
    submission.run_id = new_id(parts_.clock->now(), *parts_.entropy);
    submission.partition = partition_of(submission.run_id);
    submission.request_digest = payload_digest(request, hash, submission.input);
    submission.request = request;
    submission.request.clear_input_json();
    return submission;
  }

  EngineParts parts_;
  EngineOptions options_;
  run::ToolTable table_;
  Routes routes_;
  tools::Secrets secrets_;
  Registry registry_;
  StoreReading reading_;
  Hub hub_;
  Parked parked_;
  Frozen frozen_;
  Places places_;
  Order order_;
  std::atomic<std::size_t> active_runs_ = 0;
  std::atomic<std::size_t> tool_calls_ = 0;  // Under way.
  memory::Care* care_ = parts_.journal->care();
  bool recovered_ = false;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> leaving_ = false;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::optional<Timekeeper> timekeeper_;
  std::unique_ptr<Admin> admin_;
};

}  // namespace

Result<std::unique_ptr<Engine>> Engine::start(EngineParts parts, EngineOptions options) {
  auto engine = std::make_unique<LiveEngine>(std::move(parts), std::move(options));
  WEFT_RETURN_IF_ERROR(engine->recover());
  return engine;
}

}  // namespace weft::engine
