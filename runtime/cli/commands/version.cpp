// `weft version`.
#include "runtime/cli/version.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "runtime/cli/grammar/command.h"

namespace weft::cli {
namespace {

struct VersionValues {};

Options describe(VersionValues&) { return {}; }

Exit version(const Context& context, const VersionValues&) {
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

}  // namespace

Command version_command() {
  return {"version", Group::kServe, "Print which weft this is", [] { return bound<VersionValues>(describe, version); }};
}

}  // namespace weft::cli
