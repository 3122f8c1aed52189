// Calls of the tools that a workflow declares with `http:`: one call is one request, and what comes back says what is
// known of its effect.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/http.h"
#include "base/secret_mask.h"
#include "tools/tool.h"

namespace weft::tools {

// The value of a secret, read at the moment of a call. NOT_FOUND or PERMISSION_DENIED with a sentence.
using Secrets = std::function<Result<std::string>(const std::string& name)>;

struct HttpToolCall {
  HttpRequest request;
};

// The request of one call. Errors: INVALID_ARGUMENT (a template cannot be evaluated), and those of `secrets`.
Result<HttpToolCall> make_http_call(const workflows::Tool& tool, const ToolRequest& request, const Secrets& secrets);

// Collects the response to `call`, with `secrets` masked in it; `done` comes once, unless the request is cancelled.
//   nothing was sent, or 4xx but for the four below   failed: nothing was done
//   408 409 425 429                                   declined: later, with the same key
//   3xx, 5xx, or no whole answer                      unknown
std::unique_ptr<HttpSink> make_http_sink(const HttpToolCall& call, std::shared_ptr<const SecretMask> secrets,
                                         std::move_only_function<void(ToolReply)> done);

}  // namespace weft::tools
