// Retry, fork and replay as people type them.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"

namespace weft::cli {
namespace {

constexpr const char* kTalk = R"(weft: 1
name: talk
input: {name: string, tone: {type: string, default: kind}}
steps:
  think: {prompt: "Think of {{ input.name }}."}
  write: {prompt: "Write, {{ input.tone }}: {{ steps.think.text }}"}
)";

std::string id_of(const Outcome& outcome) {
  INFO(outcome.err);
  REQUIRE(outcome.exit == 0);
  return outcome.out.substr(0, outcome.out.find('\n'));
}

}  // namespace

TEST_CASE("a run is forked, replayed at rest, and a replay says in JSON what it compared") {
  const Folder folder;
  folder.write("talk.yaml", kTalk);
  const Outcome first = run_program(folder.path(), {"run", "talk.yaml", "-i", "name=Ada", "--sim", "-o", "json"});
  INFO(first.err);
  REQUIRE(first.exit == 0);
  const std::string source = json_of(first.out)["run_id"].get<std::string>();

  // Without a server a fork needs --wait, and then runs here.
  CHECK(run_program(folder.path(), {"fork", source, "--from", "write"}).exit == 5);
  const Outcome forked = run_program(
      folder.path(), {"fork", source, "--from", "write", "-i", "tone=short", "--label", "try=2", "--wait", "--sim"});
  const std::string id = id_of(forked);
  CHECK(id != source);
  CHECK(forked.err.find("shares ") != std::string::npos);
  CHECK(run_program(folder.path(), {"output", id}).out.find("Write, short: ") != std::string::npos);
  const Outcome trace = run_program(folder.path(), {"trace", id});
  CHECK(trace.out.find("forked from " + source + " at write") != std::string::npos);

  const Outcome replay = run_program(folder.path(), {"replay", id, "--deep"});
  INFO(replay.out << replay.err);
  CHECK(replay.exit == 0);
  CHECK(replay.out.starts_with("equal: "));
  const Json json = json_of(run_program(folder.path(), {"replay", source, "-o", "json"}).out);
  CHECK(json["equal"] == true);
  CHECK(json["requests"] == 2);
  CHECK(json["differences"].empty());
  CHECK(run_program(folder.path(), {"replay", "nobody"}).exit == 6);

  const Outcome nowhere = run_program(folder.path(), {"fork", source, "--from", "wirte", "--wait", "--sim"});
  CHECK(nowhere.exit == 6);
  CHECK(nowhere.err.find("it has been at think, write") != std::string::npos);
  CHECK(run_program(folder.path(), {"fork", source}).exit == 2);
  CHECK(run_program(folder.path(), {"fork", source, "--from", "write", "--effects", "maybe"}).exit == 2);
}

TEST_CASE("a run whose provider was down is retried when it is up again, and asks nothing twice") {
  const Folder folder;
  folder.write("talk.yaml", kTalk);
  folder.write("down.yaml",
               "sim: 1\nrules:\n  - {when: {step: \"^Think\"}, reply: {text: idea}}\n"
               "  - {when: {times: 1}, reply: {error: {status: 401, message: no}}}\n  - {reply: {text: written}}\n");
  Program sim(folder.path(), {"sim", "down.yaml"});
  const std::string url = word(sim.wait_for_out("\n"), "url=");
  Program serve(folder.path(), kServe, {{"WEFT_MODEL_URL", url}});
  serve.wait_for_out("\n");
  const Outcome failed = run_program(folder.path(), {"submit", "talk.yaml", "-i", "name=Ada", "--wait", "-o", "json"});
  INFO(failed.out << failed.err);
  REQUIRE(failed.exit == 1);
  const std::string id = json_of(failed.out)["run_id"].get<std::string>();
  const Outcome retried = run_program(folder.path(), {"retry", id, "--reason", "the key works again"});
  INFO(retried.err);
  CHECK(retried.exit == 0);
  CHECK(run_program(folder.path(), {"wait", id, "--timeout", "20s"}).exit == 0);
  const Json run = json_of(run_program(folder.path(), {"wait", id, "-o", "json"}).out);
  CHECK(run["status"] == "succeeded");
  CHECK(run["output"] == "written");
  const Outcome again = run_program(folder.path(), {"retry", id});
  CHECK(again.exit == 1);
  CHECK(again.err.find("nothing of it failed") != std::string::npos);
}

}  // namespace weft::cli
