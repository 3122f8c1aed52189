#include "runtime/engine/request_validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/admission/fair_queue.h"
#include "runtime/engine/api.h"
#include "workflows/input_text.h"

namespace weft::engine {
namespace {

constexpr std::size_t kLabelBytesMax = 256;
constexpr std::size_t kTraceparentBytesMax = 256;
constexpr std::size_t kByBytesMax = 256;

}  // namespace

bool is_token(std::string_view text, std::size_t bytes_max) {
  return text.size() <= bytes_max && std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

Status check_request(const v1::RunsSubmitRequest& request, const EngineLimits& limits) {
  if (!is_token(request.request_id(), kRequestIdBytesMax)) {
    return invalid_argument(
        fmt::format("request_id is 1 to {} printable ASCII bytes without spaces", kRequestIdBytesMax));
  }
  if (!is_token(request.traceparent(), kTraceparentBytesMax)) {
    return invalid_argument(fmt::format(
        "traceparent is at most {} printable ASCII bytes, as W3C Trace Context writes it", kTraceparentBytesMax));
  }
  if (request.labels_size() > history::kLabelsMax) {
    return resource_exhausted(
               fmt::format("a run has {} labels; the limit is {}", request.labels_size(), history::kLabelsMax))
        .with("limit", "labels_max");
  }
  for (const v1::Label& label : request.labels()) {
    if (label.key().empty() || label.key().size() + label.value().size() > kLabelBytesMax) {
      return invalid_argument(fmt::format("a label has a key and at most {} bytes", kLabelBytesMax));
    }
  }
  if (request.by().size() > kByBytesMax) {
    return invalid_argument(fmt::format("`by` has {} bytes; the limit is {}", request.by().size(), kByBytesMax));
  }
  if (request.priority() < -admission::kPriorityMax || request.priority() > admission::kPriorityMax) {
    return invalid_argument(fmt::format("a priority of {}: it is from -{} to {}", request.priority(),
                                        admission::kPriorityMax, admission::kPriorityMax));
  }
  std::size_t input_bytes = request.input_json().size();
  for (const v1::Label& text : request.input_texts()) input_bytes += text.key().size() + text.value().size();
  if (input_bytes > limits.input_bytes_max) {
    return resource_exhausted(
               fmt::format("the input has {} bytes; the limit is {}", input_bytes, limits.input_bytes_max))
        .with("limit", "input_bytes_max");
  }
  return {};
}

Result<Json> given_inputs(const v1::RunsSubmitRequest& request, const workflows::Workflow& workflow) {
  WEFT_TRY(Json given, parse_untrusted(request.input_json().empty() ? "{}" : request.input_json()));
  if (!given.is_object()) return given;  // check_inputs() refuses it.
  for (const v1::Label& text : request.input_texts()) {
    WEFT_TRY(const workflows::Input* const input, workflows::find_input(workflow, text.key()));
    if (given.contains(text.key())) return invalid_argument(fmt::format("input \"{}\" is given twice", text.key()));
    WEFT_TRY(given[text.key()], workflows::read_input(*input, text.value()));
  }
  return given;
}

std::string payload_digest(const v1::RunsSubmitRequest& request, std::string_view hash, std::string_view input) {
  Sha256 digest;
  digest.update(fmt::format("{}:{}", hash, input.size()));
  digest.update(input);
  for (const v1::Label& label : request.labels()) {
    digest.update(fmt::format("{}:{}{}:{}", label.key().size(), label.key(), label.value().size(), label.value()));
  }
  // One token's request id is not another's: a run belongs to who started it.
  if (request.by_token()) digest.update("by:" + request.by());
  return to_hex(view(digest.finish()));
}

Result<v1::RunsResolveRequest> checked_resolution(const v1::RunsResolveRequest& request) {
  v1::RunsResolveRequest checked = request;
  switch (request.resolution()) {
    case v1::RESOLUTION_DONE:
    case v1::RESOLUTION_RETRY:
    case v1::RESOLUTION_SKIP:
    case v1::RESOLUTION_UNKNOWN: break;
    default: return invalid_argument("a call in doubt is resolved as done, retry, skip or unknown");
  }
  if (request.reason().empty() || request.reason().size() > kReasonBytesMax) {
    return invalid_argument(
        fmt::format("say how that is known: a resolution has a reason of 1 to {} bytes, which is kept with the run",
                    kReasonBytesMax));
  }
  if (request.new_key() && request.resolution() != v1::RESOLUTION_RETRY)
    return invalid_argument("a new key is for a call that leaves again: for retry alone");
  if (!request.output_json().empty() && request.resolution() != v1::RESOLUTION_DONE)
    return invalid_argument("an output is the result of a call that was done: for done alone");
  if (request.resolution() == v1::RESOLUTION_DONE) {
    WEFT_TRY(const Json output, parse_untrusted(request.output_json().empty() ? "null" : request.output_json()));
    checked.set_output_json(to_text(output));
  }
  return checked;
}

std::string without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(kBlanks) + 1 - first));
}

Result<v1::RunsSignalRequest> checked_signal(const v1::RunsSignalRequest& request) {
  if (!is_token(request.name(), kSignalNameBytesMax) || request.name().empty()) {
    return invalid_argument(
        fmt::format("a signal has a name of 1 to {} printable ASCII bytes without spaces", kSignalNameBytesMax));
  }
  if (!is_token(request.signal_id(), kRequestIdBytesMax)) {
    return invalid_argument(
        fmt::format("signal_id is 1 to {} printable ASCII bytes without spaces", kRequestIdBytesMax));
  }
  WEFT_TRY(const Json payload, parse_untrusted(request.payload_json().empty() ? "null" : request.payload_json()));
  v1::RunsSignalRequest checked = request;
  checked.set_payload_json(to_text(payload));
  return checked;
}

}  // namespace weft::engine
