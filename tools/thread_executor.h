// Runs the tools of this process: on threads of their own, or here where they are instant.
#pragma once

#include <memory>

#include "base/loop.h"
#include "tools/executor.h"
#include "tools/tool_threads.h"

namespace weft::tools {

// Loop only. What it is given outlives it; the toolbox outlives the threads.
class ThreadExecutor final : public Executor {
 public:
  ThreadExecutor(const Toolbox& tools, ToolThreads& threads, Loop& loop, Masks masks);
  ~ThreadExecutor() override;  // Cancels what is at work; nobody is told.

  Place place_of(std::string_view tool, const workflows::Tool* declared) const override;
  // A thread may be free only after a while: whether the call may leave is asked on the thread.
  Handle start(ToolRequest request, OnReply on_reply) override;
  void cancel(Handle call) override;

 private:
  struct Calls;
  const Toolbox& tools_;
  ToolThreads& threads_;
  Loop& loop_;
  const Masks masks_;
  const std::shared_ptr<Calls> calls_;
};

}  // namespace weft::tools
