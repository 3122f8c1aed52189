// What is said to a run too late: answers to questions that are not open any more, signals to runs that have ended.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/engine/api.h"

namespace weft::engine {

// What becomes of one: the run's own events say. The same answer again is acknowledged; ALREADY_EXISTS for another one,
// OUT_OF_RANGE after the question's time, FAILED_PRECONDITION where it is over, NOT_FOUND where none was put.
Result<v1::RunsAnswerResponse> past_answer(const Reading& reading, const std::string& run_id,
                                           const v1::RunsAnswerRequest& request);

// A signal to a run that is not at work any more: one that had come is acknowledged again, another one is
// FAILED_PRECONDITION.
Result<v1::RunsSignalResponse> past_signal(const Reading& reading, const std::string& run_id,
                                           const v1::RunsSignalRequest& request);

}  // namespace weft::engine
