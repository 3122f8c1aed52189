// The program: what was asked for, what it stands on, and the command that does it.
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>
#include <variant>

#include "runtime/cli/grammar/parse.h"
#include "runtime/cli/log_sink.h"
#include "runtime/cli/render/terminal.h"
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
  const auto& [global, command, invocation] = std::get<Parsed>(parsed);
  const auto colours = global.no_color ? Terminal::Colours::kNever : Terminal::Colours::kWhereShown;
  Terminal terminal(global.format, colours, environment);
  std::error_code fault;
  // Results are stdout's alone.
  auto log = std::make_shared<spdlog::logger>("weft", std::make_shared<LogSink>());
  log->set_level(command->log == Command::Log::kEvents ? spdlog::level::info : spdlog::level::warn);
  spdlog::set_default_logger(std::move(log));
  const Context context{terminal, environment, global, std::filesystem::current_path(fault).string()};
  const Exit exit = invocation.action(context);
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

// A core dump would hold the keys of providers and what tools sent; nor may another process of this user read them out
// of memory. Who looks for a fault in weft sets WEFT_CORE_DUMPS=1.
void keep_memory_private() {
  const char* wanted = std::getenv("WEFT_CORE_DUMPS");
  if (wanted != nullptr && std::string_view(wanted) == "1") return;
  constexpr rlimit kNone{0, 0};
  ::setrlimit(RLIMIT_CORE, &kNone);
  // Where dumps go to a program, the kernel does not look at that limit.
  ::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace

int main(int count, char** arguments) {
  keep_memory_private();
  hold_standard_streams();
  // A closed pipe is an error of the write that meets it, not of the process.
  std::signal(SIGPIPE, SIG_IGN);
  // gRPC's own log is for its developers; who wants it sets the variable.
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
  return weft::cli::main_command(count, arguments);
}
