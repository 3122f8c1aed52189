// Small rules of the core, each a pure function.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/time.h"
#include "weft/v1/value.pb.h"
#include "workflows/workflow.h"

namespace weft::run {

// How long to wait before attempt `used` + 1: doubled from `backoff_min` up to `backoff_max`, then spread over its
// upper half by a hash of `seed`, so that many runs do not come back at one instant and a replay waits the same.
Duration backoff(const workflows::Retry& retry, std::uint32_t used, std::string_view seed);

// A server that asks for a longer pause than this is not waited for.
inline constexpr std::int64_t kRetryAfterUsMax = 600'000'000;

// Whether a failure of this kind is tried again at all (`retry.on` where it is given).
bool retries(const workflows::Retry& retry, v1::ErrorKind kind);

// Whether the agent is told to answer in JSON: any shape but none and plain text.
bool asks_for_json(const workflows::Step& step);

// H(lineage, path, tool, arguments, generation): no attempt and no position is in it.
std::string idempotency_key(std::string_view lineage, std::string_view path, std::string_view tool,
                            std::string_view arguments, std::uint32_t generation);

}  // namespace weft::run
