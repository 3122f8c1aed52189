#include <catch2/catch.hpp>

#include "runtime/cli/options.h"

namespace weft::cli {
namespace {

std::variant<Invocation, Answer> parsed(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "weft");
  return parse_arguments(static_cast<int>(arguments.size()), arguments.data());
}

template <class T>
T command(const std::vector<const char*>& arguments) {
  auto result = parsed(arguments);
  if (const auto* answer = std::get_if<Answer>(&result)) FAIL(answer->err + answer->out);
  return std::get<T>(std::get<Invocation>(result).command);
}

Answer answer(const std::vector<const char*>& arguments) {
  auto result = parsed(arguments);
  REQUIRE(std::holds_alternative<Answer>(result));
  return std::get<Answer>(result);
}

}  // namespace

TEST_CASE("run takes inputs, labels and a request id, in any order") {
  const auto options = command<RunOptions>({"run", "-i", "a=1", "flow.yaml", "--input", "b=x y", "--label", "team=a",
                                            "--priority", "-3", "--request-id", "r1", "--root", "/src"});
  CHECK(options.file == "flow.yaml");
  CHECK(options.start.inputs == std::vector<std::string>{"a=1", "b=x y"});
  CHECK(options.start.labels == std::vector<std::string>{"team=a"});
  CHECK(options.start.priority == -3);
  CHECK(options.start.request_id == "r1");
  CHECK(options.start.root == "/src");
  CHECK_FALSE(options.start.sim);
}

TEST_CASE("--sim stands alone or names a script, and does not swallow the file") {
  CHECK(command<RunOptions>({"run", "--sim", "flow.yaml"}).start.sim == "");
  CHECK(command<RunOptions>({"run", "--sim", "flow.yaml"}).file == "flow.yaml");
  CHECK(command<RunOptions>({"run", "flow.yaml", "--sim"}).start.sim == "");
  CHECK(command<RunOptions>({"run", "flow.yaml", "--sim=script.yaml"}).start.sim == "script.yaml");
}

TEST_CASE("options that every command takes stand before or after it") {
  for (const auto& arguments : {std::vector<const char*>{"-o", "json", "runs", "--store", "a.db"},
                                std::vector<const char*>{"runs", "--store", "a.db", "-o", "json"}}) {
    const auto result = parsed(arguments);
    REQUIRE(std::holds_alternative<Invocation>(result));
    CHECK(std::get<Invocation>(result).global.format == Format::kJson);
    CHECK(std::get<Invocation>(result).global.store == "a.db");
  }
}

TEST_CASE("durations are read where they are meant, and a wrong one is an error of usage") {
  CHECK(command<WaitOptions>({"wait", "x", "y", "--timeout", "5m"}).timeout == Duration(std::chrono::minutes(5)));
  CHECK(command<RunsOptions>({"runs", "--since", "1h"}).since == Duration(std::chrono::hours(1)));
  CHECK(answer({"wait", "x", "--timeout", "soon"}).exit == 2);
}

TEST_CASE("weft alone is a short help, and so are --help and help") {
  const Answer alone = answer({});
  CHECK(alone.exit == 0);
  CHECK(alone.err.empty());
  CHECK(std::count(alone.out.begin(), alone.out.end(), '\n') < 30);
  CHECK(answer({"--help"}).out == alone.out);
  CHECK(answer({"help"}).out == alone.out);
  const std::string run = answer({"run", "--help"}).out;
  CHECK(run.find("Usage: weft run [OPTIONS] FILE") != std::string::npos);
  CHECK(run.find("--request-id") != std::string::npos);
  CHECK(run.find("-o text|json|ndjson") != std::string::npos);
}

TEST_CASE("a mistyped command names the nearest") {
  const Answer mistyped = answer({"subnit", "flow.yaml"});
  CHECK(mistyped.exit == 2);
  CHECK(mistyped.out.empty());
  CHECK(mistyped.err.find("did you mean \"submit\"?") != std::string::npos);
  CHECK(mistyped.err.starts_with("error: "));
}

TEST_CASE("what is missing, unknown or out of range is an error of usage") {
  CHECK(answer({"run"}).exit == 2);
  CHECK(answer({"run", "a.yaml", "b.yaml"}).exit == 2);
  CHECK(answer({"run", "a.yaml", "--nope"}).exit == 2);
  CHECK(answer({"runs", "--limit", "1001"}).exit == 2);
  CHECK(answer({"runs", "-o", "xml"}).exit == 2);
  CHECK(answer({"graph", "a.yaml", "--format", "gif"}).exit == 2);
}

TEST_CASE("every command of the help is one that there is, and help names every command") {
  const std::string help = answer({}).out;
  for (const char* name : {"run", "serve", "apply", "workflows", "submit", "wait", "output", "runs", "trace", "events",
                           "check", "graph", "cancel", "sim", "init", "version"}) {
    INFO(name);
    CHECK(answer({name, "--help"}).exit == 0);
    CHECK(help.find(name) != std::string::npos);
  }
}

}  // namespace weft::cli
