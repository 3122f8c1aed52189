// Runs the tools that a workflow declares with `http:`, one request a call.
#pragma once

#include <map>

#include "base/http.h"
#include "tools/executor.h"
#include "tools/http_tool.h"

namespace weft::tools {

// Loop only. `http` outlives it.
class HttpExecutor final : public Executor {
 public:
  HttpExecutor(HttpClient& http, Secrets secrets, Masks masks);
  ~HttpExecutor() override;  // Cancels what is under way; nobody is told.

  Place place_of(std::string_view tool, const workflows::Tool* declared) const override;
  // REQUIRES: request.declared. The request leaves at once, so that it may leave, its caller has asked.
  Handle start(ToolRequest request, OnReply on_reply) override;
  void cancel(Handle call) override;

 private:
  HttpClient& http_;
  const Secrets secrets_;
  const Masks masks_;
  Handle last_ = 0;
  std::map<Handle, HttpClient::CallId> under_way_;
};

}  // namespace weft::tools
