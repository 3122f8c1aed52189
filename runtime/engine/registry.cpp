#include "runtime/engine/registry.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "runtime/history/content_store.h"
#include "runtime/history/stored_workflow.h"

namespace weft::engine {

v1::Diagnostic to_wire(const workflows::Diagnostic& diagnostic) {
  v1::Diagnostic result;
  result.set_file(diagnostic.file);
  result.set_line(diagnostic.mark.line);
  result.set_column(diagnostic.mark.column);
  result.set_code(diagnostic.code);
  result.set_severity(diagnostic.severity == workflows::Severity::kError ? v1::SEVERITY_ERROR : v1::SEVERITY_WARNING);
  result.set_message(diagnostic.message);
  result.set_suggestion(diagnostic.suggestion);
  result.set_witness(diagnostic.witness);
  return result;
}

v1::ScheduleSpec to_wire(const workflows::Schedule& schedule) {
  v1::ScheduleSpec wire;
  wire.set_schedule(schedule.cron.text());
  wire.set_zone(schedule.zone);
  // The enumerations have one order.
  wire.set_overlap(static_cast<v1::ScheduleOverlap>(static_cast<int>(schedule.overlap) + 1));
  wire.set_catch_up(static_cast<v1::ScheduleCatchUp>(static_cast<int>(schedule.catch_up) + 1));
  wire.set_catch_up_us(schedule.within.count());
  return wire;
}

Registry::Registry(memory::Journal& journal, const tools::Toolbox& tools, const Routes& routes, Refuse refuse_secret,
                   const Clock& clock)
    : journal_(journal),
      pins_(tools.specs()),
      routes_(routes),
      refuse_secret_(std::move(refuse_secret)),
      clock_(clock) {}

Result<workflows::Loaded> Registry::check(const v1::Bundle& wire, bool strict, Origin origin) const {
  return check(wire, strict, origin, *pins_.offered());
}

Result<workflows::Loaded> Registry::check(const v1::Bundle& wire, bool strict, Origin origin,
                                          const history::RunTools& tools) const {
  if (static_cast<std::size_t>(wire.files_size()) > workflows::kBundleFilesMax) {
    return resource_exhausted(
               fmt::format("a workflow names {} files; the limit is {}", wire.files_size(), workflows::kBundleFilesMax))
        .with("limit", "bundle_files_max");
  }
  std::size_t bytes = 0;
  for (const v1::BundleFile& file : wire.files()) {
    bytes += file.content().size();
    if (file.content().size() > workflows::kBundleFileBytesMax) {
      return resource_exhausted(fmt::format("the file {} has {} bytes; the limit is {}", printable(file.path()),
                                            file.content().size(), workflows::kBundleFileBytesMax))
          .with("limit", "bundle_file_bytes_max");
    }
  }
  if (bytes > workflows::kBundleBytesMax) {
    return resource_exhausted(
               fmt::format("the files of a workflow have {} bytes; the limit is {}", bytes, workflows::kBundleBytesMax))
        .with("limit", "bundle_bytes_max");
  }
  workflows::World world;
  world.strict = strict;
  for (const tools::ToolSpec& spec : tools.specs()) {
    world.tools.push_back({spec.name, spec.input_schema, spec.effect});
  }
  world.refuse_model = [this](const std::string& model) { return routes_.refuse(model); };
  if (origin == Origin::kSubmitted) world.refuse_secret = refuse_secret_;
  if (origin == Origin::kStored) world.zones = workflows::World::Zones::kTaken;
  return workflows::load(history::from_wire(wire), world);
}

namespace {

v1::Workflow describe(const workflows::Workflow& workflow) {
  v1::Workflow wire;
  wire.set_name(workflow.name);
  wire.set_hash(workflow.hash);
  wire.set_description(workflow.description);
  wire.set_steps(static_cast<std::uint32_t>(workflow.steps.size()));
  if (workflow.schedule) *wire.mutable_schedule() = to_wire(*workflow.schedule);
  for (const workflows::Input& input : workflow.inputs) {
    v1::WorkflowInput& out = *wire.add_inputs();
    out.set_name(input.name);
    out.set_type(input.shape.type().to_text());
    out.set_description(input.description);
    out.set_required(!input.otherwise && !input.shape.type().optional());
  }
  return wire;
}

}  // namespace

void Registry::apply(const v1::WorkflowsApplyRequest& request, Reply<v1::WorkflowsApplyResponse> reply) {
  auto loaded = check(request.bundle(), request.strict());
  if (!loaded) return reply(std::move(loaded).error());
  v1::WorkflowsApplyResponse response;
  for (const workflows::Diagnostic& diagnostic : loaded->diagnostics) *response.add_diagnostics() = to_wire(diagnostic);
  if (!loaded->workflow) {
    Error error =
        invalid_argument(fmt::format("{} has mistakes; `weft check` shows them", printable(request.bundle().file())));
    for (const workflows::Diagnostic& diagnostic : loaded->diagnostics) {
      error.details.push_back(
          {fmt::format("{}:{}:{}", diagnostic.file, diagnostic.mark.line, diagnostic.mark.column), diagnostic.message});
    }
    return reply(std::move(error));
  }
  *response.mutable_workflow() = describe(*loaded->workflow);
  memory::WorkflowRow row;
  row.hash = loaded->workflow->hash;
  row.name = loaded->workflow->name;
  row.applied_at = clock_.now();
  row.bundle = request.bundle().SerializeAsString();
  row.summary = response.workflow().SerializeAsString();
  journal_.put_workflow(std::move(row), [this, workflow = loaded->workflow, response = std::move(response),
                                         reply = std::move(reply)](Result<memory::WorkflowRow> put) mutable {
    if (!put) return reply(std::move(put).error());
    keep(workflow->hash, workflow);
    response.mutable_workflow()->set_version(put->version);
    response.mutable_workflow()->set_applied_at_us(put->applied_at.time_since_epoch().count());
    reply(std::move(response));
  });
}

Result<history::RunDefinition> Registry::definition(const std::string& hash) {
  WEFT_TRY(Workflow workflow, by_hash(hash, *pins_.offered()));
  auto tools = pins_.named_in(*workflow);
  return history::RunDefinition{std::move(workflow), std::move(tools)};
}

Result<history::RunDefinition> Registry::definition_of(const memory::RunRow& run) {
  auto workflow = by_hash(run.workflow_hash, *pins_.offered());
  // What does not fit the tools of today may fit those that it was begun with.
  if (!workflow && workflow.error().code != Code::kFailedPrecondition) return std::move(workflow).error();
  if (workflow && !history::names_server_tools(**workflow))
    return history::RunDefinition{*workflow, pins_.named_in(**workflow)};
  WEFT_TRY(auto tools, pins_.recorded(journal_, run.id));
  if (!pins_.are_offered(*tools)) workflow = by_hash(run.workflow_hash, *tools);
  if (!workflow) return std::move(workflow).error();
  return history::RunDefinition{*std::move(workflow), std::move(tools)};
}

Result<Registry::Workflow> Registry::by_hash(const std::string& hash, const history::RunTools& tools) {
  const std::string name = pins_.are_offered(tools) ? hash : fmt::format("{}:{}", hash, tools.digest());
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = kept_.find(name); found != kept_.end()) {
      found->second.used = ++uses_;
      return found->second.workflow;
    }
  }
  const auto row = journal_.workflow_by_hash(hash);
  if (!row) return row.error().code == Code::kNotFound ? row.error() : history::not_read(row.error());
  v1::Bundle bundle;
  if (!bundle.ParseFromString(row->bundle))
    return data_loss(fmt::format("the stored workflow {} cannot be read", hash));
  WEFT_TRY(workflows::Loaded loaded, check(bundle, /*strict=*/false, Origin::kStored, tools));
  if (!loaded.workflow) {
    return failed_precondition(
        fmt::format("the stored workflow {} is refused by this weft: {}", row->name,
                    loaded.diagnostics.empty() ? "" : workflows::to_text(loaded.diagnostics.front())));
  }
  keep(name, loaded.workflow);
  return loaded.workflow;
}

Result<std::string> Registry::resolve(const std::string& name, const std::string& hash) const {
  if (!hash.empty()) {
    {
      const std::lock_guard lock(mutex_);
      if (kept_.contains(hash)) return hash;
    }
    WEFT_TRY(const memory::WorkflowRow row, journal_.workflow_by_hash(hash));
    return row.hash;
  }
  if (name.empty()) return invalid_argument("a submission names no workflow; give `workflow` or `workflow_hash`");
  WEFT_TRY(const memory::WorkflowRow row, journal_.workflow_by_name(name));
  return row.hash;
}

void Registry::keep(const std::string& name, const Workflow& workflow) {
  const std::lock_guard lock(mutex_);
  kept_[name] = {workflow, ++uses_};
  if (kept_.size() <= kLoadedMax) return;
  kept_.erase(std::ranges::min_element(kept_, {}, [](const auto& entry) { return entry.second.used; }));
}

}  // namespace weft::engine
