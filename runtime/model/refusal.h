// What a server means when it does not answer: HTTP statuses and error bodies, as one kind of failure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/http.h"
#include "base/json.h"
#include "runtime/model/message.h"

namespace weft::model {

struct Refusal {
  FailureKind kind = FailureKind::kServer;
  std::string message;  // The server's own words, cut to kRefusalBytesMax and printable.
};
inline constexpr std::size_t kRefusalBytesMax = 2048;

// A response with a status that is not 2xx. `body` may be JSON, text, HTML or nothing.
Refusal read_refusal(int status, std::string_view body);
// An `error` member inside a stream or inside a response with status 200.
Refusal read_error_event(const Json& error);

// `retry-after-ms`, or `retry-after` in seconds or as a date (then against the response's own `date`); nothing where it
// is absent or cannot be read. At most a day.
std::optional<Duration> read_retry_after(const HttpHead& head);
// The server's name for the request, empty where it gives none.
std::string read_request_id(const HttpHead& head);

}  // namespace weft::model
