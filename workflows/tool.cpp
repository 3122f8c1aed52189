#include "workflows/tool.h"

#include <nlohmann/json.hpp>

namespace weft::workflows {

void NamedValues::set(std::string name, Json value) { values_[std::move(name)] = std::move(value); }

const Json* NamedValues::name(std::string_view root) const {
  const auto found = values_.find(root);
  return found == values_.end() ? nullptr : &found->second;
}

NamedValues call_names(Json args, std::string key, std::string id) {
  NamedValues names;
  names.set("args", std::move(args));
  names.set("call", Json{{"key", std::move(key)}, {"id", std::move(id)}});
  return names;
}

}  // namespace weft::workflows
