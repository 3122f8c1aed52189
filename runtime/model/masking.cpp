#include "runtime/model/masking.h"

namespace weft::model {
namespace {

void mask(Answer& answer, const SecretMask& secrets) {
  if (answer.finish == Finish::kLength) {
    secrets.mask_cut(answer.turn.text);
  } else {
    secrets.mask(answer.turn.text);
  }
  if (answer.turn.reasoning) secrets.mask_cut(*answer.turn.reasoning);
  for (ToolCall& call : answer.turn.tool_calls) {
    secrets.mask_cut(call.id);
    secrets.mask_cut(call.name);
    secrets.mask_body(call.arguments);
  }
  secrets.mask_cut(answer.finish_reason);
  secrets.mask_cut(answer.model);
  secrets.mask_cut(answer.request_id);
}

}  // namespace

void mask(Outcome& outcome, const SecretMask& secrets) {
  if (secrets.empty()) return;
  if (auto* answer = std::get_if<Answer>(&outcome)) return mask(*answer, secrets);
  Failure& failure = std::get<Failure>(outcome);
  secrets.mask_cut(failure.message);
  secrets.mask_cut(failure.partial_text);
  secrets.mask_cut(failure.request_id);
}

void MaskedProgress::operator()(Stream stream, std::string_view piece) {
  if (!on_progress_) return;
  const std::string shown = (stream == Stream::kText ? text_ : reasoning_).feed(piece);
  if (!shown.empty()) on_progress_(stream, shown);
}

void MaskedProgress::finish() {
  if (!on_progress_) return;
  if (const std::string rest = reasoning_.finish(); !rest.empty()) on_progress_(Stream::kReasoning, rest);
  if (const std::string rest = text_.finish(); !rest.empty()) on_progress_(Stream::kText, rest);
}

}  // namespace weft::model
