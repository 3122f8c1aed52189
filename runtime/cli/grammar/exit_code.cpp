#include "runtime/cli/grammar/exit_code.h"

#include <algorithm>
#include <array>

namespace weft::cli {

Exit exit_for(const Error& error) {
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
    case Code::kAlreadyExists: return Exit::kUsage;
    case Code::kNotFound: return Exit::kNotFound;
    case Code::kUnavailable: return Exit::kUnreachable;
    case Code::kPermissionDenied:
    case Code::kUnauthenticated: return Exit::kNotAllowed;
    case Code::kCancelled: return Exit::kCancelled;
    default: return Exit::kFailed;
  }
}

Exit exit_for(v1::RunStatus status) {
  switch (status) {
    case v1::RUN_STATUS_SUCCEEDED:
    case v1::RUN_STATUS_ABSTAINED:  // An outcome, not a failure.
      return Exit::kOk;
    case v1::RUN_STATUS_LIMITED: return Exit::kLimited;
    case v1::RUN_STATUS_CANCELLED: return Exit::kCancelled;
    case v1::RUN_STATUS_FAILED: return Exit::kFailed;
    default: return Exit::kWaits;
  }
}

Exit graver(Exit a, Exit b) {
  constexpr std::array kOrder{Exit::kUsage,     Exit::kNotFound, Exit::kUnreachable, Exit::kNotAllowed,
                              Exit::kCancelled, Exit::kLimited,  Exit::kWaits,       Exit::kFailed};
  const auto rank = [&](Exit exit) { return std::ranges::find(kOrder, exit) - kOrder.begin(); };
  return rank(a) <= rank(b) ? a : b;
}

}  // namespace weft::cli
