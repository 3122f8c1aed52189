// Equal calls at one time are one: what a tool only reads is asked for once, and told to all who asked meanwhile.
//
// A shared call is never cancelled: others may have joined it, and may join it yet. What nobody waits for is small and
// harmless.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/executor.h"

namespace weft::tools {

// Loop only. `inner` outlives it.
class SharedCalls final : public Executor {
 public:
  explicit SharedCalls(Executor& inner) : inner_(inner) {}

  Place place_of(std::string_view tool, const workflows::Tool* declared) const override;
  // Calls with the same ToolRequest::share are one; empty: the call is its own.
  Handle start(ToolRequest request, OnReply on_reply) override;
  void cancel(Handle call) override;

 private:
  struct Call {
    OnReply on_reply;
    Handle own = 0;  // With `inner`; 0: it is shared.
  };
  void finish(Handle call, ToolReply reply);

  Executor& inner_;
  Handle last_ = 0;
  std::map<Handle, Call> calls_;
  std::map<std::string, std::vector<Handle>> waiting_;  // By ToolRequest::share.
};

}  // namespace weft::tools
