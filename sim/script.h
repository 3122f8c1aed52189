// The script of a simulated model, in YAML. The first rule that matches a request answers it. docs/sim.md describes it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "workflows/diagnostic.h"

namespace weft::sim {

// What a rule may look at: one request, in plain values.
struct Request {
  Json body;
};

// How one request is answered.
struct Reply;

// Immutable, thread-safe.
class Script {
 public:
  static std::shared_ptr<const Script> read(std::string_view yaml, workflows::Diagnostics& diagnostics);
  // Without a script: echoes the last message, and makes JSON that fits the shape it is asked for.
  static std::shared_ptr<const Script> echo();
  virtual ~Script() = default;
};

}  // namespace weft::sim
