#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {

TEST_CASE("weft alone prints a short help and creates nothing") {
  const Folder folder;
  const Outcome outcome = run_program(folder.path(), {});
  CHECK(outcome.exit == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.find("run FILE") != std::string::npos);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("help names nothing that is not there") {
  const Folder folder;
  const std::string help = run_program(folder.path(), {"--help"}).out;
  for (const char* later : {"explain", "diff", "approve", "plan", "schema", "fmt", "test ", "eval", "memory", "mcp",
                            "completion", "svg", "waterfall"}) {
    INFO(later);
    CHECK(help.find(later) == std::string::npos);
    CHECK(run_program(folder.path(), {later}).exit == 2);
  }
}

TEST_CASE("wrong usage is exit 2 with one sentence and what to do") {
  const Folder folder;
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"rnu"},
                                                                     {"run"},
                                                                     {"run", "a", "b"},
                                                                     {"trace"},
                                                                     {"runs", "--limit", "x"},
                                                                     {"--nope"},
                                                                     {"runs", "--server", "nobody"},
                                                                     {"runs", "--server", "host:99999"},
                                                                     {"run", "a.yaml", "--request-id", ""},
                                                                     {"run", "a.yaml", "--label", "k=a\xff"}}) {
    const Outcome outcome = run_program(folder.path(), arguments);
    INFO(outcome.err);
    CHECK(outcome.exit == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.starts_with("error: "));
  }
  CHECK(last_line(run_program(folder.path(), {"trace"}).err) == "weft trace --help says more");
}

TEST_CASE("reading without a store is exit 6, acting without an engine exit 5, and both create nothing") {
  const Folder folder;
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"runs"},
                                                                     {"workflows"},
                                                                     {"trace", "@latest"},
                                                                     {"events", "x"},
                                                                     {"output", "x"},
                                                                     {"wait", "x"},
                                                                     {"cancel", "x"},
                                                                     {"kill", "x"},
                                                                     {"resolve", "x", "y", "done", "--reason", "z"},
                                                                     {"graph", "x"}}) {
    INFO(arguments.front());
    CHECK(run_program(folder.path(), arguments).exit == 6);
  }
  CHECK(run_program(folder.path(), {"submit", "hello"}).exit == 5);
  CHECK(run_program(folder.path(), {"runs"}, {{"WEFT_SERVER", "unix:" + (folder / "no.sock")}}).exit == 5);
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("an error is a sentence, and with -o json an object, on stderr") {
  const Folder folder;
  const Outcome text = run_program(folder.path(), {"runs"});
  CHECK(text.err.starts_with("error: there is no store "));
  const Outcome json = run_program(folder.path(), {"runs", "-o", "json"});
  const auto object = parse_untrusted(json.err.substr(0, json.err.size() - 1));
  REQUIRE(object);
  CHECK((*object)["error"]["code"] == "NOT_FOUND");
  CHECK((*object)["error"]["message"].is_string());
  CHECK((*object)["error"]["details"].is_object());
  CHECK(json.out.empty());
}

TEST_CASE("version says which, also to programs") {
  const Folder folder;
  CHECK(run_program(folder.path(), {"version"}).out.starts_with("weft 0."));
  const auto json = parse_untrusted(run_program(folder.path(), {"version", "-o", "json"}).out);
  REQUIRE(json);
  CHECK((*json)["language"] == 1);
}

}  // namespace weft::cli
