// The commands, one file each (those that start runs share start.cpp).
#pragma once

#include <string>

#include "runtime/cli/exit_code.h"
#include "runtime/cli/options.h"
#include "runtime/cli/terminal.h"
#include "runtime/engine/config.h"

namespace weft::cli {

// What a command stands on.
struct Context {
  Terminal& terminal;
  const engine::Getenv& environment;
  const Global& global;
  std::string folder;  // The current one, absolute.
};

Exit execute(const Context& context, const RunOptions& options);
Exit execute(const Context& context, const SubmitOptions& options);
Exit execute(const Context& context, const ServeOptions& options);
Exit execute(const Context& context, const ApplyOptions& options);
Exit execute(const Context& context, const WorkflowsOptions& options);
Exit execute(const Context& context, const WaitOptions& options);
Exit execute(const Context& context, const OutputOptions& options);
Exit execute(const Context& context, const RunsOptions& options);
Exit execute(const Context& context, const TraceOptions& options);
Exit execute(const Context& context, const EventsOptions& options);
Exit execute(const Context& context, const CheckOptions& options);
Exit execute(const Context& context, const GraphOptions& options);
Exit execute(const Context& context, const CancelOptions& options);
Exit execute(const Context& context, const DbOptions& options);
Exit execute(const Context& context, const DoctorOptions& options);
Exit execute(const Context& context, const StatsOptions& options);
Exit execute(const Context& context, const DrainOptions& options);
Exit execute(const Context& context, const ResolveOptions& options);
Exit execute(const Context& context, const AnswerOptions& options);
Exit execute(const Context& context, const SignalOptions& options);
Exit execute(const Context& context, const HoldOptions& options);
Exit execute(const Context& context, const ScheduleOptions& options);
Exit execute(const Context& context, const RetryOptions& options);
Exit execute(const Context& context, const ForkOptions& options);
Exit execute(const Context& context, const ReplayOptions& options);
Exit execute(const Context& context, const SimOptions& options);
Exit execute(const Context& context, const InitOptions& options);
Exit execute(const Context& context, const VersionOptions& options);

// Prints the error and returns its code.
inline Exit fail(const Context& context, const Error& error) {
  context.terminal.error(error);
  return exit_for(error);
}

}  // namespace weft::cli

// Binds the value of `expr`, or prints its error and returns its exit code from a command. Two statements, as WEFT_TRY.
#define WEFT_COMMAND_TRY(context, declaration, expression) \
  WEFT_COMMAND_TRY_NAMED(context, WEFT_TRY_JOIN(command_result_, __LINE__), declaration, expression)
#define WEFT_COMMAND_TRY_NAMED(context, result, declaration, expression) \
  auto result = (expression);                                            \
  if (!result) return ::weft::cli::fail(context, result.error());        \
  declaration = *std::move(result)
