// Errors as gRPC carries them: code, sentence, and `google.rpc.Status` in `grpc-status-details-bin`.
//
// Of an Error's details, a key that ends in ":LINE:COLUMN" becomes a violation of BadRequest, `reason` becomes
// ErrorInfo.reason (otherwise the code's name), `retry_after_ms` becomes RetryInfo, `limit` becomes QuotaFailure; all
// but places are in ErrorInfo.metadata too. Reading it back gives the same Error.
#pragma once

#include <grpcpp/support/status.h>

#include "base/result.h"

namespace weft::server {

inline constexpr std::string_view kErrorDomain = "weft";
// A client takes 8 KiB of trailing metadata by default, so a message and its details are kept well below: what does not
// fit is left out, from the end, and counted in the metadata `details_left_out`.
inline constexpr std::size_t kErrorMessageBytesMax = 1536;
inline constexpr std::size_t kErrorDetailsBytesMax = 3072;

grpc::Status to_grpc(const Error& error);
Error from_grpc(const grpc::Status& status);

}  // namespace weft::server
