#include "tools/thread_executor.h"

#include <map>
#include <mutex>
#include <utility>

namespace weft::tools {

// Shared with the threads, which may be at a call when its executor is gone.
struct ThreadExecutor::Calls {
  struct Call {
    OnReply on_reply;
    std::shared_ptr<Cancelled> cancelled;
  };
  // The loop's:
  Handle last = 0;
  std::map<Handle, Call> at_work;

  std::mutex mutex;
  Loop* loop = nullptr;  // Guarded by mutex; null when the executor is gone.

  void answer(const std::shared_ptr<Calls>& self, Handle handle, ToolReply reply) {
    const std::lock_guard lock(mutex);
    if (loop == nullptr) return;
    loop->post([self, handle, reply = std::move(reply)]() mutable {
      auto call = self->at_work.extract(handle);
      if (call) call.mapped().on_reply(std::move(reply));
    });
  }
};

ThreadExecutor::ThreadExecutor(const Toolbox& tools, ToolThreads& threads, Loop& loop, Masks masks)
    : tools_(tools), threads_(threads), loop_(loop), masks_(std::move(masks)), calls_(std::make_shared<Calls>()) {
  calls_->loop = &loop_;
}

ThreadExecutor::~ThreadExecutor() {
  {
    const std::lock_guard lock(calls_->mutex);
    calls_->loop = nullptr;
  }
  for (auto& [handle, call] : calls_->at_work) *call.cancelled = true;
  calls_->at_work.clear();
}

Place ThreadExecutor::place_of(std::string_view tool, const workflows::Tool*) const {
  const Tool* offered = tools_.find(tool);
  if (offered == nullptr) return Place::kNowhere;
  return offered->is_instant() ? Place::kHere : Place::kThread;
}

Executor::Handle ThreadExecutor::start(ToolRequest request, OnReply on_reply) {
  Tool* tool = tools_.find(request.tool);
  if (tool == nullptr) {
    on_reply({ToolStatus::kFailed, "this server does not offer it"});
    return 0;
  }
  auto cancelled = std::make_shared<Cancelled>(false);
  if (tool->is_instant()) {
    on_reply(tool->run(request, *cancelled));
    return 0;
  }
  const Handle handle = ++calls_->last;
  calls_->at_work[handle] = {std::move(on_reply), cancelled};
  std::string name = request.tool;
  threads_.run(std::move(name), [tool, handle, calls = calls_, cancelled = std::move(cancelled), masks = masks_(),
                                 request = std::move(request)] {
    // Nobody is told of it; and a call that nobody waits for has no place on a thread.
    if (*cancelled) return;
    ToolReply reply = !request.may_leave || request.may_leave()
                          ? tool->run(request, *cancelled)
                          : ToolReply{ToolStatus::kFailed, "the store has another owner"};
    masks->mask_body(reply.output);
    calls->answer(calls, handle, std::move(reply));
  });
  return handle;
}

void ThreadExecutor::cancel(Handle call) {
  const auto at_work = calls_->at_work.extract(call);
  if (at_work) *at_work.mapped().cancelled = true;
}

}  // namespace weft::tools
