// Events of a run written by hand, one sentence each; times pass by 100 ms.
#pragma once

#include <string>
#include <vector>

#include "runtime/history/trace_tree.h"

namespace weft::history {

class Story {
 public:
  void submitted() {
    next("").mutable_run_submitted()->set_workflow("hello");
    tell();
  }
  void attempt_started(const std::string& path, v1::StepKind kind, std::uint32_t attempt = 1) {
    auto& started = *next(path, attempt).mutable_attempt_started();
    started.set_kind(kind);
    started.mutable_input()->set_inline_("Greet Ada\nin one line.");
    tell();
  }
  void attempt_failed(const std::string& path, const std::string& message) {
    next(path, 1).mutable_attempt_failed()->mutable_failure()->set_message(message);
    tell();
  }
  void fan_out(const std::string& path, std::uint32_t count) {
    next(path).mutable_fan_out_started()->set_count(count);
    tell();
  }
  void model_started(const std::string& path, std::uint32_t turn, std::uint32_t sending = 1,
                     std::uint32_t attempt = 1) {
    auto& started = *next(path, attempt, turn, sending).mutable_model_call_started();
    started.set_provider("deepseek");
    started.set_model("deepseek-flash");
    tell();
  }
  void model_ended(const std::string& path, std::uint32_t turn) {
    fill(*next(path, 1, turn, 1).mutable_model_call_ended());
    tell();
  }
  void model_asked_for_tools(const std::string& path, std::uint32_t turn, const std::vector<std::string>& tools) {
    auto& ended = *next(path, 1, turn, 1).mutable_model_call_ended();
    fill(ended);
    for (const auto& tool : tools) {
      auto* call = ended.add_calls();
      call->set_tool(tool);
      call->mutable_arguments()->set_inline_(R"({"path":"a.cpp"})");
    }
    tell();
  }
  void model_failed(const std::string& path, std::uint32_t turn, const std::string& failure, std::uint32_t sending = 1,
                    std::uint32_t attempt = 1) {
    auto& failed = *next(path, attempt, turn, sending).mutable_model_call_failed();
    failed.set_failure(failure);
    failed.set_message("the server said no");
    failed.set_http_status(failure == "lost" ? 0 : 429);
    failed.set_total_us(20'000);
    tell();
  }
  void tool_started(const std::string& path, std::uint32_t turn, std::uint32_t call, const std::string& tool) {
    auto& started = *next(path, 1, turn, call).mutable_tool_call_started();
    started.set_tool(tool);
    started.set_effect(v1::TOOL_EFFECT_READ);
    started.mutable_arguments()->set_inline_(R"({"path":"a.cpp"})");
    tell();
  }
  void tool_ended(const std::string& path, std::uint32_t turn, std::uint32_t call, v1::ToolOutcome outcome,
                  const std::string& output = "\"int main\"") {
    auto& ended = *next(path, 1, turn, call).mutable_tool_call_ended();
    ended.set_outcome(outcome);
    ended.set_total_us(3'000);
    ended.mutable_output()->set_inline_(output);
    tell();
  }
  void tool_in_doubt(const std::string& path, std::uint32_t turn, std::uint32_t call) {
    next(path, 1, turn, call).mutable_tool_call_in_doubt()->set_why("weft crashed meanwhile");
    tell();
  }
  void round_ended(const std::string& path, v1::RoundVerdict verdict) {
    auto& ended = *next(path, 1).mutable_round_ended();
    ended.set_verdict(verdict);
    ended.mutable_result()->set_status(v1::STEP_STATUS_SUCCEEDED);
    tell();
  }
  void element_ended(const std::string& path, std::uint32_t index) {
    auto& ended = *next(path, 1).mutable_element_ended();
    ended.set_index(index);
    ended.mutable_result()->set_status(v1::STEP_STATUS_SUCCEEDED);
    tell();
  }
  void step_ended(const std::string& path, v1::StepStatus status) {
    next(path).mutable_step_ended()->mutable_result()->set_status(status);
    tell();
  }
  void step_failed(const std::string& path, const std::string& message) {
    auto& result = *next(path).mutable_step_ended()->mutable_result();
    result.set_status(v1::STEP_STATUS_FAILED);
    result.mutable_failure()->set_kind(v1::ERROR_KIND_TOOL_FAILED);
    result.mutable_failure()->set_message(message);
    tell();
  }
  void step_skipped(const std::string& path, const std::string& reason, const std::string& cause) {
    auto& ended = *next(path).mutable_step_ended();
    ended.mutable_result()->set_status(v1::STEP_STATUS_SKIPPED);
    ended.mutable_result()->set_reason(reason);
    ended.set_cause(cause);
    tell();
  }
  void chose(const std::string& path, const std::string& chosen, const std::vector<std::string>& targets) {
    auto& ended = *next(path).mutable_step_ended();
    ended.mutable_result()->set_status(v1::STEP_STATUS_SUCCEEDED);
    ended.set_chosen(chosen);
    ended.mutable_targets()->Assign(targets.begin(), targets.end());
    tell();
  }

  const TraceTree& tree() const { return builder_.tree(); }

 private:
  v1::Event& next(const std::string& path, std::uint32_t attempt = 0, std::uint32_t turn = 0, std::uint32_t call = 0) {
    event_.Clear();
    event_.set_seq(++seq_);
    event_.set_at_us(1'000'000'000 + static_cast<std::int64_t>(seq_) * 100'000);
    event_.set_path(path);
    event_.set_attempt(attempt);
    event_.set_turn(turn);
    event_.set_call(call);
    return event_;
  }
  void tell() { builder_.add(event_); }
  static void fill(v1::ModelCallEnded& ended) {
    ended.set_total_us(900'000);
    ended.set_first_token_us(200'000);
    ended.mutable_usage()->set_input_hit(64);
    ended.mutable_usage()->set_input_miss(32);
    ended.mutable_usage()->set_output(12);
    ended.mutable_cost()->set_pico_usd(123'000'000);
    ended.mutable_text()->set_inline_("Hello\nAda");
  }

  std::uint64_t seq_ = 0;
  v1::Event event_;
  TraceBuilder builder_;
};

}  // namespace weft::history
