#include "driver.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "workflows/yaml.h"

namespace weft::run::testing {

Result<std::shared_ptr<const std::string>> MemoryContents::bytes(const v1::Content& content) {
  if (!content.has_blob()) return std::make_shared<const std::string>(content.inline_());
  if (fails) return unavailable("the disk does not read");
  const auto found = blobs_.find(content.blob().sha256());
  if (found == blobs_.end()) return data_loss("no such blob");
  return found->second;
}

Result<v1::Content> MemoryContents::put(std::string bytes) {
  v1::Content content;
  if (bytes.size() <= inline_max) {
    content.set_inline_(std::move(bytes));
    return content;
  }
  if (bytes.size() > kValueBytesMax) return resource_exhausted("value_bytes_max");
  const std::string digest(view(sha256(bytes)));
  content.mutable_blob()->set_sha256(digest);
  content.mutable_blob()->set_size(bytes.size());
  blobs_[digest] = std::make_shared<const std::string>(std::move(bytes));
  return content;
}

namespace {

constexpr const char* kAnySchema = R"({"type":"object","properties":{"x":{}},"additionalProperties":false})";

workflows::World world() {
  workflows::World world;
  world.tools = {{"t.read", kAnySchema, tools::Effect::kRead},
                 {"t.write", kAnySchema, tools::Effect::kWrite},
                 {"t.pure", kAnySchema, tools::Effect::kPure}};
  return world;
}

void name(const ToolCall& call, v1::Event& started) {
  started.mutable_tool_call_started()->set_tool(call.tool);
  started.mutable_tool_call_started()->set_key(call.idempotency_key);
  started.mutable_tool_call_started()->set_effect(static_cast<v1::ToolEffect>(static_cast<int>(call.effect) + 1));
  *started.mutable_tool_call_started()->mutable_arguments() = call.arguments;
}

}  // namespace

std::shared_ptr<const workflows::Workflow> workflow(const std::string& yaml) {
  workflows::Loaded loaded = workflows::load({"test.yaml", yaml, {}}, world());
  std::string all;
  for (const auto& diagnostic : loaded.diagnostics) all += workflows::to_text(diagnostic) + "\n";
  INFO(all << "\n" << yaml);
  REQUIRE(loaded.workflow);
  return loaded.workflow;
}

const ToolTable& tool_table() {
  static const ToolTable kTable = [] {
    ToolTable table;
    workflows::Diagnostics diagnostics("schema");
    const auto node = yaml::read(kAnySchema, diagnostics);
    const auto shape = workflows::Shape::read(*node, diagnostics);
    table["t.read"] = {{.effect = tools::Effect::kRead}, shape};
    table["t.write"] = {{.effect = tools::Effect::kWrite}, shape};
    table["t.pure"] = {{.effect = tools::Effect::kPure}, shape};
    return table;
  }();
  return kTable;
}

v1::Event answer(std::string text) {
  v1::Event event;
  event.mutable_model_call_ended()->mutable_text()->set_inline_(std::move(text));
  event.mutable_model_call_ended()->mutable_usage()->set_output(1);
  return event;
}

v1::Event calls(std::vector<std::pair<std::string, std::string>> tools_and_arguments) {
  v1::Event event = answer("");
  int number = 0;
  for (auto& [tool, arguments] : tools_and_arguments) {
    v1::RequestedCall& call = *event.mutable_model_call_ended()->add_calls();
    call.set_id("call_" + std::to_string(++number));
    call.set_wire_name(tool);
    call.set_tool(tool_table().contains(tool) ? tool : "");
    call.mutable_arguments()->set_inline_(std::move(arguments));
  }
  return event;
}

v1::Event failure(std::string kind, bool retryable) {
  v1::Event event;
  event.mutable_model_call_failed()->set_failure(std::move(kind));
  event.mutable_model_call_failed()->set_message("scripted");
  event.mutable_model_call_failed()->set_retryable(retryable);
  return event;
}

v1::Event tool_done(std::string json) {
  v1::Event event;
  event.mutable_tool_call_ended()->set_outcome(v1::TOOL_OUTCOME_DONE);
  event.mutable_tool_call_ended()->mutable_output()->set_inline_(std::move(json));
  return event;
}

v1::Event tool_failed(std::string sentence) {
  v1::Event event = tool_done(std::move(sentence));
  event.mutable_tool_call_ended()->set_outcome(v1::TOOL_OUTCOME_FAILED);
  event.mutable_tool_call_ended()->set_nothing_done(true);
  return event;
}

v1::Event tool_declined(std::string sentence) {
  v1::Event event = tool_failed(std::move(sentence));
  event.mutable_tool_call_ended()->set_nothing_done(false);
  return event;
}

v1::Event tool_in_doubt(std::string why) {
  v1::Event event;
  event.mutable_tool_call_in_doubt()->set_why(std::move(why));
  return event;
}

v1::Event verified(v1::Verdict verdict, std::string json) {
  v1::Event event;
  event.mutable_tool_call_verified()->set_verdict(verdict);
  if (verdict == v1::VERDICT_DONE)
    event.mutable_tool_call_verified()->mutable_output_json()->set_inline_(std::move(json));
  return event;
}

Driver::Driver(std::shared_ptr<const workflows::Workflow> workflow, std::uint64_t seed, const Limits& limits)
    : model([](const ModelCall&) { return answer("ok"); }),
      tool([](const ToolCall&) { return tool_done(R"({"done":true})"); }),
      verify([](const VerifyCall&) { return verified(v1::VERDICT_NOT_DONE); }),
      workflow_(std::move(workflow)),
      limits_(limits),
      run_(std::make_unique<Run>(workflow_, tool_table(), *contents_, limits_)),
      random_(seed * 2 + 1) {}

void Driver::admit(v1::Event event) {
  if (rewrite) rewrite(event);
  stamp(event, run_->last_seq(), run_->last_at_us(), run_->digest(), now_us_, 1);
  const Status applied = once_unread([&] { return run_->apply(event); });
  if (!applied) FAIL(applied.error().message << "\n" << event.DebugString());
  if (restored_) {
    const Status as_well = restored_->apply(event);
    if (!as_well) FAIL("restored from a snapshot: " << as_well.error().message << "\n" << event.DebugString());
  }
  events_.push_back(event);
  if (on_event) on_event(event);
}

template <class Act>
auto Driver::once_unread(const Act& act) -> decltype(act()) {
  if (!unread_first_) return act();
  const std::string digest = run_->digest();
  contents_->fails = true;
  auto came = act();
  contents_->fails = false;
  if (came) return came;
  if (!is_unread(came.error())) FAIL(came.error().message);
  REQUIRE(run_->digest() == digest);
  ++unread_;
  return act();
}

std::optional<v1::Event> Driver::decide() {
  little_ = little_ * 6364136223846793005ULL + 1442695040888963407ULL;
  Budget little((little_ >> 33) % 64);
  auto drafted = once_unread([&] { return run_->decide(little); }).value();
  if (!little.over()) return drafted;
  if (drafted) FAIL("beyond its budget, it decides: " << drafted->DebugString());
  ++left_off_;
  return once_unread([&] { return run_->decide(); }).value();
}

void Driver::settle() {
  while (auto decision = decide()) admit(*std::move(decision));
  while (!run_->paused()) {
    auto command = run_->next();
    if (!command) break;
    if (const auto* dropped = std::get_if<Drop>(&*command)) {
      const CallKey key = dropped->key;
      std::vector<Command> kept;
      std::vector<CallKey> closed;
      for (Command& open : in_flight_) {
        const CallKey& other = std::visit([](const auto& c) -> const CallKey& { return c.key; }, open);
        const bool meant = other.path == key.path && other.attempt == key.attempt;
        v1::Event awaited;
        awaited.set_path(other.path);
        awaited.set_attempt(other.attempt);
        awaited.set_turn(other.turn);
        awaited.set_call(other.call);
        const bool question = std::holds_alternative<VerifyCall>(open);
        if (question) awaited.mutable_tool_call_verified();
        if (!question) awaited.mutable_tool_call_ended();
        const bool of_tool = question || std::holds_alternative<ToolCall>(open);
        if (meant && !question && run_->awaits_result(other) != run_->expects(awaited))
          FAIL("it awaits what it does not expect: " << awaited.DebugString());
        if (!meant || (of_tool && run_->expects(awaited))) {
          kept.push_back(std::move(open));
        } else if (std::holds_alternative<ModelCall>(open)) {
          closed.push_back(other);
        }
      }
      in_flight_ = std::move(kept);
      for (const CallKey& other : closed) {
        v1::Event event = failure("cancelled", false);
        event.set_path(other.path);
        event.set_attempt(other.attempt);
        event.set_turn(other.turn);
        event.set_call(other.call);
        if (run_->expects(event)) admit(std::move(event));
      }
    } else {
      const CallKey& key = std::visit([](const auto& c) -> const CallKey& { return c.key; }, *command);
      v1::Event started;
      started.set_path(key.path);
      started.set_attempt(key.attempt);
      started.set_turn(key.turn);
      started.set_call(key.call);
      if (std::holds_alternative<ModelCall>(*command)) started.mutable_model_call_started();
      if (const auto* tool_call = std::get_if<ToolCall>(&*command)) name(*tool_call, started);
      const bool call = started.kind_case() != v1::Event::KIND_NOT_SET;
      const bool wanted = !call || run_->expects(started);
      if (run_->wants(*command) != wanted) FAIL("what it wants is not what it expects: " << started.DebugString());
      if (wanted) in_flight_.push_back(std::move(*command));
      if (call && run_->expects(started)) admit(std::move(started));
    }
    while (auto decision = decide()) admit(*std::move(decision));
  }
  look_beside();
}

void Driver::look_beside() {
  constexpr std::uint32_t kEvery = 7;
  if (run_->paused() || ++settled_ % kEvery != 0) return;
  const std::string snapshot = run_->snapshot();
  REQUIRE(snapshot.empty() == run_->ended());
  if (restored_) {
    const auto decision = restored_->decide().value();
    if (decision) FAIL("restored from a snapshot, it decides: " << decision->DebugString());
    while (restored_->next()) {
      // The run itself has carried it out.
    }
    REQUIRE(restored_->digest() == run_->digest());
    REQUIRE(restored_->state_bytes() == run_->state_bytes());
    REQUIRE(restored_->snapshot() == snapshot);
    if (settled_ % (2 * kEvery) != 0) return;
  }
  if (snapshot.empty()) return;
  restored_ = std::make_unique<Run>(workflow_, tool_table(), *contents_, limits_);
  const Status whole = restored_->restore(snapshot);
  if (!whole) FAIL(whole.error().message);
  REQUIRE(restored_->snapshot() == snapshot);
}

void Driver::submit(const std::string& input_json) {
  v1::Event event;
  v1::RunSubmitted& submitted = *event.mutable_run_submitted();
  submitted.mutable_identity()->set_run_id("run");
  submitted.mutable_identity()->set_lineage("run");
  submitted.set_semantics(kSemantics);
  submitted.set_workflow(workflow_->name);
  submitted.set_workflow_hash(workflow_->hash);
  const auto given = parse_untrusted(input_json);
  REQUIRE(given);
  const auto inputs = workflows::check_inputs(*workflow_, *given);
  if (!inputs) FAIL(inputs.error().message);
  submitted.mutable_input_json()->set_inline_(to_text(*inputs));
  admit(std::move(event));
  settle();
}

void Driver::cancel() {
  v1::Event event;
  event.mutable_cancel_requested();
  admit(std::move(event));
  settle();
}

void Driver::kill() {
  v1::Event event;
  event.mutable_cancel_requested()->set_kill(true);
  admit(std::move(event));
  settle();
}

void Driver::reply(const std::string& path, const std::string& json, const std::string& by) {
  v1::Event event;
  event.set_path(path);
  event.set_attempt(1);
  event.mutable_answered()->mutable_value_json()->set_inline_(json);
  event.mutable_answered()->set_by(by);
  INFO(path);
  REQUIRE(run_->expects(event));
  admit(std::move(event));
  settle();
}

void Driver::signal(const std::string& name, const std::string& json) {
  v1::Event event;
  event.mutable_signal_received()->set_name(name);
  event.mutable_signal_received()->mutable_payload_json()->set_inline_(json);
  admit(std::move(event));
  settle();
}

void Driver::pause() {
  v1::Event event;
  event.mutable_run_paused();
  admit(std::move(event));
}

void Driver::resume() {
  v1::Event event;
  event.mutable_run_resumed();
  admit(std::move(event));
  settle();
}

void Driver::retry() {
  const Status may = run_->may_retry();
  if (!may) FAIL(may.error().message);
  v1::Event event;
  event.mutable_run_retried()->set_reason("once more");
  in_flight_.clear();
  admit(std::move(event));
  settle();
}

void Driver::resolve(v1::Resolution resolution, const std::string& json) {
  const auto doubts = run_->doubts();
  REQUIRE_FALSE(doubts.empty());
  const CallKey& key = doubts.front().key;
  v1::Event event;
  event.set_path(key.path);
  event.set_attempt(key.attempt);
  event.set_turn(key.turn);
  event.set_call(key.call);
  event.mutable_tool_call_resolved()->set_resolution(resolution);
  event.mutable_tool_call_resolved()->set_by(v1::RESOLVED_BY_OPERATOR);
  event.mutable_tool_call_resolved()->set_reason("asked the shop");
  if (resolution == v1::RESOLUTION_DONE) event.mutable_tool_call_resolved()->mutable_output_json()->set_inline_(json);
  REQUIRE(run_->expects(event));
  admit(std::move(event));
  settle();
}

bool Driver::step() {
  if (run_->ended()) return false;
  // Calls come before timers; among calls, and among timers by their time, the seed picks.
  std::vector<std::size_t> open;
  std::optional<std::size_t> timer;
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    if (const auto* due = std::get_if<StartTimer>(&in_flight_[i])) {
      // The engine lets a timeout stand still while its attempt waits for somebody.
      if (due->timer == v1::TIMER_KIND_TIMEOUT && run_->waits(due->key)) continue;
      if (!timer || due->due_us < std::get<StartTimer>(in_flight_[*timer]).due_us) timer = i;
    } else {
      open.push_back(i);
    }
  }
  if (open.empty() && !timer) return false;
  random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
  const std::size_t chosen = open.empty() ? *timer : open[(random_ >> 33) % open.size()];
  const Command command = in_flight_[chosen];
  in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(chosen));
  carry_out(command);
  return true;
}

void Driver::fire(v1::TimerKind timer) {
  for (std::size_t i = 0; i < in_flight_.size(); ++i) {
    const auto* due = std::get_if<StartTimer>(&in_flight_[i]);
    if (due == nullptr || due->timer != timer) continue;
    const Command command = in_flight_[i];
    in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(i));
    return carry_out(command);
  }
  FAIL("no such timer is set");
}

void Driver::carry_out(const Command& command) {
  now_us_ += 1'000;
  v1::Event event;
  if (const auto* call = std::get_if<ModelCall>(&command)) event = model(*call);
  if (const auto* call = std::get_if<ToolCall>(&command)) event = tool(*call);
  if (const auto* question = std::get_if<VerifyCall>(&command)) {
    now_us_ = std::max(now_us_, question->due_us);
    event = verify(*question);
  }
  if (const auto* due = std::get_if<StartTimer>(&command)) {
    now_us_ = std::max(now_us_, due->due_us);
    event.mutable_timer_fired()->set_timer(due->timer);
  }
  const CallKey& key = std::visit([](const auto& c) -> const CallKey& { return c.key; }, command);
  event.set_path(key.path);
  event.set_attempt(key.attempt);
  event.set_turn(key.turn);
  event.set_call(key.call);
  if (run_->expects(event)) admit(std::move(event));
  settle();
}

void Driver::finish() {
  while (step()) {
  }
}

const v1::RunEnded& Driver::end() const {
  REQUIRE(run_->ended());
  return events_.back().run_ended();
}

std::size_t Driver::lost_calls() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      events_, [](const v1::Event& event) { return event.model_call_failed().failure() == "lost"; }));
}

Json Driver::output() {
  REQUIRE(run_->ended());
  if (!end().has_output_json()) return nullptr;
  const auto bytes = contents_->bytes(end().output_json());
  REQUIRE(bytes);
  return *parse_untrusted(**bytes);
}

v1::StepEnded Driver::step_ended(const std::string& path) const {
  std::optional<v1::StepEnded> found;
  for (const v1::Event& event : events_) {
    if (event.path() != path || !event.has_step_ended()) continue;
    INFO(path << " ended twice");
    REQUIRE_FALSE(found);
    found = event.step_ended();
  }
  INFO(path << " has not ended");
  REQUIRE(found);
  return *found;
}

std::string Driver::status(const std::string& path) const {
  const v1::StepEnded ended = step_ended(path);
  std::string status = v1::StepStatus_Name(ended.result().status()).substr(12);
  for (char& c : status) c = static_cast<char>(std::tolower(c));
  if (!ended.result().reason().empty()) status += ":" + ended.result().reason();
  if (ended.result().has_failure()) status += ":" + v1::ErrorKind_Name(ended.result().failure().kind()).substr(11);
  return status;
}

std::size_t Driver::count(v1::Event::KindCase kind) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(events_, [&](const v1::Event& event) { return event.kind_case() == kind; }));
}

std::unique_ptr<Driver> Driver::restarted(std::size_t durable) const {
  auto again = std::make_unique<Driver>(workflow_, random_, limits_);
  again->contents_ = contents_;
  again->run_ = std::make_unique<Run>(workflow_, tool_table(), *contents_, limits_);
  again->model = model;
  again->tool = tool;
  again->verify = verify;
  again->rewrite = rewrite;
  again->now_us_ = now_us_;
  again->unread_first_ = unread_first_;
  for (std::size_t i = 0; i < std::min(durable, events_.size()); ++i) {
    const v1::Event& event = events_[i];
    const Status applied = again->run_->apply(event);
    if (!applied) FAIL(applied.error().message);
    again->events_.push_back(event);
  }
  while (again->run_->next()) {
  }
  for (const Command& command : again->run_->outstanding()) {
    const CallKey& key = std::visit([](const auto& c) -> const CallKey& { return c.key; }, command);
    v1::Event event;
    event.set_path(key.path);
    event.set_attempt(key.attempt);
    event.set_turn(key.turn);
    event.set_call(key.call);
    const auto* model_call = std::get_if<ModelCall>(&command);
    const auto* tool_call = std::get_if<ToolCall>(&command);
    if (model_call != nullptr && model_call->started) {
      *event.mutable_model_call_failed() = failure("lost", false).model_call_failed();
      again->admit(std::move(event));
    } else if (tool_call != nullptr && tool_call->started && tools::changes_world(tool_call->effect)) {
      event.mutable_tool_call_in_doubt()->set_why("killed");
      event.mutable_tool_call_in_doubt()->set_lost(true);
      event.mutable_tool_call_in_doubt()->set_tool(tool_call->tool);
      again->admit(std::move(event));
    } else {
      if (model_call != nullptr) event.mutable_model_call_started();
      if (tool_call != nullptr) name(*tool_call, event);
      if (event.kind_case() != v1::Event::KIND_NOT_SET) again->admit(std::move(event));
      again->in_flight_.push_back(command);
    }
  }
  again->settle();
  return again;
}

}  // namespace weft::run::testing
