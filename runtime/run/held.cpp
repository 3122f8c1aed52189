// How much a run is: what it has begun, and the bytes that its state holds, about. The same state gives the same
// number, however it came to be.
#include <fmt/format.h>

#include "runtime/run/state.h"

namespace weft::run {
namespace {

constexpr std::size_t kParsedPerByte = 4;  // A JSON text that is kept parsed as well.
constexpr std::size_t kKeyBytes = 128;     // Beside a key's letters: it stands in a list and in a table.

std::size_t length(const v1::Content& content) {
  return content.has_blob() ? static_cast<std::size_t>(content.blob().size()) : content.inline_().size();
}

std::size_t held(const std::vector<v1::StepResult>& results) {
  std::size_t bytes = 0;
  for (const v1::StepResult& result : results) bytes += sizeof(result) + result.ByteSizeLong();
  return bytes;
}

std::size_t held(const Execution& execution) {
  std::size_t bytes = sizeof(execution) + execution.path.size() + execution.answered_by.size();
  bytes += execution.text.ByteSizeLong() + execution.tool_output.ByteSizeLong() + execution.waiting.ByteSizeLong() +
           execution.failure.ByteSizeLong() + execution.model_failure.ByteSizeLong();
  for (const ToolCallState& call : execution.calls) {
    bytes += sizeof(call) + call.tool.size() + call.wire_name.size() + call.identity.size() + call.key.size() +
             call.refusal.size() + call.doubt.size() + call.arguments.ByteSizeLong() + call.resolved.ByteSizeLong();
  }
  return execution.inner ? bytes + held(*execution.inner) : bytes;
}

}  // namespace

std::size_t held(const Slot& slot) {
  std::size_t bytes = sizeof(slot) + slot.result.ByteSizeLong() + held(slot.inner_results);
  if (slot.execution) bytes += held(*slot.execution);
  if (slot.resume_point) bytes += held(*slot.resume_point->execution) + held(slot.resume_point->inner_before);
  return bytes;
}

std::size_t held(const StepState& step) {
  std::size_t bytes = sizeof(step) + step.result.ByteSizeLong() + kParsedPerByte * length(step.items);
  if (step.result.output_json().has_inline_()) bytes += kParsedPerByte * step.result.output_json().inline_().size();
  for (const std::string& key : step.keys) bytes += 2 * key.size() + kKeyBytes;
  for (const Slot& slot : step.slots) bytes += held(slot);
  return bytes;
}

std::size_t held(const Scope& scope) {
  std::size_t bytes = sizeof(scope) + scope.prefix.size();
  for (const StepState& step : scope.steps) bytes += held(step);
  return bytes;
}

std::size_t held(const v1::SignalReceived& signal) {
  return kKeyBytes + signal.id().size() + signal.payload_json().ByteSizeLong();
}

// What the event's place holds; of a step with elements the element alone where the rest stays as it is.
std::size_t Run::State::held_at(const v1::Event& event, const EventTarget& place) const {
  if (place.step == nullptr) return 0;
  const bool of_step = event.has_fan_out_started() || event.has_step_ended() || event.has_join_met();
  if (of_step || !place.definition->for_each) return held(*place.step);
  return place.slot_index < place.step->slots.size() ? held(place.step->slots[place.slot_index]) : 0;
}

std::size_t Run::State::held_in_all() const {
  std::size_t bytes = kParsedPerByte * length(input_json);
  if (top) bytes += held(*top);
  for (const std::string& id : signal_ids) bytes += kKeyBytes + id.size();
  for (const Signal& signal : signals) bytes += signal.payload.ByteSizeLong();
  return bytes;
}

// Why so many more elements may not begin; nothing: they may.
std::optional<std::string> Run::State::refuse_more(std::uint64_t elements) const {
  if (slots_begun + elements <= limits.slots_max) return std::nullopt;
  return fmt::format(
      "{} more would make {} elements and rounds of this run; the limit is {} (slots_max): several runs can share them",
      elements, slots_begun + elements, limits.slots_max);
}

// Why the state may not grow by so much; nothing: it may.
std::optional<std::string> Run::State::refuse_growth(std::size_t bytes) const {
  if (held_bytes + bytes <= limits.state_bytes_max) return std::nullopt;
  return fmt::format(
      "this run holds {} bytes and would hold {} more; the limit is {} (run_bytes_max): fewer elements, or smaller "
      "outputs of them, take less",
      held_bytes, bytes, limits.state_bytes_max);
}

}  // namespace weft::run
