// One call of a tool, as its events fold into it. Private to this room.
//
//   planned ─► commanded ─► started (its intent is recorded) ─► ended
//                              └─► in doubt ─► verifying ─► resolved ─► ended, or started again
#pragma once

#include <cstdint>
#include <string>

#include "tools/tool.h"
#include "weft/v1/event.pb.h"
#include "workflows/workflow.h"

namespace weft::run {

// One call of a tool within a turn, or the one call of a `tool` step.
struct ToolCallState {
  std::string tool;  // Empty: the agent has no such tool.
  std::string wire_name;
  const workflows::ToolPolicy* policy = nullptr;  // Null where the call is refused.
  tools::Effect effect = tools::Effect::kRead;
  std::string identity;       // The key of its first generation: what makes two calls of one instance the same.
  std::string key;            // Idempotency key; empty where the call is refused.
  std::uint64_t payload = 0;  // Hash of tool and arguments, where the workflow forms its key.
  v1::Content arguments;      // Canonical.
  std::string refusal;        // Why it will not run; empty: it may.
  bool commanded = false;
  bool started = false;
  bool ended = false;
  std::uint32_t sendings = 0;
  std::int64_t resend_due_us = 0;  // 0: not put off.
  v1::ToolOutcome outcome = v1::TOOL_OUTCOME_UNSPECIFIED;
  bool nothing_done = false;

  // Between intent and result, where it is not known what was done:
  bool in_doubt = false;
  bool lost = false;   // Weft itself stopped.
  bool asked = false;  // It has not left: the fork asks first.
  bool verifying = false;
  std::uint32_t verifications = 0;
  std::string doubt;                                       // Why.
  v1::Resolution resolution = v1::RESOLUTION_UNSPECIFIED;  // Decided; the end that follows from it is due.
  v1::Content resolved;

  bool open_effect() const { return started && !ended && tools::changes_world(effect); }
  void end_doubt() {
    in_doubt = lost = asked = false;
    resolution = v1::RESOLUTION_UNSPECIFIED;
  }
};

// In doubt, and `verify` has said that it was not done: it leaves again, or has failed.
inline bool is_undone(const ToolCallState& call) {
  return call.in_doubt && !call.ended && call.resolution == v1::RESOLUTION_RETRY;
}
// In doubt no more: what became of it is known, and its end is due.
inline bool is_settled(const ToolCallState& call) {
  return call.resolution != v1::RESOLUTION_UNSPECIFIED && call.resolution != v1::RESOLUTION_RETRY;
}
// Of a call that left, of a tool which this server does not offer.
const workflows::ToolPolicy& unknown_policy();

}  // namespace weft::run
