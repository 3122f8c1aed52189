#include "runtime/history/stored_workflow.h"

#include <fmt/format.h>

#include "base/check.h"

namespace weft::history {

workflows::Bundle from_wire(const v1::Bundle& bundle) {
  workflows::Bundle result{bundle.file(), bundle.text(), {}};
  for (const v1::BundleFile& file : bundle.files()) result.files.push_back({file.path(), file.content()});
  return result;
}

std::optional<workflows::Shape> shape_of(const tools::ToolSpec& spec) {
  workflows::Diagnostics diagnostics(spec.name);
  // JSON is YAML: the schema goes through the one reader that knows shapes.
  const yaml::NodePtr node = yaml::read(spec.input_schema, diagnostics);
  workflows::Shape shape = node ? workflows::Shape::read(*node, diagnostics) : workflows::Shape();
  if (diagnostics.has_errors()) return std::nullopt;
  return shape;
}

run::ToolTable tool_table(const std::vector<const tools::ToolSpec*>& specs) {
  run::ToolTable table;
  for (const tools::ToolSpec* spec : specs) {
    auto shape = shape_of(*spec);
    WEFT_CHECK(shape.has_value(), "the schema of the tool " + spec->name + " is no shape");
    table.emplace(spec->name, run::ToolFacts{{.effect = spec->effect}, *std::move(shape)});
  }
  return table;
}

Result<std::shared_ptr<const workflows::Workflow>> load_workflow(const memory::Reader& reader,
                                                                 const memory::RunRow& run,
                                                                 const std::vector<const tools::ToolSpec*>& tools) {
  WEFT_TRY(const memory::WorkflowRow stored, reader.workflow_by_hash(run.workflow_hash));
  v1::Bundle bundle;
  if (!bundle.ParseFromString(stored.bundle))
    return data_loss(fmt::format("the files of the workflow {} cannot be read", run.workflow));
  workflows::World checked;
  for (const tools::ToolSpec* spec : tools) checked.tools.push_back({spec->name, spec->input_schema, spec->effect});
  workflows::Loaded loaded = workflows::load(from_wire(bundle), checked);
  if (loaded.workflow) return loaded.workflow;
  for (const workflows::Diagnostic& diagnostic : loaded.diagnostics) {
    return failed_precondition(fmt::format("the workflow {} of run {} is none for this weft: {}:{}: {}", run.workflow,
                                           run.id, diagnostic.file, diagnostic.mark.line, diagnostic.message));
  }
  return internal(fmt::format("the workflow {} cannot be loaded", run.workflow));
}

}  // namespace weft::history
