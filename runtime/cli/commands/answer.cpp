// `weft answer`: the answer to a question of a run.
#include "runtime/cli/connect/target.h"
#include "runtime/cli/grammar/command.h"
#include "runtime/cli/grammar/shared_options.h"
#include "runtime/cli/one_run.h"

namespace weft::cli {
namespace {

struct AnswerValues {
  std::string run;
  std::string path;
  std::string value;
  std::string by;
};

Options describe(AnswerValues& values) {
  return {
      run_argument(values.run),
      required("PATH", "Of the question: sign_off, check[inv-12], reply/draft", &values.path),
      required("VALUE", "A choice, a text, or JSON for a form", &values.value),
      option("--by", "NAME", "Who answers; kept with the run", &values.by),
  };
}

Exit answer(const Context& context, const AnswerValues& values) {
  WEFT_COMMAND_TRY(context, const auto target, open_existing(context));
  v1::RunsAnswerRequest request;
  request.set_run_id(values.run);
  request.set_path(values.path);
  request.set_text(values.value);
  request.set_by(values.by);
  WEFT_COMMAND_TRY(context, const auto answered, target->call(&engine::Api::answer, request));
  print_run(context, answered.run());
  if (answered.existing()) context.terminal.err_line("it had been answered so before");
  return Exit::kOk;
}

}  // namespace

Command answer_command() {
  return {"answer", Group::kSteer, "Answer a question of a run", [] { return bound<AnswerValues>(describe, answer); }};
}

}  // namespace weft::cli
