// What a run wants of the world. A command is one request that comes back as one event.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>

#include "tools/tool.h"
#include "weft/v1/event.pb.h"
#include "workflows/workflow.h"

namespace weft::run {

// Which call, for ever: the same history gives the same keys, so that issuing one twice is visible.
struct CallKey {
  std::string path;  // The step instance.
  std::uint32_t attempt = 0;
  std::uint32_t turn = 0;  // 0 for the one call of a `tool` step.
  std::uint32_t call = 0;  // Model: which sending of the turn. Tool: which call of the turn.
  auto operator<=>(const CallKey&) const = default;
};

// Answered by ModelCallStarted, then ModelCallEnded or ModelCallFailed; or by CallRefused.
struct ModelCall {
  CallKey key;
  workflows::StepId step = 0;
  bool started = false;  // In outstanding(): its ModelCallStarted is recorded.
};

// Answered by ToolCallStarted, then ToolCallEnded or ToolCallInDoubt.
struct ToolCall {
  CallKey key;
  std::string tool;
  tools::Effect effect = tools::Effect::kWrite;
  std::string idempotency_key;
  v1::Content arguments;  // Canonical JSON.
  bool started = false;
};

// Asks the tool that `verify` names about a call in doubt; Run::question() has the arguments. Answered by
// ToolCallVerified.
struct VerifyCall {
  CallKey key;       // Of the call in doubt.
  std::string tool;  // The one that is asked; it changes nothing.
  std::string idempotency_key;
  std::int64_t due_us = 0;  // Not earlier.
};

// Answered by TimerFired when `due_us` has come.
struct StartTimer {
  CallKey key;
  v1::TimerKind timer = v1::TIMER_KIND_UNSPECIFIED;
  std::int64_t due_us = 0;
  bool of_the_clock = false;  // A time that a workflow names: it has come when the wall clock says so.
};

// What is in flight under this instance and attempt is no longer waited for: timers and reads are dropped; a model call
// that has started is closed and answered with ModelCallFailed, so that its cost is booked; a call with effect goes on.
struct Drop {
  CallKey key;  // `turn` and `call` are 0.
};

using Command = std::variant<ModelCall, ToolCall, VerifyCall, StartTimer, Drop>;

}  // namespace weft::run
