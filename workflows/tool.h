// What a tool promises about the world, and the tools that a workflow declares for itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "workflows/expression/expression.h"
#include "workflows/shape.h"

namespace weft::workflows {

// What a call may do to the world; a tool that declares nothing counts as kWrite.
enum class Effect : std::uint8_t { kPure, kRead, kIdempotent, kWrite };
constexpr bool changes_world(Effect effect) { return effect == Effect::kIdempotent || effect == Effect::kWrite; }

// What becomes of a call of which it is not known whether it was done.
enum class OnDoubt : std::uint8_t {
  kAsk,    // It waits for `weft resolve`.
  kRetry,  // It leaves again, with the same key: at least once.
  kSkip,   // The run goes on without its result: at most once.
  kFail,   // Its step fails with kind in_doubt.
};

// A tool that is called about a call of another one. Names in `args`: args and call of that call, and its output where
// it is undone.
struct Counterpart {
  std::string tool;
  std::optional<Template> args;  // None: the arguments of that call.
};

struct ToolPolicy {
  Effect effect = Effect::kWrite;
  OnDoubt on_doubt = OnDoubt::kAsk;
  bool repeatable = false;                   // An identical call within one step instance is another effect.
  Duration key_ttl{std::chrono::hours(24)};  // How long the other side knows a key again.
  std::optional<Template> key{};             // In place of the key that weft derives. Names: args, call.
  std::optional<Counterpart> verify{};       // Asked first where a call is in doubt; changes nothing.
  std::optional<Counterpart> undo{};         // Called where the run fails or is cancelled after this one was done.
};

// How calls of a tool may run beside each other.
struct Concurrency {
  std::optional<Template> key;  // None: all calls of the tool count together.
  std::uint32_t limit = 0;      // 0: none.
  bool share = false;           // Equal calls at one time are one: tools that change nothing.
};

// One HTTP request a call. Names in the templates: args, call.
struct HttpBinding {
  std::string method;  // "GET"
  Template url;        // Scheme and host are literal; values are percent-encoded where they stand.
  std::vector<std::pair<std::string, Template>> headers;
  std::string bearer;            // The name of the secret that is sent as a bearer token; empty: none.
  std::optional<Template> json;  // The body.
  bool sends_key = false;        // As the header Idempotency-Key.
  Duration timeout{std::chrono::seconds(60)};
};

// A tool of `tools:`.
struct Tool {
  std::string name;
  std::string description;
  Shape input;
  ToolPolicy policy;
  Concurrency concurrency;
  HttpBinding http;
};

// The names that templates of tools use, and their values.
class NamedValues final : public Environment {
 public:
  void set(std::string name, Json value);
  const Json* name(std::string_view root) const override;
  const Json* step(std::string_view, std::string_view) const override { return nullptr; }
  Budget* budget() const override { return budget_; }
  void spend_out_of(Budget* budget) { budget_ = budget; }  // Null: evaluation has its own limits alone.

 private:
  std::map<std::string, Json, std::less<>> values_;
  Budget* budget_ = nullptr;
};
// `args` and `call.{key,id}`.
NamedValues call_names(Json args, std::string key, std::string id);

}  // namespace weft::workflows
