// The program: what was asked for, what it stands on, and the command that does it.
#include <fcntl.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <variant>

#include "runtime/cli/commands.h"
#include "runtime/cli/options.h"
#include "runtime/cli/terminal.h"
#include "runtime/engine/config.h"

namespace weft::cli {

namespace {

int print(Terminal& terminal, const Answer& answer) {
  terminal.out(answer.out);
  if (!answer.err.empty()) terminal.err_line(std::string_view(answer.err).substr(0, answer.err.size() - 1));
  return answer.exit;
}

int main_command(int count, const char* const* arguments) {
  const engine::Getenv environment = engine::system_environment();
  const auto parsed = parse_arguments(count, arguments);
  if (const auto* answer = std::get_if<Answer>(&parsed)) {
    Terminal terminal(Format::kText, Terminal::Colours::kWhereShown, environment);
    return print(terminal, *answer);
  }
  const auto& invocation = std::get<Invocation>(parsed);
  const auto colours = invocation.global.no_color ? Terminal::Colours::kNever : Terminal::Colours::kWhereShown;
  Terminal terminal(invocation.global.format, colours, environment);
  std::error_code fault;
  // Results are stdout's alone.
  const bool serves = std::holds_alternative<ServeOptions>(invocation.command) ||
                      std::holds_alternative<RunOptions>(invocation.command);
  auto log = spdlog::stderr_logger_mt("weft");
  log->set_level(serves ? spdlog::level::info : spdlog::level::warn);
  spdlog::set_default_logger(std::move(log));
  const Context context{terminal, environment, invocation.global, std::filesystem::current_path(fault).string()};
  const Exit exit = std::visit([&](const auto& options) { return execute(context, options); }, invocation.command);
  if (exit == Exit::kOk && terminal.output_lost()) {
    terminal.error(resource_exhausted("the output could not be written whole; what stands in the store is complete"));
    return static_cast<int>(Exit::kFailed);
  }
  return static_cast<int>(exit);
}

}  // namespace
}  // namespace weft::cli

namespace {

// A closed stream's number would be the next file's or socket's, and what is said would go there.
void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // Read-only, so that a write to it fails and counts as lost.
    if (::fcntl(stream, F_GETFD) == -1 && ::open("/dev/null", O_RDONLY) < 0) std::abort();
  }
}

}  // namespace

int main(int count, char** arguments) {
  hold_standard_streams();
  // A closed pipe is an error of the write that meets it, not of the process.
  std::signal(SIGPIPE, SIG_IGN);
  // gRPC's own log is for its developers; who wants it sets the variable.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  return weft::cli::main_command(count, arguments);
}
