// What the core must know of tools: their effect and the shape of their arguments. Plain values.
#pragma once

#include <map>
#include <string>

#include "tools/tool.h"
#include "workflows/shape.h"

namespace weft::run {

struct ToolFacts {
  tools::Effect effect = tools::Effect::kWrite;
  workflows::Shape input;
};

// By weft's name. Immutable.
using ToolTable = std::map<std::string, ToolFacts, std::less<>>;

}  // namespace weft::run
