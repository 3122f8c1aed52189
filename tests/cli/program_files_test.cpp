#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

constexpr const char* kHello = R"(weft: 1
name: hello
input: {name: string}
steps:
  greet: {prompt: "Greet {{ input.name }} in one line."}
)";

constexpr const char* kBroken = R"(weft: 1
name: broken
stpes:
  greet: {prompt: "Hi"}
)";

}  // namespace

TEST_CASE("check says valid and the hash, or every mistake with its place and exit 2") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  folder.write("broken.yaml", kBroken);
  const Outcome valid = run_program(folder.path(), {"check", "hello.yaml"});
  CHECK(valid.exit == 0);
  CHECK(valid.out.starts_with("hello.yaml: valid  "));
  const Outcome broken = run_program(folder.path(), {"check", "hello.yaml", "broken.yaml"});
  CHECK(broken.exit == 2);
  CHECK(broken.err.find("broken.yaml:3:1: error: ") != std::string::npos);
  CHECK(broken.err.find("[unknown-key]") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft"));
}

TEST_CASE("check goes on after a file that is not there, and a file that a workflow names has its line") {
  const Folder folder;
  folder.write("names.yaml", "weft: 1\nname: names\ncontext:\n  - file: nowhere.md\nsteps:\n  a: {prompt: Hi}\n");
  const Outcome outcome = run_program(folder.path(), {"check", "nobody.yaml", "names.yaml"});
  CHECK(outcome.exit == 2);
  CHECK(outcome.err.find("nobody.yaml") != std::string::npos);
  CHECK(outcome.err.find("names.yaml:4:") != std::string::npos);
  CHECK(outcome.err.find("[file]") != std::string::npos);
  folder.write("hello.yaml", kHello);
  CHECK(run_program(folder.path(), {"check", "nobody.yaml", "hello.yaml"}).exit == 6);
}

TEST_CASE("check -o json prints the diagnostics with stable keys") {
  const Folder folder;
  folder.write("broken.yaml", kBroken);
  const Outcome outcome = run_program(folder.path(), {"check", "broken.yaml", "-o", "json"});
  CHECK(outcome.exit == 2);
  const Json json = json_of(outcome.out);
  REQUIRE(json["diagnostics"].size() >= 1);
  const Json& first = json["diagnostics"][0];
  for (const char* key : {"file", "line", "column", "code", "severity", "message", "suggestion"}) {
    INFO(key);
    CHECK(first.contains(key));
  }
  CHECK(first["file"] == "broken.yaml");
  CHECK(first["severity"] == "error");
  folder.write("hello.yaml", kHello);
  CHECK(run_program(folder.path(), {"check", "hello.yaml", "-o", "json"}).out == "{\"diagnostics\":[]}\n");
}

TEST_CASE("a file that is not there is exit 6, one that is no file exit 2") {
  const Folder folder;
  CHECK(run_program(folder.path(), {"check", "missing.yaml"}).exit == 6);
  CHECK(run_program(folder.path(), {"check", "."}).exit == 2);
}

TEST_CASE("run refuses an invalid file and wrong inputs before it makes a store") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  folder.write("broken.yaml", kBroken);
  const Outcome broken = run_program(folder.path(), {"run", "broken.yaml", "--sim"});
  CHECK(broken.exit == 2);
  CHECK(broken.err.find("broken.yaml:3:1") != std::string::npos);
  const Outcome missing = run_program(folder.path(), {"run", "hello.yaml", "--sim"});
  CHECK(missing.exit == 2);
  CHECK(missing.err.find("name") != std::string::npos);
  const Outcome unknown = run_program(folder.path(), {"run", "hello.yaml", "--sim", "-i", "nmae=x"});
  CHECK(unknown.exit == 2);
  CHECK(unknown.err.find("did you mean \"name\"?") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(folder / ".weft"));
}

TEST_CASE("graph draws a file as a tree, and for Mermaid and Graphviz") {
  const Folder folder;
  folder.write("hello.yaml", kHello);
  const Outcome tree = run_program(folder.path(), {"graph", "hello.yaml"});
  CHECK(tree.exit == 0);
  CHECK(tree.out.starts_with("hello\n└─ greet  prompt"));
  CHECK(run_program(folder.path(), {"graph", "hello.yaml"}, {{"LC_ALL", "C"}}).out.find("`- greet") !=
        std::string::npos);
  CHECK(run_program(folder.path(), {"graph", "hello.yaml", "--format", "mermaid"}).out.starts_with("graph TD\n"));
  CHECK(run_program(folder.path(), {"graph", "hello.yaml", "--format", "dot"}).out.starts_with("digraph "));
  CHECK(json_of(run_program(folder.path(), {"graph", "hello.yaml", "-o", "json"}).out)["steps"][0]["path"] == "greet");
}

TEST_CASE("init writes a workflow that checks and runs without a key, and takes no folder that is there") {
  const Folder folder;
  const Outcome outcome = run_program(folder.path(), {"init", "first"});
  CHECK(outcome.exit == 0);
  CHECK(outcome.out == "first/first.yaml\n");
  CHECK(last_line(outcome.err) == "weft run first/first.yaml --sim");
  CHECK(run_program(folder.path(), {"check", "first/first.yaml"}).exit == 0);
  CHECK(run_program(folder.path(), {"run", "first/first.yaml", "--sim"}).exit == 0);
  CHECK(run_program(folder.path(), {"init", "first"}).exit == 2);
  CHECK(run_program(folder.path(), {"init", "First!"}).exit == 2);
}

}  // namespace weft::cli
