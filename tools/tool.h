// The contract of a tool: what it promises about the world, and one call of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "workflows/tool.h"

namespace weft::tools {

using workflows::changes_world;
using workflows::Effect;
std::string_view effect_name(Effect effect);

struct ToolSpec {
  std::string name;          // `[a-z][a-z0-9_]*` with at most one dot.
  std::string description;   // What a model reads.
  std::string input_schema;  // JSON Schema (draft-07) of the arguments: canonical bytes.
  Effect effect = Effect::kWrite;
  bool operator==(const ToolSpec&) const = default;
};

// One call. `arguments` are canonical JSON that fits the schema.
struct ToolRequest {
  std::string tool;
  std::string arguments;
  std::string key;      // The idempotency key.
  std::string id = {};  // Names the call, for `call.id`.
  // As the workflow declares it; null: it is the server's own. Outlives start() of an executor.
  const workflows::Tool* declared = nullptr;
  // Whether it may leave now: asked where it leaves later than it was started. Thread-safe; empty: it may.
  std::function<bool()> may_leave = {};
  // Calls with the same name at one time may be one; empty: it is its own.
  std::string share = {};
};

enum class ToolStatus : std::uint8_t {
  kDone,      // `output` is the result.
  kFailed,    // The tool says that it did not work, and that nothing was done; `output` says why.
  kDeclined,  // It did not work now, which proves nothing; asked again, it is with the same key.
  kUnknown,   // Whether it was done is not known.
};

struct ToolReply {
  ToolStatus status = ToolStatus::kDone;
  std::string output;   // JSON (kDone), or a sentence (otherwise).
  int http_status = 0;  // 0: none came.
};

// Set when nobody waits for the call any more. Thread-safe.
using Cancelled = std::atomic<bool>;

// Thread-safe; run() may block and is called on a pool thread. Neither throws.
class Tool {
 public:
  virtual ~Tool() = default;
  virtual const ToolSpec& spec() const = 0;
  virtual ToolReply run(const ToolRequest& request, const Cancelled& cancelled) = 0;
  // A tool that only computes, in microseconds, is run where it is called instead of on a pool thread.
  virtual bool is_instant() const { return false; }
};

// The tools that a server offers. Immutable once the engine has it.
class Toolbox {
 public:
  void add(std::unique_ptr<Tool> tool);        // REQUIRES: no tool of that name yet.
  Tool* find(std::string_view name) const;     // Null where there is none.
  std::vector<const ToolSpec*> specs() const;  // By name.

 private:
  std::vector<std::unique_ptr<Tool>> tools_;  // By name.
};

}  // namespace weft::tools
