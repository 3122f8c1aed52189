#include "workflows/loader.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/workflows/loading.h"
#include "workflows/yaml.h"

namespace weft::workflows {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""min;

const Step& step_named(const Workflow& workflow, const std::string& name) {
  for (const Step& step : workflow.steps) {
    if (step.name == name) return step;
  }
  FAIL("no step " << name);
  throw 0;
}

std::vector<std::string> names_of(const Workflow& workflow, const std::vector<StepId>& ids) {
  std::vector<std::string> names;
  for (const StepId id : ids) names.push_back(workflow.step(id).name);
  return names;
}

using Names = std::vector<std::string>;

std::string file_text(const std::string& path) {
  std::ifstream file(std::string(WEFT_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The ```yaml blocks of the language's document that are whole workflows.
std::vector<std::string> documented_workflows() {
  const std::string text = file_text("docs/language.md");
  std::vector<std::string> blocks;
  const std::string fence = "```yaml\n";
  for (std::size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at)) {
    at += fence.size();
    const std::size_t end = text.find("```", at);
    if (end == std::string::npos) break;
    const std::string block = text.substr(at, end - at);
    if (block.starts_with("weft: 1")) blocks.push_back(block);
    at = end + 3;
  }
  return blocks;
}

TEST_CASE("the smallest workflow loads with every default filled in") {
  const auto workflow = load_good(
      "weft: 1\nname: hello\ninput: {name: string}\nsteps:\n"
      "  greet: {prompt: \"Greet {{ input.name }} in one line.\"}\n");
  CHECK(workflow->name == "hello");
  REQUIRE(workflow->steps.size() == 1);
  const Step& greet = workflow->steps[0];
  CHECK(greet.kind == StepKind::kPrompt);
  CHECK(greet.mark == Mark{5, 3});
  CHECK(greet.timeout == Duration(10min));
  CHECK(greet.retry.attempts == 3);
  CHECK(greet.type == Type::of(Type::Kind::kString));
  const Agent& agent = std::get<PromptBody>(greet.body).agent;
  CHECK(agent.model == "deepseek-flash");
  CHECK(agent.turns == 32);
  CHECK(agent.max_output == 8192);
  CHECK(agent.system.empty());
  REQUIRE(workflow->scopes.size() == 1);
  CHECK(workflow->top().steps == std::vector<StepId>{0});
  CHECK(workflow->hash.size() == 64);
}

TEST_CASE("every workflow in the document of the language loads without a word") {
  const auto blocks = documented_workflows();
  CHECK(blocks.size() >= 5);
  for (const std::string& block : blocks) {
    INFO(block);
    CHECK(faults_of(block, {{"handbook.md", "Be kind.\n"}, {"prompts/reviewer.md", "You review.\n"}}) == Faults{});
  }
}

TEST_CASE("a step waits for every step that it mentions, needs or is chosen by") {
  const auto workflow = load_good(whole(R"(
steps:
  a: {prompt: "one", output: {kind: {enum: [x, y]}}}
  b: {switch: steps.a.output.kind, cases: {x: c, y: [c, d]}}
  c: {set: 1}
  d: {set: 2, needs: [a]}
  e: {set: "{{ steps.c.output ?? steps.d.output }}"}
  f: {set: "{{ steps.c.status }}", needs: e}
returns: "{{ steps.f.output }}"
)"));
  CHECK(names_of(*workflow, step_named(*workflow, "b").waits_for) == Names{"a"});
  CHECK(names_of(*workflow, step_named(*workflow, "c").waits_for) == Names{"b"});
  CHECK(names_of(*workflow, step_named(*workflow, "c").switches) == Names{"b"});
  CHECK(names_of(*workflow, step_named(*workflow, "d").waits_for) == Names{"a", "b"});
  CHECK(names_of(*workflow, step_named(*workflow, "d").needs) == Names{"a"});
  CHECK(names_of(*workflow, step_named(*workflow, "e").waits_for) == Names{"c", "d"});
  CHECK(names_of(*workflow, step_named(*workflow, "f").waits_for) == Names{"c", "e"});
  CHECK(names_of(*workflow, step_named(*workflow, "c").dependants) == Names{"e", "f"});
  CHECK(step_named(*workflow, "e").strict == std::vector<StrictChain>{{2, 3}});
  CHECK(step_named(*workflow, "f").strict.empty());
  CHECK(step_named(*workflow, "d").strict.empty());
  const auto& body = std::get<SwitchBody>(step_named(*workflow, "b").body);
  REQUIRE(body.cases.size() == 2);
  CHECK(body.cases[1].match == "y");
  CHECK(body.cases[1].targets == std::vector<StepId>{2, 3});
}

TEST_CASE("a chain that ends in a value, has() and status are tolerant; needs of an outer step order the group") {
  const auto workflow = load_good(whole(R"(
steps:
  a: {set: 1, when: input.x}
  b: {set: "{{ steps.a.output ?? 0 }}"}
  c: {set: "{{ has(steps.a.output) }}"}
  g:
    steps:
      inner: {set: "{{ steps.b.output }}"}
      other: {set: 1, needs: [c]}
    returns: "{{ steps.inner.output }} {{ steps.a.reason }}"
input: {x: boolean}
)"));
  CHECK(step_named(*workflow, "b").strict.empty());
  CHECK(step_named(*workflow, "c").strict.empty());
  const Step& group = step_named(*workflow, "g");
  CHECK(names_of(*workflow, group.waits_for) == Names{"a", "b", "c"});
  CHECK(group.strict.empty());
  CHECK(group.needs.empty());
  const Step& inner = step_named(*workflow, "inner");
  CHECK(inner.waits_for.empty());
  CHECK(inner.strict == std::vector<StrictChain>{{1}});
  CHECK(names_of(*workflow, step_named(*workflow, "other").needs) == Names{"c"});
  CHECK(workflow->scopes[1].owner == group.id);
  CHECK(workflow->find(1, "b") == &workflow->steps[1]);
  CHECK(workflow->find(0, "inner") == nullptr);
}

TEST_CASE("previous and a step's own name in until are no dependencies") {
  const auto workflow = load_good(whole(R"(
steps:
  seed: {set: 1}
  count:
    repeat: {until: "steps.count.output >= steps.seed.output", at_most: 5, else: keep}
    set: "{{ previous == null ? 1 : 2 }}"
    output: integer
  loop:
    repeat: {until: steps.review.output.ok, at_most: 3}
    steps:
      draft: {prompt: "Write. {{ previous.review.output.notes ?? '' }}"}
      review: {prompt: "{{ steps.draft.text }}", output: {ok: boolean, notes: string}}
    returns: "{{ steps.draft.text }}"
)"));
  CHECK(names_of(*workflow, step_named(*workflow, "count").waits_for) == Names{"seed"});
  CHECK(step_named(*workflow, "count").repeat->at_most == 5);
  CHECK(step_named(*workflow, "count").repeat->otherwise == Repeat::Else::kKeep);
  CHECK(step_named(*workflow, "loop").waits_for.empty());
  CHECK(step_named(*workflow, "draft").waits_for.empty());
  CHECK(names_of(*workflow, step_named(*workflow, "review").waits_for) == Names{"draft"});
  CHECK(step_named(*workflow, "loop").type == Type::of(Type::Kind::kString));
}

TEST_CASE("agents are built from defaults, their own keys, and the step's") {
  const auto workflow = load_good(whole(R"(
models: {default: {use: deepseek-v4-pro}, quick: {use: deepseek-flash}}
context: [{file: handbook.md}, "House rules."]
defaults: {turns: 5, timeout: 2m, retry: {attempts: 4, backoff: 1s..30s}}
agents:
  reader: {system: "You read.", tools: [fs.read, fs.list, fs.read], max_output: 16k}
steps:
  a: {agent: reader, prompt: "x", model: quick, temperature: 0.5}
  b: {agent: reader, prompt: "x", system: ["Other.", {file: prompts/more.md}], tools: []}
  c: {prompt: "x", needs: [a], tools: [fs.append], turns: 2}
  d: {tool: fs.read, args: {path: "a"}, timeout: 250ms}
  e: {tool: fs.append, needs: [], retry: {attempts: 2, on: [timed_out]}}
)"),
                                  {{"handbook.md", "Handbook."}, {"prompts/more.md", "More."}});
  const auto agent_of = [&](const char* name) { return std::get<PromptBody>(step_named(*workflow, name).body).agent; };
  CHECK(agent_of("a").model == "deepseek-flash");
  CHECK(agent_of("a").name == "reader");
  CHECK(agent_of("a").system == Names{"Handbook.", "House rules.", "You read."});
  CHECK(agent_of("a").tools == Names{"fs.list", "fs.read"});
  CHECK(agent_of("a").max_output == 16'000);
  CHECK(agent_of("a").temperature == 0.5);
  CHECK(agent_of("a").turns == 5);
  CHECK(agent_of("b").model == "deepseek-v4-pro");
  CHECK(agent_of("b").system == Names{"Handbook.", "House rules.", "Other.", "More."});
  CHECK(agent_of("b").tools.empty());
  CHECK(agent_of("c").turns == 2);
  CHECK(step_named(*workflow, "a").retry.attempts == 4);
  CHECK(step_named(*workflow, "a").retry.backoff_max == Duration(30s));
  CHECK(step_named(*workflow, "a").timeout == Duration(2min));
  CHECK(step_named(*workflow, "c").retry.attempts == 1);
  CHECK(step_named(*workflow, "d").timeout == Duration(250'000));
  CHECK(step_named(*workflow, "d").retry.attempts == 4);
  CHECK(step_named(*workflow, "e").retry.attempts == 2);
  CHECK(step_named(*workflow, "e").retry.on == Names{"timed_out"});
}

TEST_CASE("control keys are read into the step") {
  const auto workflow = load_good(whole(R"(
input: {list: [{id: string, n: integer}]}
steps:
  each:
    label: For each
    for_each: {in: input.list, key: item.id}
    max_parallel: 4
    on_item_error: keep
    on_error: {use: [{size: 0}]}
    tool: fs.append
    needs: []
    args: {path: "{{ item.id }}", line: "{{ index }}"}
    output: {size: integer}
  named: {for_each: {in: input.list, as: entry, on_item_error: drop}, set: "{{ entry.n + 1 }}", on_error: continue}
)"));
  const Step& each = step_named(*workflow, "each");
  REQUIRE(each.label);
  CHECK(each.label->source() == "For each");
  REQUIRE(each.for_each);
  CHECK(each.for_each->max_parallel == 4);
  CHECK(each.for_each->on_item_error == ForEach::OnError::kKeep);
  CHECK(each.on_error.kind == OnError::Kind::kUse);
  CHECK(each.type.to_text() == "[{size: integer}?]");
  const Step& named = step_named(*workflow, "named");
  CHECK(named.for_each->as == "entry");
  CHECK(named.for_each->max_parallel == 16);
  CHECK(named.type.to_text() == "[integer]");
  CHECK(named.on_error.kind == OnError::Kind::kContinue);
}

TEST_CASE("the output of a for_each over a group without returns may hold nulls") {
  const auto workflow = load_good(whole(R"(
input: {list: [integer]}
steps:
  g:
    for_each: input.list
    steps:
      a: {when: item > 1, set: "{{ item }}"}
  h:
    for_each: input.list
    steps:
      b: {when: item > 1, set: "{{ item }}"}
      c: {set: 5}
    returns: {b: "{{ steps.b.output }}", c: "{{ steps.c.output }}"}
)"));
  CHECK(step_named(*workflow, "g").type.to_text() == "[integer?]");
  CHECK(step_named(*workflow, "h").type.to_text() == "[{b: integer?, c: integer}]");
}

TEST_CASE("the emitted form is the same whatever the file looked like, and loads to the same hash") {
  const std::vector<BundleFile> files{{"handbook.md", "Handbook."}};
  const auto first = load_good(whole(R"(
context: [{file: handbook.md}]
input: {list: [string]}
agents: {r: {tools: [fs.read, fs.list], max_output: 200k}}
steps:
  a: {agent: r, prompt: "x {{ input.list }}", timeout: 60s, when: "input.list.size() > 1.0"}
  b: {for_each: input.list, set: "{{ item }}", max_parallel: 3, needs: a}
)"),
                               files);
  const auto second = load_good(R"(# the same, written otherwise
steps:
  a:
    when: input.list.size() > 1.0
    timeout: 1m
    prompt: |-
      x {{ input.list }}
    agent: r
  b:
    needs: [a]
    set: '{{ item }}'
    for_each: {max_parallel: 3, in: input.list}
agents: {r: {max_output: 200000, tools: [fs.list, fs.read]}}
input: {list: ["string"]}
context: [{"file": handbook.md}]
name: test
weft: 0x1
)",
                                files);
  CHECK(first->canonical == second->canonical);
  CHECK(first->hash == second->hash);
  CHECK(first->hash != load_good(first->canonical, {{"handbook.md", "Another."}})->hash);
  const auto again = load_good(first->canonical, files);
  CHECK(again->canonical == first->canonical);
  CHECK(again->hash == first->hash);
}

TEST_CASE("what means something else has another hash") {
  const std::string base = load_good(whole("steps: {a: {prompt: x}}\n"))->hash;
  for (const char* other : {"steps: {a: {prompt: y}}", "steps: {b: {prompt: x}}", "steps: {a: {prompt: x, turns: 3}}",
                            "steps: {a: {prompt: x, temperature: 0}}", "steps: {a: {prompt: x}}\ninput: {x: string}",
                            "steps: {a: {prompt: x, when: 'true'}}", "steps: {a: {prompt: x}}\nreturns: 1"}) {
    INFO(other);
    CHECK(load_good(whole(other))->hash != base);
  }
  // A block's last line break is no text of its one expression; in quotes it is.
  const auto block = load_good(whole("steps:\n  a:\n    set: |\n      {{ [1, 2] }}\n"));
  const auto quoted = load_good(whole("steps: {a: {set: \"{{ [1, 2] }}\\n\"}}"));
  const auto plain = load_good(whole("steps: {a: {set: \"{{ [1, 2] }}\"}}"));
  CHECK(block->hash != quoted->hash);
  CHECK(block->hash == plain->hash);
  CHECK(load_good(block->canonical)->steps[0].type.to_text() == block->steps[0].type.to_text());
}

// A workflow of random steps, all of them sound.
std::string generated_workflow(std::uint64_t seed) {
  const auto next = [&](std::uint64_t bound) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (seed >> 33) % bound;
  };
  Json steps = Json::object();
  Names done;
  const auto reading = [&]() -> std::string {
    return done.empty() ? "{{ input.n }}" : fmt::format("{{{{ steps.{}.output ?? 0 }}}}", done[next(done.size())]);
  };
  const std::uint64_t count = 1 + next(12);
  for (std::uint64_t i = 0; i < count; ++i) {
    Json step = Json::object();
    switch (next(5)) {
      case 0: step["prompt"] = "Say\n" + reading() + "\t\"!\""; break;
      case 1: step["set"] = {{"v", reading()}, {"list", {1, 2.5, true, nullptr, "yes", reading()}}}; break;
      case 2: step = {{"tool", "fs.read"}, {"args", {{"path", "p/" + reading()}}}}; break;
      case 3:
        step["steps"] = {{fmt::format("x{}", i), {{"set", reading()}}},
                         {fmt::format("y{}", i), {{"prompt", reading()}}}};
        step["returns"] = {{"r", fmt::format("{{{{ steps.x{}.output }}}}", i)}};
        break;
      default: step["set"] = reading();
    }
    if (next(3) == 0) step["when"] = next(2) == 0 ? "input.n > 1" : "true";
    if (next(4) == 0) step["for_each"] = next(2) == 0 ? Json("[1, 2]") : Json({{"in", "[1, 2]"}, {"as", "one"}});
    if (next(4) == 0) step["retry"] = {{"backoff", next(2) == 0 ? "1s..60s" : "1000ms"}, {"attempts", 1 + next(5)}};
    if (next(4) == 0) step["timeout"] = next(2) == 0 ? "120s" : "24h";
    if (next(4) == 0) step["on_error"] = next(2) == 0 ? Json("continue") : Json({{"use", {{"e", reading()}}}});
    if (next(4) == 0 && !done.empty()) step["needs"] = {done[next(done.size())]};
    if (next(5) == 0) step["label"] = "on # 1: \xC3\xA9";
    steps[fmt::format("s{}", i)] = step;
    done.push_back(fmt::format("s{}", i));
  }
  Json whole_one = {{"returns", {{"last", fmt::format("{{{{ steps.{}.output }}}}", done.back())}}},
                    {"steps", steps},
                    {"input", {{"n", {{"type", "integer"}, {"default", 3}}}}},
                    {"name", "generated"},
                    {"weft", 1}};
  return yaml::write(whole_one);
}

TEST_CASE("canonical forms of the documented and of 300 generated workflows load to their own hash") {
  std::vector<std::string> texts = documented_workflows();
  for (std::uint64_t seed = 1; seed <= 300; ++seed) texts.push_back(generated_workflow(seed));
  const std::vector<BundleFile> files{{"handbook.md", "Be kind.\n"}, {"prompts/reviewer.md", "You review.\n"}};
  for (const std::string& text : texts) {
    INFO(text);
    const auto once = load_good(text, files);
    INFO(once->canonical);
    const auto twice = load_good(once->canonical, files);
    REQUIRE(twice->canonical == once->canonical);
    REQUIRE(twice->hash == once->hash);
    REQUIRE(twice->steps.size() == once->steps.size());
    for (std::size_t i = 0; i < once->steps.size(); ++i) {
      REQUIRE(twice->steps[i].waits_for == once->steps[i].waits_for);
      REQUIRE(twice->steps[i].timeout == once->steps[i].timeout);
      REQUIRE(twice->steps[i].type == once->steps[i].type);
    }
  }
}

TEST_CASE("files that a text names are listed, also where the text has faults") {
  const std::string text = whole(R"(
context: [{file: b.md}, text]
defaults: {context: {file: a.md}}
agents: {x: {system: {file: prompts/c.md}}}
unknown: 1
steps:
  s: {prompt: x, system: [{file: b.md}, {file: ../secret}, {file: /etc/passwd}]}
  g: {steps: {i: {prompt: x, context: [{file: d.md}]}}}
)");
  CHECK(files_named(text) == Names{"a.md", "b.md", "d.md", "prompts/c.md"});
  CHECK(files_named("a: [").empty());
  CHECK(files_named("").empty());
}

TEST_CASE("inputs get their defaults, their types and a refusal that helps") {
  const auto workflow = load_good(whole(R"(
input:
  ticket: {type: string, description: What the customer wrote}
  count: {type: integer, default: 3}
  ratio: number
  note: string?
steps: {a: {set: "{{ input.ticket }}"}}
)"));
  const auto checked = check_inputs(*workflow, Json{{"ratio", 2}, {"ticket", "x"}, {"count", 5.0}});
  REQUIRE(checked);
  CHECK(checked->dump() == R"({"ticket":"x","count":5,"ratio":2,"note":null})");
  CHECK((*check_inputs(*workflow, Json{{"ratio", 0.5}, {"ticket", "x"}}))["count"] == 3);
  const auto missing = check_inputs(*workflow, Json{{"ratio", 1}});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().message == "the input \"ticket\" is missing: What the customer wrote");
  const auto unknown = check_inputs(*workflow, Json{{"tickt", "x"}});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message == "workflow test has no input \"tickt\"; did you mean \"ticket\"?");
  const auto wrong = check_inputs(*workflow, Json{{"ticket", 5}, {"ratio", 1}});
  REQUIRE_FALSE(wrong);
  CHECK(wrong.error().message.find("input.ticket") != std::string::npos);
  CHECK_FALSE(check_inputs(*workflow, Json(5)));
  CHECK_FALSE(check_inputs(*workflow, Json{{"ticket", nullptr}, {"ratio", 1}}));
}

}  // namespace
}  // namespace weft::workflows
