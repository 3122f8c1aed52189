// What the core must know of tools: what they promise about the world and the shape of their arguments. Plain values.
#pragma once

#include <map>
#include <string>

#include "tools/tool.h"
#include "workflows/shape.h"

namespace weft::run {

struct ToolFacts {
  workflows::ToolPolicy policy;
  workflows::Shape input;
};

// By weft's name. Immutable.
using ToolTable = std::map<std::string, ToolFacts, std::less<>>;

}  // namespace weft::run
