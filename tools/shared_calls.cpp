#include "tools/shared_calls.h"

#include <utility>

namespace weft::tools {

Place SharedCalls::place_of(std::string_view tool, const workflows::Tool* declared) const {
  return inner_.place_of(tool, declared);
}

Executor::Handle SharedCalls::start(ToolRequest request, OnReply on_reply) {
  const Handle call = ++last_;
  calls_[call].on_reply = std::move(on_reply);
  if (request.share.empty()) {
    const Handle own =
        inner_.start(std::move(request), [this, call](ToolReply reply) { finish(call, std::move(reply)); });
    // Told already, it is no more.
    if (const auto found = calls_.find(call); found != calls_.end()) found->second.own = own;
  } else {
    std::vector<Handle>& waiting = waiting_[request.share];
    waiting.push_back(call);
    if (waiting.size() == 1) {
      std::string share = request.share;
      (void)inner_.start(std::move(request), [this, share = std::move(share)](const ToolReply& reply) {
        const auto told = waiting_.extract(share);
        for (const Handle each : told.mapped()) finish(each, reply);
      });
    }
  }
  return calls_.contains(call) ? call : 0;
}

void SharedCalls::cancel(Handle call) {
  const auto found = calls_.extract(call);
  if (found && found.mapped().own != 0) inner_.cancel(found.mapped().own);
}

void SharedCalls::finish(Handle call, ToolReply reply) {
  auto found = calls_.extract(call);
  if (found) found.mapped().on_reply(std::move(reply));
}

}  // namespace weft::tools
