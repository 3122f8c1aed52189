// What the core reads, and what each event's fold reads: known before the event changes anything.
#include "runtime/run/reads.h"

#include <algorithm>

#include "base/bytes.h"
#include "runtime/run/state.h"

namespace weft::run {
namespace {

constexpr std::string_view kUnread = "unread";  // Detail of an error: the content, by its SHA-256.

}  // namespace

bool is_unread(const Error& error) {
  return std::ranges::any_of(error.details, [](const Detail& detail) { return detail.key == kUnread; });
}

Result<std::shared_ptr<const std::string>> Reads::bytes(const v1::Content& content) {
  if (content.has_blob()) {
    if (const auto held = held_.find(content.blob().sha256()); held != held_.end()) return held->second;
  }
  auto bytes = contents_.bytes(content);
  if (bytes) return bytes;
  Error error = std::move(bytes).error();
  if (!is_unread(error)) error = std::move(error).with(std::string(kUnread), to_hex(content.blob().sha256()));
  if (!failed_) failed_ = error;
  return error;
}

Status Reads::hold(const v1::Content& content) {
  if (!content.has_blob()) return {};
  auto read = bytes(content);
  if (read) held_[content.blob().sha256()] = *std::move(read);
  if (auto failed = take_failed()) return *std::move(failed);
  return {};
}

namespace {

// Of calls that may leave again under a key which the workflow forms from their arguments.
Status hold_keys(Reads& contents, const Execution& execution) {
  for (const ToolCallState& call : execution.calls) {
    if (call.ended || call.policy == nullptr || !call.policy->key) continue;
    WEFT_RETURN_IF_ERROR(contents.hold(call.arguments));
  }
  return {};
}

Status hold_keys(Reads& contents, const Scope& scope) {
  for (const StepState& step : scope.steps) {
    for (const Slot& slot : step.slots) {
      for (const Execution* execution :
           {slot.execution.get(), slot.resume_point ? slot.resume_point->execution.get() : nullptr}) {
        if (execution == nullptr) continue;
        WEFT_RETURN_IF_ERROR(hold_keys(contents, *execution));
        if (execution->inner) WEFT_RETURN_IF_ERROR(hold_keys(contents, *execution->inner));
      }
    }
  }
  return {};
}

}  // namespace

Status Run::State::hold_contents(const v1::Event& event, const Execution* execution) {
  switch (event.kind_case()) {
    case v1::Event::kRunSubmitted: return contents.hold(event.run_submitted().input_json());
    case v1::Event::kRunRetried:
    case v1::Event::kRunForked: return hold_keys(contents, *top);
    case v1::Event::kAttemptStarted:
      if (event.attempt_started().kind() != v1::STEP_KIND_TOOL) return {};
      return contents.hold(event.attempt_started().input());
    case v1::Event::kModelCallEnded:
      for (const v1::RequestedCall& call : event.model_call_ended().calls())
        WEFT_RETURN_IF_ERROR(contents.hold(call.arguments()));
      return {};
    case v1::Event::kToolCallStarted:
      if (!is_planned(execution->calls[event.call() - 1], event.tool_call_started()))
        WEFT_RETURN_IF_ERROR(contents.hold(event.tool_call_started().arguments()));
      return hold_keys(contents, *execution);
    case v1::Event::kToolCallEnded:
    case v1::Event::kToolCallVerified:
    case v1::Event::kToolCallResolved:
    case v1::Event::kTimerFired: return execution == nullptr ? Status() : hold_keys(contents, *execution);
    default: return {};
  }
}

}  // namespace weft::run
