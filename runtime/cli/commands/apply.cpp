// `weft apply`: versions of workflows, registered with an engine.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/cli/connect/consent.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/submission.h"

namespace weft::cli {
namespace {

struct ApplyValues {
  std::vector<std::string> files;
};

Options describe(ApplyValues& values) {
  return {
      required("FILE", "Workflows", &values.files),
  };
}

Exit apply_files(const Context& context, const ApplyValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kAct));
  // All are checked before any is registered.
  std::vector<Submission> checked;
  for (const std::string& file : values.files) {
    WEFT_COMMAND_TRY(context, checked.emplace_back(), read_submission(context, place, file));
  }
  WEFT_COMMAND_TRY(context, const auto target, open_engine(place));
  Json list = Json::array();
  for (Submission& submission : checked) {
    WEFT_COMMAND_TRY(context, const v1::Workflow workflow, apply(*target, submission));
    list.push_back(workflow_json(workflow));
    if (context.terminal.is_text()) {
      context.terminal.out_line(
          fmt::format("{}  version {}  {}", workflow.name(), workflow.version(), workflow.hash()));
      if (workflow.has_schedule()) {
        context.terminal.err_line(fmt::format("{} starts by itself: {} ({}); `weft schedule show {}`", workflow.name(),
                                              workflow.schedule().schedule(), workflow.schedule().zone(),
                                              workflow.name()));
      }
    }
  }
  if (!context.terminal.is_text()) {
    Json json = Json::object();
    json["workflows"] = std::move(list);
    context.terminal.out_line(to_text(json));
  }
  return Exit::kOk;
}

}  // namespace

Command apply_command() {
  return {"apply", Group::kFiles, "Register a version of each workflow",
          [] { return bound<ApplyValues>(describe, apply_files); }};
}

}  // namespace weft::cli
