// What checking costs: whatever a file says, it is checked within a second, or refused in a sentence.
#include <time.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/workflows/loading.h"

using namespace weft;
using namespace weft::workflows;

namespace {

// Of this process alone, however busy the machine is.
double seconds(const auto& work) {
  timespec begin{}, end{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  work();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  return static_cast<double>(end.tv_sec - begin.tv_sec) + static_cast<double>(end.tv_nsec - begin.tv_nsec) / 1e9;
}

// A second on a quiet machine; the rest is for one that is not, and for instrumented builds.
constexpr double kLongest = 1.0 * 3;

void check_time([[maybe_unused]] double took) {
#ifdef WEFT_TIMED
  CHECK(took < kLongest);
#endif
}

std::string repeat(std::size_t times, const auto& line) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += line(i);
  return all;
}

std::string number(std::size_t i) { return std::to_string(i); }
// 60 letters of which few differ.
std::string long_name(char first, std::size_t i) {
  std::string digits = std::to_string(i);
  return std::string(1, first) + std::string(58 - digits.size(), 'x') + digits;
}

struct Hostile {
  const char* what;
  std::string text;
};

std::vector<Hostile> hostile() {
  std::vector<Hostile> all;
  const auto add = [&](const char* what, const std::string& rest) {
    const bool has_steps = rest.find("steps:") != std::string::npos;
    all.push_back({what, whole(rest + (has_steps ? "" : "steps: {s: {set: 1}}\n"))});
    CHECK(rest.size() < (std::size_t{1} << 20));
  };
  add("unknown names among many steps", "steps:\n" + repeat(3'500, [](std::size_t i) {
                                          return "  " + long_name('a', i) + ": {set: \"{{ steps." + long_name('b', i) +
                                                 ".output }}\"}\n";
                                        }));
  add("unknown fields of a wide type",
      "input:\n  o: {" + repeat(900, [](std::size_t i) { return long_name('f', i) + ": string, "; }) + "z: string}\n" +
          "steps:\n  s: {set: [" +
          repeat(8'000, [](std::size_t i) { return "\"{{ input.o." + long_name('g', i) + " }}\", "; }) + "1]}\n");
  add("cases that are never chosen",
      "input:\n  k: {enum: [" + repeat(900, [](std::size_t i) { return long_name('v', i) + ", "; }) + "z]}\nsteps:\n" +
          "  t: {set: 1}\n" + repeat(10, [](std::size_t s) {
            return "  s" + number(s) + ":\n    switch: input.k\n    default: none\n    cases: {" +
                   repeat(1'000, [](std::size_t i) { return long_name('w', i) + ": t, "; }) + "z: t}\n";
          }));
  add("many cycles behind a long way",
      "steps:\n" +
          repeat(3'000,
                 [](std::size_t i) { return "  w" + number(i) + ": {set: 1, needs: [w" + number(i + 1) + "]}\n"; }) +
          "  w3000: {set: 1, needs: [" + repeat(3'000, [](std::size_t i) { return "a" + number(i) + ", "; }) +
          "a0]}\n" + repeat(3'000, [](std::size_t i) {
            return "  a" + number(i) + ": {set: 1, needs: [b" + number(i) + "]}\n  b" + number(i) +
                   ": {set: 1, needs: [a" + number(i) + "]}\n";
          }));
  add("lists of types that differ in their enumerations",
      "input:\n" +
          repeat(40,
                 [](std::size_t i) {
                   return "  e" + number(i) + ": {enum: [" +
                          repeat(300, [&](std::size_t k) { return "v" + number(i) + "x" + number(k) + ", "; }) +
                          "z]}\n";
                 }) +
          "steps:\n  s: {set: [" +
          repeat(20'000, [](std::size_t i) { return "\"{{ input.e" + number(i % 40) + " }}\", "; }) + "1]}\n");
  add("lists of large types that are the same",
      "input:\n" +
          repeat(2,
                 [](std::size_t i) {
                   return "  o" + number(i) + ": {" +
                          repeat(90,
                                 [](std::size_t k) {
                                   return "f" + number(k) + ": {" +
                                          repeat(50, [](std::size_t m) { return "g" + number(m) + ": string, "; }) +
                                          "z: string}, ";
                                 }) +
                          "z: string}\n";
                 }) +
          "steps:\n  s: {set: [" +
          repeat(25'000, [](std::size_t i) { return "\"{{ [input.o" + number(i % 2) + "] }}\", "; }) + "1]}\n");
  std::string deep = "steps:\n";
  std::string indent = "  ";
  for (int level = 0; level < 14; ++level) {
    deep +=
        indent + "g" + std::to_string(level) + ":\n" + indent + "  when: \"" +
        repeat(300,
               [&](std::size_t i) { return "input.o.f" + number(i) + "_" + std::to_string(level) + " != null && "; }) +
        "true\"\n" + indent + "  steps:\n";
    indent += "    ";
  }
  deep += repeat(4'000, [&](std::size_t i) { return indent + "s" + number(i) + ": {set: \"{{ input.o.x }}\"}\n"; });
  add("many steps inside many conditions", "input:\n  o: any\n" + deep);
  add("one switch with many cases, and many who read what it chooses",
      "input:\n  k: string\nsteps:\n  c:\n    switch: input.k\n    default: none\n    cases: {" +
          repeat(4'000, [](std::size_t i) { return "k" + number(i) + ": t0, "; }) + "z: [" +
          repeat(64, [](std::size_t i) { return "t" + number(i) + ", "; }) + "t0]}\n" +
          repeat(64, [](std::size_t i) { return "  t" + number(i) + ": {set: 1}\n"; }) + repeat(400, [](std::size_t i) {
            return "  r" + number(i) + ": {set: \"{{ [" +
                   repeat(64, [](std::size_t k) { return "steps.t" + number(k) + ".output, "; }) + "1] }}\"}\n";
          }));
  add("patterns that are dear to compile", "input:\n" + repeat(900, [](std::size_t i) {
                                             return "  p" + number(i) + ": {type: string, pattern: '" +
                                                    repeat(60, [](std::size_t) { return "\\pL"; }) + "'}\n";
                                           }));
  add("a pattern of 720 KB", "input:\n  p: {type: string, pattern: '" + std::string(720'000, 'a') + "'}\n");
  add("unknown keys", "steps:\n" + repeat(10, [](std::size_t s) {
                        return "  s" + number(s) + ": {set: 1, " +
                               repeat(1'500, [](std::size_t i) { return long_name('k', i) + ": 1, "; }) + "z: 1}\n";
                      }));
  add("shapes that are texts of shapes", "input:\n  o:\n" + repeat(30'000, [](std::size_t i) {
                                           return i % 900 == 0 ? "    o" + number(i) + ":\n      a: string\n"
                                                               : "      f" + number(i) + ": \"[string]?\"\n";
                                         }));
  add("dates in what begins each call", "context: [" + repeat(40'000, [](std::size_t) { return "'x 2026-01-01', "; }) +
                                            "x]\nsteps:\n  s: {prompt: hello}\n");
  return all;
}

}  // namespace

TEST_CASE("whatever a file says, it is checked or refused within a second") {
  for (const Hostile& one : hostile()) {
    Loaded loaded;
    const double took = seconds([&] { loaded = load_text(one.text); });
    CAPTURE(one.what, one.text.size(), loaded.diagnostics.size());
    if (!loaded.diagnostics.empty()) UNSCOPED_INFO(to_text(loaded.diagnostics.front()));
    check_time(took);
    CHECK(loaded.diagnostics.size() <= Diagnostics::kDiagnosticsMax);
  }
}

TEST_CASE("many steps that use the same tools are checked once for each tool, and not once for each pair") {
  World world = small_world();
  Json properties = Json::object();
  for (int i = 0; i < 500; ++i) properties["argument_" + std::to_string(i)] = Json{{"type", "string"}};
  const Json schema{{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  for (int i = 0; i < 1'000; ++i) world.tools.push_back({"tool_" + std::to_string(i), to_text(schema), Effect::kRead});
  std::string text = whole("agents:\n  all: {tools: [");
  for (int i = 0; i < 120; ++i) text += "tool_" + std::to_string(880 + i) + ", ";
  text += "tool_0]}\nsteps:\n";
  for (int i = 0; i < 4'000; ++i) {
    text += "  p" + std::to_string(i) + ": {agent: all, prompt: hello}\n";
    text += "  t" + std::to_string(i) + ": {tool: tool_999, args: {argument_7: x}}\n";
  }
  Loaded loaded;
  const double took = seconds([&] { loaded = load({"test.yaml", text, {}}, world); });
  for (const Diagnostic& diagnostic : loaded.diagnostics) UNSCOPED_INFO(to_text(diagnostic));
  CHECK(loaded.workflow);
  check_time(took);
}

TEST_CASE("a check that costs too much says so, with the name of the limit") {
  for (const Hostile& one : hostile()) {
    if (std::string_view(one.what) != "patterns that are dear to compile") continue;
    const Loaded loaded = load_text(one.text);
    CHECK_FALSE(loaded.workflow);
    REQUIRE_FALSE(loaded.diagnostics.empty());
    std::string said;
    for (const Diagnostic& diagnostic : loaded.diagnostics) said += to_text(diagnostic);
    CHECK_THAT(said, Catch::Contains("check_work_max"));
  }
}

TEST_CASE("a suggestion is the nearest name, and comes only where it is shown") {
  CHECK(nearest("classfy", {"classify", "reply"}) == "classify");
  CHECK(nearest("calssify", {"classify", "reply"}) == "classify");
  CHECK(nearest("zzz", {"classify", "reply"}).empty());
  CHECK(nearest("ab", {"ba", "bb"}) == "ba");
  Budget none(0);
  CHECK(nearest("classfy", {"classify"}, none).empty());
  Diagnostics diagnostics("f");
  CHECK(diagnostics.nearest("classfy", {"classify"}) == "classify");
  for (std::size_t i = 0; i < Diagnostics::kDiagnosticsMax; ++i) diagnostics.error({}, "c", std::to_string(i));
  CHECK(diagnostics.nearest("classfy", {"classify"}).empty());
}
