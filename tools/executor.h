// Where a call of a tool is done, behind one interface: by a thread of this process, over HTTP, or wherever another
// executor takes it. Who asks knows none of them.
//
// Invariants:
//  1. A reply comes exactly once, unless the call is cancelled; then none comes.
//  2. A call does not leave before its turn at what is limited, and then only if it still may (ToolRequest::may_leave).
//  3. Known secrets are masked in whatever comes back.
//
// Loop only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/secret_mask.h"
#include "tools/tool.h"

namespace weft::tools {

// What stands between a call and its result.
enum class Place : std::uint8_t {
  kNowhere,  // Nobody offers the tool.
  kHere,     // It is done in microseconds, within start().
  kThread,   // It blocks a thread of this process.
  kRemote,   // Somebody else does it, and is waited for.
};

using OnReply = std::move_only_function<void(ToolReply)>;
// The secrets that are known now; never null.
using Masks = std::function<std::shared_ptr<const SecretMask>()>;

class Executor {
 public:
  using Handle = std::uint64_t;

  virtual ~Executor() = default;
  // `declared` as in ToolRequest.
  virtual Place place_of(std::string_view tool, const workflows::Tool* declared) const = 0;
  // kFailed where the call cannot be begun. 0 where `on_reply` was told before this returned.
  virtual Handle start(ToolRequest request, OnReply on_reply) = 0;
  // Nobody waits for the call any more; 0, and calls that were answered, are ignored. What has left may be done all the
  // same.
  virtual void cancel(Handle call) = 0;
};

}  // namespace weft::tools
