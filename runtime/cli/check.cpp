#include <fmt/format.h>

#include "base/bytes.h"
#include "runtime/cli/checking.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/files.h"
#include "runtime/cli/place.h"
#include "runtime/cli/target.h"

namespace weft::cli {
namespace {

// What the checker says of one file: here, or where a server was named, there.
Result<v1::WorkflowsCheckResponse> check(const Context& context, const Place& place, const std::string& file,
                                         const CheckOptions& options) {
  WEFT_TRY(const workflows::Bundle bundle, read_bundle(file));
  if (!place.server.empty()) {
    v1::WorkflowsCheckRequest request;
    *request.mutable_bundle() = to_message(bundle);
    request.set_strict(options.strict);
    return connect(place.server)->check(request);
  }
  const Strictness strictness = options.strict ? Strictness::kStrict : Strictness::kUsual;
  const auto loaded = workflows::load(bundle, world_of(place.config, context.environment, strictness));
  v1::WorkflowsCheckResponse response;
  for (auto& diagnostic : to_messages(loaded.diagnostics)) *response.add_diagnostics() = std::move(diagnostic);
  if (loaded.workflow) response.set_hash(loaded.workflow->hash);
  return response;
}

}  // namespace

Exit execute(const Context& context, const CheckOptions& options) {
  WEFT_COMMAND_TRY(context, const Place place, find_place(context.global, context.environment, context.folder));
  std::vector<v1::Diagnostic> all;
  bool valid = true;
  Exit unread = Exit::kOk;
  for (const std::string& file : options.files) {
    const auto result = check(context, place, file, options);
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

}  // namespace weft::cli
