#include "tools/http_executor.h"

#include <utility>

#include "base/check.h"

namespace weft::tools {

HttpExecutor::HttpExecutor(HttpClient& http, Secrets secrets, Masks masks)
    : http_(http), secrets_(std::move(secrets)), masks_(std::move(masks)) {}

HttpExecutor::~HttpExecutor() {
  for (const auto& [handle, request] : std::exchange(under_way_, {})) http_.cancel(request);
}

Place HttpExecutor::place_of(std::string_view, const workflows::Tool* declared) const {
  return declared == nullptr ? Place::kNowhere : Place::kRemote;
}

Executor::Handle HttpExecutor::start(ToolRequest request, OnReply on_reply) {
  WEFT_CHECK(request.declared != nullptr, "no workflow declares the tool");
  auto call = make_http_call(*request.declared, request, secrets_);
  auto secrets = masks_();
  if (!call) {
    std::string why = std::move(call).error().message;
    secrets->mask_cut(why);
    on_reply({ToolStatus::kFailed, std::move(why)});
    return 0;
  }
  // Two ways lead to an answer, and one of them only where the request could not even be begun.
  auto shared = std::make_shared<OnReply>(std::move(on_reply));
  const Handle handle = ++last_;
  auto sink = make_http_sink(*call, std::move(secrets), [this, handle, shared](ToolReply reply) {
    under_way_.erase(handle);
    (*shared)(std::move(reply));
  });
  const auto started = http_.start(std::move(call->request), std::move(sink));
  if (!started) {
    (*shared)({ToolStatus::kFailed, started.error().message});
    return 0;
  }
  under_way_.emplace(handle, *started);
  return handle;
}

void HttpExecutor::cancel(Handle call) {
  if (const auto request = under_way_.extract(call)) http_.cancel(request.mapped());
}

}  // namespace weft::tools
