#include "runtime/cli/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/admission/fair_queue.h"
#include "runtime/cli/files.h"
#include "runtime/cli/grammar/inputs.h"
#include "runtime/cli/render/checking.h"
#include "runtime/cli/render/figures.h"
#include "runtime/engine/registry.h"
#include "runtime/history/stored_workflow.h"

namespace weft::cli {
namespace {

Result<Submission> from_loaded(const Context& context, const std::string& file, workflows::Loaded loaded) {
  const auto diagnostics = to_messages(loaded.diagnostics);
  if (context.terminal.is_text()) print_diagnostics(diagnostics, context.terminal);
  Submission submission;
  submission.workflow = std::move(loaded.workflow);
  if (submission.workflow) {
    submission.name = submission.workflow->name;
    return submission;
  }
  const auto errors = static_cast<std::size_t>(
      std::ranges::count_if(diagnostics, [](const auto& item) { return item.severity() != v1::SEVERITY_WARNING; }));
  Error error = invalid_argument(fmt::format("{} has {}", file, counted(errors, "error")));
  for (const auto& item : diagnostics) {
    error.details.push_back({fmt::format("{}:{}:{}", item.file(), item.line(), item.column()), item.message()});
  }
  return error;
}

struct AppliedVersion {
  std::string hash;
  workflows::Loaded loaded;
};

Result<AppliedVersion> load_applied(const Context& context, const Place& place, Target& target,
                                    const v1::WorkflowsGetRequest& request) {
  WEFT_TRY(const v1::WorkflowsGetResponse found, target.call(&engine::Api::get_workflow, request));
  auto world = world_of(place.config, context.environment, Strictness::kUsual);
  world.refuse_model = nullptr;  // It was checked when it was applied, where it will run.
  return AppliedVersion{found.workflow().hash(), workflows::load(history::from_wire(found.bundle()), world)};
}

}  // namespace

void add_start_options(StartValues& values, Options& options) {
  options.push_back(
      option("-i,--input", "NAME=VALUE", "An input; also NAME=@FILE, and NAME=- for standard input", &values.inputs));
  options.push_back(option("--label", "NAME=VALUE", "A label of the run", &values.labels));
  options.push_back(
      between(-admission::kPriorityMax, admission::kPriorityMax,
              option("--priority", "N",
                     "-100 to 100; among runs that wait for their turn a higher one begins first; 0 by default",
                     &values.priority)));
  options.push_back(not_empty(option("--request-id", "ID", "The same id gives the same run", &values.request_id)));
  options.push_back(
      option("--root", "DIR", "The folder that fs.* tools see; the current one by default", &values.root));
}

Option sim_option(StartValues& values) {
  return option("--sim", "SCRIPT", "Simulated models, which need no account; SCRIPT says what they answer",
                &values.sim);
}

Option wait_option(bool& wait) {
  return flag("--wait", "Follow the run to its end; runs it here where no server is", &wait);
}

Result<Submission> read_submission(const Context& context, const Place& place, const std::string& file) {
  WEFT_TRY(const workflows::Bundle bundle, read_bundle(file));
  const auto world = world_of(place.config, context.environment, Strictness::kUsual);
  WEFT_TRY(Submission submission, from_loaded(context, file, workflows::load(bundle, world)));
  submission.bundle = to_message(bundle);
  return submission;
}

Result<Submission> find_submission(const Context& context, const Place& place, Target& target,
                                   const std::string& name) {
  v1::WorkflowsGetRequest request;
  request.set_name(name);
  WEFT_TRY(AppliedVersion found, load_applied(context, place, target, request));
  WEFT_TRY(Submission submission, from_loaded(context, name, std::move(found.loaded)));
  submission.hash = std::move(found.hash);
  return submission;
}

Submission unread_submission(const std::string& name) {
  Submission submission;
  submission.name = name;
  return submission;
}

Result<std::shared_ptr<const workflows::Workflow>> find_version(const Context& context, const Place& place,
                                                                Target& target, const std::string& hash) {
  v1::WorkflowsGetRequest request;
  request.set_hash(hash);
  WEFT_TRY(AppliedVersion found, load_applied(context, place, target, request));
  return std::move(found.loaded.workflow);
}

Status add_inputs(const StartValues& values, Submission& submission) {
  if (submission.workflow) {
    WEFT_TRY(const Json given, read_inputs(*submission.workflow, values.inputs));
    WEFT_TRY(const Json inputs, workflows::check_inputs(*submission.workflow, given));
    submission.request.set_input_json(to_text(inputs));
  } else {
    WEFT_TRY(const auto texts, read_input_texts(values.inputs));
    for (const auto& [name, text] : texts) {
      auto* added = submission.request.add_input_texts();
      added->set_key(name);
      added->set_value(text);
    }
  }
  for (const std::string& text : values.labels) {
    WEFT_TRY(auto pair, split_pair(text, "--label"));
    auto* label = submission.request.add_labels();
    label->set_key(pair.first);
    label->set_value(pair.second);
  }
  submission.request.set_request_id(values.request_id);
  submission.request.set_priority(values.priority);
  return {};
}

Result<v1::Workflow> apply(Target& target, Submission& submission) {
  v1::WorkflowsApplyRequest request;
  *request.mutable_bundle() = submission.bundle;
  WEFT_TRY(v1::WorkflowsApplyResponse applied, target.call(&engine::Api::apply, request));
  submission.hash = applied.workflow().hash();
  return std::move(*applied.mutable_workflow());
}

Result<v1::RunsSubmitResponse> submit(Target& target, Submission& submission) {
  if (submission.hash.empty() && submission.workflow) {
    if (const auto applied = apply(target, submission); !applied) return applied.error();
  }
  submission.request.set_workflow(submission.name);
  submission.request.set_workflow_hash(submission.hash);
  return target.call(&engine::Api::submit, submission.request);
}

}  // namespace weft::cli
