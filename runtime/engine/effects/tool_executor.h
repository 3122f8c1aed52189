// Runs calls of tools: the server's own on libuv's pool (or here, where they are instant), a workflow's over HTTP.
// Knows no run and no step.
//
// Loop only. What it is given outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/http.h"
#include "base/loop.h"
#include "runtime/engine/shard/shard_world.h"
#include "tools/http_tool.h"
#include "tools/tool.h"
#include "workflows/workflow.h"

namespace weft::engine {

class ToolExecutor {
 public:
  using Handle = std::uint64_t;
  using OnReply = std::move_only_function<void(tools::HttpToolReply)>;
  // Whether equal calls of a tool that the workflow says may be shared are one request.
  enum class Sharing : std::uint8_t { kNone, kAsDeclared };

  ToolExecutor(const ShardWorld& world, Loop& loop, HttpClient& http) : world_(world), loop_(loop), http_(http) {}

  // Runs in microseconds, where it is called.
  bool is_instant(const workflows::Workflow& workflow, const std::string& tool) const;
  // `id` names the call. `on_reply` is told once, unless the call is cancelled; kFailed where the call could not be
  // begun. 0 where it was told before this returned.
  Handle start(const workflows::Workflow& workflow, tools::ToolRequest request, const std::string& id, Sharing sharing,
               OnReply on_reply);
  void cancel(Handle call);  // 0, and those that were answered, are ignored. A shared request goes on for the others.

 private:
  struct Running {
    OnReply on_reply;
    HttpClient::CallId request = 0;                         // 0: none of its own.
    std::shared_ptr<tools::Cancelled> cancelled = nullptr;  // Of one on the pool.
  };
  void finish(Handle call, tools::HttpToolReply reply);
  void share(const workflows::Workflow& workflow, const workflows::Tool& tool, const tools::ToolRequest& request,
             const std::string& id, Handle call);
  void run_pooled(tools::Tool& tool, tools::ToolRequest request, Handle call);
  // 0 where `on_reply` has been told.
  HttpClient::CallId request(const workflows::Tool& tool, const tools::ToolRequest& request, const std::string& id,
                             OnReply on_reply);

  const ShardWorld& world_;
  Loop& loop_;
  HttpClient& http_;
  Handle last_ = 0;
  std::map<Handle, Running> running_;
  std::map<std::string, std::vector<Handle>> shared_;  // Who waits, by workflow, tool and arguments.
};

}  // namespace weft::engine
