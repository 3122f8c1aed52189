// Drafts of events and results of steps: how they are made, and what they are called where people read them. Private to
// this room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "weft/v1/event.pb.h"
#include "workflows/workflow.h"

namespace weft::run {

// An event without seq, time and digest.
v1::Event draft(std::string path, std::uint32_t attempt = 0, std::uint32_t turn = 0, std::uint32_t call = 0);
v1::StepResult failed(v1::ErrorKind kind, std::string message, std::uint32_t attempts = 1);
// Succeeded with this output, or failed where it could not be had.
v1::StepResult outcome(Result<v1::Content> output, v1::ErrorKind otherwise = v1::ERROR_KIND_EXPRESSION);
bool has_output(const v1::StepResult& result);
// Whether a failure of this kind is tried again at all (`retry.on` where it is given).
bool retries(const workflows::Retry& retry, v1::ErrorKind kind);
std::string status_name(v1::StepStatus status);
std::string error_name(v1::ErrorKind kind);

}  // namespace weft::run
