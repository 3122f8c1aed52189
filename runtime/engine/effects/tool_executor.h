// Which executor a call of a tool goes to: a workflow's own tool over HTTP, where equal reads are one request, and a
// tool of the server to its threads. Another kind of tool is another executor here.
#pragma once

#include "base/http.h"
#include "base/loop.h"
#include "tools/http_executor.h"
#include "tools/shared_calls.h"
#include "tools/thread_executor.h"

namespace weft::engine {

// Loop only. What it is given outlives it.
class ToolExecutor final : public tools::Executor {
 public:
  ToolExecutor(const tools::Toolbox& offered, tools::ToolThreads& threads, Loop& loop, HttpClient& http,
               const tools::Secrets& secrets, const tools::Masks& masks)
      : threads_(offered, threads, loop, masks), http_(http, secrets, masks) {}

  tools::Place place_of(std::string_view tool, const workflows::Tool* declared) const override;
  Handle start(tools::ToolRequest request, tools::OnReply on_reply) override;
  void cancel(Handle call) override;

 private:
  tools::ThreadExecutor threads_;
  tools::HttpExecutor http_;
  tools::SharedCalls shared_{http_};
};

}  // namespace weft::engine
