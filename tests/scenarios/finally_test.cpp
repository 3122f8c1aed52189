// A run that fails and cleans up after itself, as a user sees it.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

using namespace weft;

namespace {

namespace fs = std::filesystem;

constexpr const char* kWorkflow = R"(weft: 1
name: cleanup
steps:
  open: {set: "lease-7"}
  page:
    needs: [open]
    steps:
      read: {tool: fs.read, args: {path: missing.txt}, retry: {attempts: 1}}
    finally:
      seen: {set: "{{ run.status }}"}
finally:
  log: {tool: fs.append, args: {path: log.txt, line: "{{ steps.open.output }} {{ run.status }}: {{ run.error.kind ?? '' }}"}}
)";

// "finally log" of each line of a trace that has it, in order, with what the step's name and status are.
std::vector<std::string> marked(const std::string& trace) {
  std::vector<std::string> lines;
  for (std::size_t from = 0; from < trace.size();) {
    const std::size_t end = std::min(trace.find('\n', from), trace.size());
    const std::string line = trace.substr(from, end - from);
    if (const std::size_t at = line.find("finally "); at != std::string::npos)
      lines.push_back(line.substr(at, line.find("  ", at) - at));
    from = end + 1;
  }
  return lines;
}

}  // namespace

TEST_CASE("a run that fails closes what it opened, says so in its trace, and still fails for its first cause") {
  const fs::path folder = fs::temp_directory_path() / fmt::format("weft-finally-{}", ::getpid());
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::ofstream(folder / "cleanup.yaml") << kWorkflow;

  const cli::Outcome drawn = cli::run_program(folder, {"graph", "cleanup.yaml"});
  CHECK(marked(drawn.out) == std::vector<std::string>{"finally seen", "finally log"});

  const cli::Outcome outcome = cli::run_program(folder, {"run", "cleanup.yaml", "--sim", "--root", ".", "-o", "json"});
  INFO(outcome.err);
  CHECK(outcome.exit == 1);
  const Json run = cli::json_of(outcome.out);
  CHECK(run["status"] == "failed");
  CHECK(run["error"]["path"] == "page/read");

  std::string logged;
  std::getline(std::ifstream(folder / "log.txt") >> std::ws, logged);
  CHECK(logged == "lease-7 failed: tool_failed");
  const cli::Outcome trace = cli::run_program(folder, {"trace", "@latest"});
  CHECK(marked(trace.out) == std::vector<std::string>{"finally seen", "finally log"});
  const cli::Outcome events = cli::run_program(folder, {"events", "@latest"});
  CHECK(events.out.find("finally") != std::string::npos);
  fs::remove_all(folder);
}
