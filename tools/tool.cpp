#include "tools/tool.h"

#include <algorithm>

#include "base/check.h"

namespace weft::tools {
namespace {

// The first tool whose name is not before `name`.
template <class Tools>
auto place_of(Tools& tools, std::string_view name) {
  return std::ranges::lower_bound(tools, name, {},
                                  [](const auto& tool) -> std::string_view { return tool->spec().name; });
}

}  // namespace

std::string_view effect_name(Effect effect) {
  switch (effect) {
    case Effect::kPure: return "pure";
    case Effect::kRead: return "read";
    case Effect::kIdempotent: return "idempotent";
    case Effect::kWrite: return "write";
  }
  die("an effect has no name");
}

void Toolbox::add(std::unique_ptr<Tool> tool) {
  const auto place = place_of(tools_, tool->spec().name);
  WEFT_CHECK(place == tools_.end() || (*place)->spec().name != tool->spec().name, "two tools have one name");
  tools_.insert(place, std::move(tool));
}

Tool* Toolbox::find(std::string_view name) const {
  const auto place = place_of(tools_, name);
  return place != tools_.end() && (*place)->spec().name == name ? place->get() : nullptr;
}

std::vector<const ToolSpec*> Toolbox::specs() const {
  std::vector<const ToolSpec*> specs;
  specs.reserve(tools_.size());
  for (const auto& tool : tools_) specs.push_back(&tool->spec());
  return specs;
}

}  // namespace weft::tools
