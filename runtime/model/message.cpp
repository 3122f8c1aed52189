#include "runtime/model/message.h"

namespace weft::model {

std::string_view failure_name(FailureKind kind) {
  switch (kind) {
    case FailureKind::kTransport: return "transport";
    case FailureKind::kStreamClosed: return "stream_closed";
    case FailureKind::kTimeout: return "timeout";
    case FailureKind::kRateLimit: return "rate_limit";
    case FailureKind::kOverloaded: return "overloaded";
    case FailureKind::kServer: return "server";
    case FailureKind::kInvalidRequest: return "invalid_request";
    case FailureKind::kContextOverflow: return "context_overflow";
    case FailureKind::kHistoryContract: return "history_contract";
    case FailureKind::kAuth: return "auth";
    case FailureKind::kQuota: return "quota";
    case FailureKind::kMalformed: return "malformed";
    case FailureKind::kEmptyResponse: return "empty_response";
    case FailureKind::kTruncatedCall: return "truncated_call";
    case FailureKind::kBlocked: return "blocked";
    case FailureKind::kTooLarge: return "too_large";
    case FailureKind::kCancelled: return "cancelled";
  }
  return "unknown";
}

bool is_retryable(FailureKind kind) {
  switch (kind) {
    case FailureKind::kTransport:
    case FailureKind::kStreamClosed:
    case FailureKind::kTimeout:
    case FailureKind::kRateLimit:
    case FailureKind::kOverloaded:
    case FailureKind::kServer:
    case FailureKind::kMalformed:
    case FailureKind::kEmptyResponse:
    case FailureKind::kTruncatedCall: return true;
    case FailureKind::kInvalidRequest:
    case FailureKind::kContextOverflow:
    case FailureKind::kHistoryContract:
    case FailureKind::kAuth:
    case FailureKind::kQuota:
    case FailureKind::kBlocked:
    case FailureKind::kTooLarge:
    case FailureKind::kCancelled: return false;
  }
  return false;
}

}  // namespace weft::model
