#include "runtime/engine/effects/tool_executor.h"

#include <utility>

namespace weft::engine {
namespace {

using Handle = tools::Executor::Handle;

// The last bit of a handle says whose it is.
Handle handle_of(Handle inner, bool declared) { return inner == 0 ? 0 : inner * 2 + (declared ? 1 : 0); }
bool is_declared(Handle handle) { return handle % 2 == 1; }

}  // namespace

tools::Place ToolExecutor::place_of(std::string_view tool, const workflows::Tool* declared) const {
  return declared != nullptr ? shared_.place_of(tool, declared) : threads_.place_of(tool, declared);
}

Handle ToolExecutor::start(tools::ToolRequest request, tools::OnReply on_reply) {
  const bool declared = request.declared != nullptr;
  tools::Executor& executor = declared ? static_cast<tools::Executor&>(shared_) : threads_;
  return handle_of(executor.start(std::move(request), std::move(on_reply)), declared);
}

void ToolExecutor::cancel(Handle call) { is_declared(call) ? shared_.cancel(call / 2) : threads_.cancel(call / 2); }

}  // namespace weft::engine
