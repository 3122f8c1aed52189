// Workflows as a store keeps them: loaded from their files, with the tools that they were checked against.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "memory/journal/journal.h"
#include "runtime/run/tool_table.h"
#include "tools/tool.h"
#include "weft/v1/workflows.pb.h"
#include "workflows/loader.h"

namespace weft::history {

workflows::Bundle from_wire(const v1::Bundle& bundle);
// The shape of its arguments; nothing where its schema is none.
std::optional<workflows::Shape> shape_of(const tools::ToolSpec& spec);
// What the core and the checker know of tools. REQUIRES: their schemas are shapes.
run::ToolTable tool_table(const std::vector<const tools::ToolSpec*>& specs);
// The workflow of a run, to be read and not to be run: no model or secret is refused. Errors: NOT_FOUND; DATA_LOSS;
// FAILED_PRECONDITION where this version cannot load it with these tools. Blocks on the store.
Result<std::shared_ptr<const workflows::Workflow>> load_workflow(const memory::Reader& reader,
                                                                 const memory::RunRow& run,
                                                                 const std::vector<const tools::ToolSpec*>& tools);

}  // namespace weft::history
