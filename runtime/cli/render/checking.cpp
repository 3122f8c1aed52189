#include "runtime/cli/render/checking.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "runtime/cli/render/json_view.h"
#include "runtime/engine/registry.h"
#include "runtime/engine/routing/routes.h"
#include "tools/files.h"

namespace weft::cli {

workflows::World world_of(const engine::Config& config, const engine::Getenv& environment, Strictness strictness) {
  workflows::World world;
  world.strict = strictness == Strictness::kStrict;
  for (const tools::ToolSpec& spec : tools::file_tool_specs()) {
    world.tools.push_back({spec.name, spec.input_schema, spec.effect});
  }
  world.refuse_model = [routes = std::make_shared<const engine::Routes>(config, environment)](
                           const std::string& model) { return routes->refuse(model); };
  world.refuse_secret = [config](const std::string& name) { return engine::refuse_secret(config, name); };
  return world;
}

std::vector<v1::Diagnostic> to_messages(const std::vector<workflows::Diagnostic>& diagnostics) {
  std::vector<v1::Diagnostic> messages;
  for (const auto& diagnostic : diagnostics) messages.push_back(engine::to_wire(diagnostic));
  return messages;
}

void print_diagnostics(const std::vector<v1::Diagnostic>& diagnostics, Terminal& terminal) {
  if (terminal.format() == Format::kNdjson) {
    for (const auto& diagnostic : diagnostics) terminal.out_line(to_text(diagnostic_json(diagnostic)));
    return;
  }
  if (!terminal.is_text()) {
    Json json = Json::object();
    json["diagnostics"] = Json::array();
    for (const auto& diagnostic : diagnostics) json["diagnostics"].push_back(diagnostic_json(diagnostic));
    return terminal.out_line(to_text(json));
  }
  for (const auto& diagnostic : diagnostics) {
    const bool warning = diagnostic.severity() == v1::SEVERITY_WARNING;
    const std::string severity =
        paint(terminal.err_look(), warning ? Colour::kYellow : Colour::kRed, warning ? "warning" : "error");
    terminal.err_line(fmt::format("{}:{}:{}: {}: {} [{}]", printable(diagnostic.file()), diagnostic.line(),
                                  diagnostic.column(), severity, printable(diagnostic.message()), diagnostic.code()));
    if (!diagnostic.suggestion().empty()) terminal.err_line("  " + printable(diagnostic.suggestion()));
  }
}

bool has_errors(const std::vector<v1::Diagnostic>& diagnostics) {
  return std::ranges::any_of(diagnostics,
                             [](const auto& diagnostic) { return diagnostic.severity() != v1::SEVERITY_WARNING; });
}

}  // namespace weft::cli
