// What a workflow's file tools cannot reach where weft is started as people start it.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

constexpr const char* kReach = R"(weft: 1
name: reach
input: {path: string}
steps:
  list: {tool: fs.list, args: {depth: 8}, needs: []}
  read: {tool: fs.read, args: {path: "{{ input.path }}"}, needs: [], on_error: continue}
  search: {tool: fs.search, args: {path: "{{ input.path }}", pattern: "."}, needs: [], on_error: continue}
  append: {tool: fs.append, args: {path: "{{ input.path }}", line: "providers: {deepseek: {base_url: x}}"}, needs: [], on_error: continue}
returns:
  seen: "{{ steps.list.output.entries.map(e, e.name) }}"
  done: "{{ [steps.read.status, steps.search.status, steps.append.status] }}"
)";

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("an agent's file tools reach neither the configuration nor the store that weft itself was started with") {
  const Folder folder;
  const Folder state;  // The list of stores is none of the files that the workflow sees.
  folder.write("reach.yaml", kReach);
  folder.write("weft.yaml", "limits: {crashes_max: 7}\n");
  folder.write("conf/own.yaml", "limits: {crashes_max: 8}\n");
  folder.write("notes.txt", "a note\n");
  std::filesystem::create_directory(folder / "data");
  std::filesystem::create_hard_link(folder / "conf/own.yaml", folder / "hard.txt");
  const auto reach = [&](const std::string& path) {
    const Outcome outcome = run_program(folder.path(),
                                        {"run", "reach.yaml", "--store", "data/runs.db", "--config", "conf/own.yaml",
                                         "-i", "path=" + path, "--sim", "-o", "json"},
                                        {{"XDG_STATE_HOME", state.path()}});
    INFO(outcome.err);
    REQUIRE(outcome.exit == 0);
    return json_of(outcome.out)["output"];
  };
  const Json failed = {"failed", "failed", "failed"};
  for (const char* path : {"weft.yaml", "conf/own.yaml", "hard.txt", "data/runs.db", "data/runs.db-wal",
                           "data/runs.db.lock", "data/runs.sock", "data/new.weft/../runs.db-journal"}) {
    CAPTURE(path);
    CHECK(reach(path)["done"] == failed);
  }
  const Json seen = reach("notes.txt");
  CHECK(seen["done"] == Json{"succeeded", "succeeded", "succeeded"});
  CHECK(seen["seen"] == Json{"conf", "data", "notes.txt", "reach.yaml"});
  CHECK(content(folder / "weft.yaml") == "limits: {crashes_max: 7}\n");
  CHECK(content(folder / "conf/own.yaml") == "limits: {crashes_max: 8}\n");
}

}  // namespace weft::cli
