// Validation of requests to an engine: the limits and formats of their fields.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"
#include "runtime/engine/config.h"
#include "weft/v1/runs.pb.h"
#include "workflows/workflow.h"

namespace weft::engine {

inline constexpr std::size_t kRequestIdBytesMax = 128;
inline constexpr std::size_t kSignalNameBytesMax = 64;
inline constexpr std::size_t kReasonBytesMax = std::size_t{4} << 10;

// At most `bytes_max` bytes of printable ASCII without spaces.
bool is_token(std::string_view text, std::size_t bytes_max);
// INVALID_ARGUMENT or RESOURCE_EXHAUSTED, naming the field and its limit.
Status check_request(const v1::RunsSubmitRequest& request, const EngineLimits& limits);
// What a run was given: `input_json`, and what was typed for the inputs of `input_texts`. INVALID_ARGUMENT where that
// does not fit; what is missing, workflows::check_inputs says.
Result<Json> given_inputs(const v1::RunsSubmitRequest& request, const workflows::Workflow& workflow);
// Without JSON's white space around it.
std::string without_blanks(std::string_view text);
// A digest of what must be equal where a request id is used again.
std::string payload_digest(const v1::RunsSubmitRequest& request, std::string_view hash, std::string_view input);
// The request with its output as canonical JSON.
Result<v1::RunsResolveRequest> checked_resolution(const v1::RunsResolveRequest& request);

// The request with its payload as canonical JSON.
Result<v1::RunsSignalRequest> checked_signal(const v1::RunsSignalRequest& request);

}  // namespace weft::engine
