// Checking a workflow file here, before anything is sent or started.
#pragma once

#include <string>
#include <vector>

#include "runtime/cli/render/terminal.h"
#include "runtime/engine/config.h"
#include "weft/v1/workflows.pb.h"
#include "workflows/loader.h"

namespace weft::cli {

enum class Strictness : std::uint8_t { kUsual, kStrict };

// What the checker must know: the file tools, and the models of the configuration.
workflows::World world_of(const engine::Config& config, const engine::Getenv& environment, Strictness strictness);

std::vector<v1::Diagnostic> to_messages(const std::vector<workflows::Diagnostic>& diagnostics);
// One line each, on stderr; the object of `check -o json` on stdout.
void print_diagnostics(const std::vector<v1::Diagnostic>& diagnostics, Terminal& terminal);
bool has_errors(const std::vector<v1::Diagnostic>& diagnostics);

}  // namespace weft::cli
