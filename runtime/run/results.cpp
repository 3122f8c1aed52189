#include "runtime/run/results.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace weft::run {
namespace {

// "STEP_STATUS_SUCCEEDED" without its prefix, in lower case.
std::string lower_name(std::string_view name, std::string_view prefix) {
  std::string text(name.substr(prefix.size()));
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

}  // namespace

v1::StepResult outcome(Result<v1::Content> output, v1::ErrorKind otherwise) {
  if (!output) return failed(otherwise, std::move(output).error().message);
  v1::StepResult result;
  result.set_status(v1::STEP_STATUS_SUCCEEDED);
  *result.mutable_output_json() = *std::move(output);
  return result;
}

v1::Event draft(std::string path, std::uint32_t attempt, std::uint32_t turn, std::uint32_t call) {
  v1::Event event;
  event.set_path(std::move(path));
  event.set_attempt(attempt);
  event.set_turn(turn);
  event.set_call(call);
  return event;
}

v1::StepResult failed(v1::ErrorKind kind, std::string message, std::uint32_t attempts) {
  v1::StepResult result;
  result.set_status(v1::STEP_STATUS_FAILED);
  result.mutable_failure()->set_kind(kind);
  result.mutable_failure()->set_message(std::move(message));
  result.mutable_failure()->set_attempts(attempts);
  return result;
}

bool has_output(const v1::StepResult& result) { return result.has_output_json() || result.has_text(); }

std::string status_name(v1::StepStatus status) {
  // An element that never ended was cancelled with its step.
  return status == v1::STEP_STATUS_UNSPECIFIED ? "cancelled" : lower_name(v1::StepStatus_Name(status), "STEP_STATUS_");
}

std::string error_name(v1::ErrorKind kind) { return lower_name(v1::ErrorKind_Name(kind), "ERROR_KIND_"); }

bool retries(const workflows::Retry& retry, v1::ErrorKind kind) {
  switch (kind) {
    case v1::ERROR_KIND_IN_DOUBT:    // Whether it was done is not known: never again unasked.
    case v1::ERROR_KIND_EXPRESSION:  // The same values give the same error.
    case v1::ERROR_KIND_INPUT:
    case v1::ERROR_KIND_DENIED:
    case v1::ERROR_KIND_DEADLINE:
    case v1::ERROR_KIND_BUDGET: return false;
    default: return retry.on.empty() || std::ranges::find(retry.on, error_name(kind)) != retry.on.end();
  }
}

}  // namespace weft::run
