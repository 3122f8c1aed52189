// An environment of a test: what the program asks for by name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "runtime/engine/config.h"

namespace weft {

inline engine::Getenv variables(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

}  // namespace weft
