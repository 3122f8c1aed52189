#include "runtime/cli/version.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/commands.h"

namespace weft::cli {

Exit execute(const Context& context, const VersionOptions&) {
  if (context.terminal.is_text()) {
    context.terminal.out_line(fmt::format("weft {}", kVersion));
    return Exit::kOk;
  }
  Json json = Json::object();
  json["version"] = kVersion;
  json["language"] = kLanguageVersion;
  context.terminal.out_line(to_text(json));
  return Exit::kOk;
}

}  // namespace weft::cli
