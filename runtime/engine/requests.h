// What is asked of an engine, before it is believed: limits and forms of the fields of requests.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/engine/config.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

inline constexpr std::size_t kRequestIdBytesMax = 128;
inline constexpr std::size_t kSignalNameBytesMax = 64;
inline constexpr std::size_t kReasonBytesMax = std::size_t{4} << 10;

// Printable ASCII without spaces, at most so much of it.
bool is_token(std::string_view text, std::size_t bytes_max);
// INVALID_ARGUMENT or RESOURCE_EXHAUSTED, naming the field and its limit.
Status check_request(const v1::RunsSubmitRequest& request, const EngineLimits& limits);
// What has to be the same where a request id comes again.
std::string payload_digest(const v1::RunsSubmitRequest& request, std::string_view hash, std::string_view input);
// The request with its output as canonical JSON.
Result<v1::RunsResolveRequest> checked_resolution(const v1::RunsResolveRequest& request);

}  // namespace weft::engine
