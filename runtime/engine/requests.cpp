#include "runtime/engine/requests.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/engine/api.h"
#include "runtime/engine/line.h"

namespace weft::engine {
namespace {

constexpr std::size_t kLabelBytesMax = 256;
constexpr std::size_t kTraceparentBytesMax = 256;

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
  if (request.labels_size() > kLabelsMax) {
    return resource_exhausted(fmt::format("a run has {} labels; the limit is {}", request.labels_size(), kLabelsMax))
        .with("limit", "labels_max");
  }
  for (const v1::Label& label : request.labels()) {
    if (label.key().empty() || label.key().size() + label.value().size() > kLabelBytesMax) {
      return invalid_argument(fmt::format("a label has a key and at most {} bytes", kLabelBytesMax));
    }
  }
  if (request.priority() < -kPriorityMax || request.priority() > kPriorityMax) {
    return invalid_argument(
        fmt::format("a priority of {}: it is from -{} to {}", request.priority(), kPriorityMax, kPriorityMax));
  }
  if (request.input_json().size() > limits.input_bytes_max) {
    return resource_exhausted(fmt::format("the input has {} bytes; the limit is {}", request.input_json().size(),
                                          limits.input_bytes_max))
        .with("limit", "input_bytes_max");
  }
  return {};
}

std::string payload_digest(const v1::RunsSubmitRequest& request, std::string_view hash, std::string_view input) {
  Sha256 digest;
  digest.update(fmt::format("{}:{}", hash, input.size()));
  digest.update(input);
  for (const v1::Label& label : request.labels()) {
    digest.update(fmt::format("{}:{}{}:{}", label.key().size(), label.key(), label.value().size(), label.value()));
  }
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

}  // namespace weft::engine
