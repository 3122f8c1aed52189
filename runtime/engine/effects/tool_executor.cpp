#include "runtime/engine/effects/tool_executor.h"

#include <fmt/format.h>

namespace weft::engine {

bool ToolExecutor::is_instant(const workflows::Workflow& workflow, const std::string& tool) const {
  if (workflow.tool(tool) != nullptr) return false;
  const tools::Tool* offered = world_.tools.find(tool);
  return offered != nullptr && offered->is_instant();
}

ToolExecutor::Handle ToolExecutor::start(const workflows::Workflow& workflow, tools::ToolRequest request,
                                         const std::string& id, Sharing sharing, OnReply on_reply) {
  const workflows::Tool* own = workflow.tool(request.tool);
  tools::Tool* offered = own == nullptr ? world_.tools.find(request.tool) : nullptr;
  if (own == nullptr && offered == nullptr) {
    on_reply({{tools::ToolStatus::kFailed, "this server does not offer it"}, 0});
    return 0;
  }
  if (offered != nullptr && offered->is_instant()) {
    const tools::Cancelled never = false;
    on_reply({offered->run(request, never), 0});
    return 0;
  }
  const Handle call = ++last_;
  running_[call].on_reply = std::move(on_reply);
  if (offered != nullptr) {
    run_pooled(*offered, std::move(request), call);
  } else if (own->concurrency.share && sharing == Sharing::kAsDeclared) {
    share(workflow, *own, request, id, call);
  } else {
    const HttpClient::CallId sent =
        this->request(*own, request, id, [this, call](tools::HttpToolReply reply) { finish(call, std::move(reply)); });
    if (sent != 0) running_[call].request = sent;
  }
  return running_.contains(call) ? call : 0;
}

void ToolExecutor::cancel(Handle call) {
  const auto running = running_.extract(call);
  if (!running) return;
  if (running.mapped().cancelled) *running.mapped().cancelled = true;
  if (running.mapped().request != 0) http_.cancel(running.mapped().request);
}

void ToolExecutor::finish(Handle call, tools::HttpToolReply reply) {
  auto running = running_.extract(call);
  if (running) running.mapped().on_reply(std::move(reply));
}

void ToolExecutor::share(const workflows::Workflow& workflow, const workflows::Tool& tool,
                         const tools::ToolRequest& request, const std::string& id, Handle call) {
  const std::string name = fmt::format("{}/{}:{}", workflow.hash, tool.name, request.arguments);
  std::vector<Handle>& waiting = shared_[name];
  waiting.push_back(call);
  if (waiting.size() > 1) return;
  // It goes on where the first that asked is gone: others may have joined. What nobody waits for is small and harmless.
  this->request(tool, request, id, [this, name](const tools::HttpToolReply& reply) {
    const auto shared = shared_.extract(name);
    for (const Handle each : shared.mapped()) finish(each, reply);
  });
}

void ToolExecutor::run_pooled(tools::Tool& tool, tools::ToolRequest request, Handle call) {
  auto reply = std::make_shared<tools::ToolReply>();
  auto cancelled = std::make_shared<tools::Cancelled>(false);
  running_[call].cancelled = cancelled;
  // A thread may be free only after a while, so it asks again.
  loop_.work(
      [&tool, reply, cancelled = std::move(cancelled), request = std::move(request), &journal = world_.journal,
       epoch = world_.claims.epoch(0), secrets = world_.known_secrets.mask()] {
        *reply = journal.may_send(0, epoch)
                     ? tool.run(request, *cancelled)
                     : tools::ToolReply{tools::ToolStatus::kFailed, "the store has another owner"};
        secrets->mask_body(reply->output);
      },
      [this, reply, call] { finish(call, {std::move(*reply), 0}); });
}

HttpClient::CallId ToolExecutor::request(const workflows::Tool& tool, const tools::ToolRequest& request,
                                         const std::string& id, OnReply on_reply) {
  auto call = tools::make_http_call(tool, request, id, world_.secrets);
  auto secrets = world_.known_secrets.mask();
  if (!call) {
    std::string why = std::move(call).error().message;
    secrets->mask_cut(why);
    on_reply({{tools::ToolStatus::kFailed, std::move(why)}, 0});
    return 0;
  }
  // Two ways lead to an answer, and one of them only where the request could not even be begun.
  auto shared = std::make_shared<OnReply>(std::move(on_reply));
  auto sink = tools::make_http_sink(*call, std::move(secrets),
                                    [shared](tools::HttpToolReply reply) { (*shared)(std::move(reply)); });
  const auto started = http_.start(std::move(call->request), std::move(sink));
  if (started) return *started;
  (*shared)({{tools::ToolStatus::kFailed, started.error().message}, 0});
  return 0;
}

}  // namespace weft::engine
