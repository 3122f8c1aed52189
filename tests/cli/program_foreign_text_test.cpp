// Texts from outside that would be lines of their own, turn a line round or hide in it: in every field that is printed.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/json.h"
#include "tests/cli/program.h"
#include "tests/folder.h"
#include "tests/shop.h"

namespace weft::cli {
namespace {

const std::string kForeign = "x\nFORGED line\u202e\u200b\u2028FORGED\x1b[31m\u009bend";

// What people read holds the text, and none of what it would do to them.
void check_harmless(const std::string& what, const std::string& text) {
  CAPTURE(what, text);
  for (const char* part : {"\u202e", "\u200b", "\u2028", "\x1b", "\u009b"}) CHECK_FALSE(text.contains(part));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) CHECK_FALSE(line.starts_with("FORGED"));
}

void check_harmless(const std::string& what, const Outcome& outcome) {
  check_harmless(what + ", stdout", outcome.out);
  check_harmless(what + ", stderr", outcome.err);
}

}  // namespace

TEST_CASE("foreign text begins no line and hides nothing, in whatever field it stands") {
  test::Shop shop([](const test::Shop::Request&) { return test::Shop::Answer{422, kForeign}; });
  const Folder folder;
  folder.write("foreign.yaml", R"(weft: 1
name: foreign
description: "a \u202edescription"
input: {x: string}
tools:
  deny: {effect: read, http: {get: ")" +
                                   shop.url() + R"(/"}}
steps:
  look: {tool: deny, needs: [], label: "{{ input.x }}", on_error: continue}
  check: {ask: "Is it {{ input.x }}?", choices: [yes, "no\nFORGED \u202e\u200b"], to: "ann\nFORGED\u202e", needs: [look]}
  last: {tool: deny, needs: [check]}
)");
  Program serve(folder.path(), kServe);
  serve.wait_for_out("\n");
  const auto weft = [&](const std::string& what, const std::vector<std::string>& arguments) {
    const Outcome outcome = run_program(folder.path(), arguments);
    check_harmless(what, outcome);
    return outcome;
  };
  check_harmless("check", run_program(folder.path(), {"check", "foreign.yaml"}));
  const Outcome submitted =
      weft("submit", {"submit", "foreign.yaml", "-i", "x=" + kForeign, "--label", "team=" + kForeign});
  INFO(submitted.err);
  REQUIRE(submitted.exit == 0);
  const std::string id = submitted.out.substr(0, submitted.out.size() - 1);
  CHECK(weft("wait for an answer", {"wait", id, "--timeout", "20s"}).exit == 7);
  const std::string waits = weft("runs", {"runs"}).out;
  CHECK(waits.contains("an answer from ann\\nFORGED\\u202e: weft answer " + id));
  CHECK(waits.contains("yes|no\\nFORGED \\u202e\\u200b"));
  weft("workflows", {"workflows"});
  for (const char* format : {"tree", "mermaid", "dot", "svg"}) weft("graph", {"graph", id, "--format", format});
  weft("an answer that is none", {"answer", id, "check", kForeign, "--by", kForeign});
  weft("an answer to nothing", {"answer", id, kForeign, "yes"});
  CHECK(weft("answer", {"answer", id, "check", "yes", "--by", kForeign}).exit == 0);
  CHECK(weft("wait for the end", {"wait", id, "--timeout", "20s"}).exit == 1);
  const Outcome trace = weft("trace", {"trace", id});
  CHECK(trace.out.contains("by x\\nFORGED line\\u202e"));
  CHECK(trace.out.contains("\"x\\nFORGED line\\u202e"));
  weft("trace in full", {"trace", id, "--full"});
  CHECK(weft("events", {"events", id, "-o", "text"}).exit == 0);
  weft("retry", {"retry", id, "--reason", kForeign});
  weft("cancel", {"cancel", id, "--reason", kForeign});
  weft("what failed", {"wait", id, "--timeout", "20s"});
  weft("trace of it", {"trace", id, "--failed"});
  weft("a run that is not there", {"trace", kForeign});
  weft("a step that is not there", {"trace", id, "--step", kForeign});
  weft("a file that is not there", {"check", kForeign});

  // Another program reads every byte.
  const Json json = json_of(run_program(folder.path(), {"runs", "-o", "json"}).out);
  CHECK(json["runs"][0]["labels"]["team"] == kForeign);
}

}  // namespace weft::cli
