// `weft check`: every mistake of workflow files.
#include <fmt/format.h>

#include "base/bytes.h"
#include "runtime/cli/connect/consent.h"
#include "runtime/cli/connect/target.h"
#include "runtime/cli/files.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/render/checking.h"

namespace weft::cli {
namespace {

struct CheckValues {
  std::vector<std::string> files;
  bool strict = false;
};

Options describe(CheckValues& values) {
  return {
      required("FILE", "Workflows", &values.files),
      flag("--strict", "Treat warnings as errors", &values.strict),
  };
}

// What the checker says of one file: here, or where a server was named, there.
Result<v1::WorkflowsCheckResponse> check(const Context& context, const Place& place, const std::string& file,
                                         const CheckValues& values) {
  WEFT_TRY(const workflows::Bundle bundle, read_bundle(file));
  if (!place.server.empty()) {
    v1::WorkflowsCheckRequest request;
    *request.mutable_bundle() = to_message(bundle);
    request.set_strict(values.strict);
    return connect(place.server, place.token)->call(&engine::Api::check, request);
  }
  const Strictness strictness = values.strict ? Strictness::kStrict : Strictness::kUsual;
  const auto loaded = workflows::load(bundle, world_of(place.config, context.environment, strictness));
  v1::WorkflowsCheckResponse response;
  for (auto& diagnostic : to_messages(loaded.diagnostics)) *response.add_diagnostics() = std::move(diagnostic);
  if (loaded.workflow) response.set_hash(loaded.workflow->hash);
  return response;
}

Exit check_files(const Context& context, const CheckValues& values) {
  WEFT_COMMAND_TRY(context, const Place place, place_for(context, Use::kRead));
  std::vector<v1::Diagnostic> all;
  bool valid = true;
  Exit unread = Exit::kOk;
  for (const std::string& file : values.files) {
    const auto result = check(context, place, file, values);
    if (!result) {
      unread = fail(context, result.error());  // The other files are checked all the same.
      continue;
    }
    const v1::WorkflowsCheckResponse& checked = *result;
    all.insert(all.end(), checked.diagnostics().begin(), checked.diagnostics().end());
    valid = valid && !checked.hash().empty();
    if (context.terminal.is_text() && !checked.hash().empty()) {
      context.terminal.out_line(fmt::format("{}: valid  {}", printable(file), checked.hash()));
    }
  }
  print_diagnostics(all, context.terminal);
  return valid && !has_errors(all) ? unread : Exit::kUsage;
}

}  // namespace

Command check_command() {
  return {"check", Group::kFiles, "Find every mistake of workflow files in one pass",
          [] { return bound<CheckValues>(describe, check_files); }};
}

}  // namespace weft::cli
