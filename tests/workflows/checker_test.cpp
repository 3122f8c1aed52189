#include <catch2/catch.hpp>

#include "tests/workflows/loading.h"

namespace weft::workflows {
namespace {

// The one diagnostic of a workflow whose faults are all of one place.
Diagnostic only_fault(const std::string& text, std::vector<BundleFile> files = {}) {
  const Loaded loaded = load_text(text, std::move(files));
  for (const Diagnostic& diagnostic : loaded.diagnostics) UNSCOPED_INFO(to_text(diagnostic));
  REQUIRE(loaded.diagnostics.size() == 1);
  CHECK((loaded.workflow == nullptr) == (loaded.diagnostics[0].severity == Severity::kError));
  return loaded.diagnostics[0];
}

std::string place_and_code(const Diagnostic& diagnostic) {
  return std::to_string(diagnostic.mark.line) + ":" + std::to_string(diagnostic.mark.column) + " " + diagnostic.code;
}

// `rest` follows the two lines that every workflow begins with.
struct Expected {
  std::string rest;
  std::string place_and_code;
  std::string in_message;
  std::string suggestion;
};

void check_each(const std::vector<Expected>& all) {
  for (const Expected& one : all) {
    INFO(one.rest);
    const Diagnostic fault = only_fault(whole(one.rest));
    CHECK(place_and_code(fault) == one.place_and_code);
    CHECK_THAT(fault.message, Catch::Contains(one.in_message));
    CHECK_THAT(fault.suggestion, Catch::Contains(one.suggestion));
  }
}

TEST_CASE("unknown keys are refused everywhere, with the nearest known one") {
  check_each({
      {"stepz: 1\nsteps: {a: {set: 1}}", "3:1 unknown-key", "a workflow has no key \"stepz\"", "\"steps\""},
      {"steps: {a: {set: 1, retrys: 3}}", "3:21 unknown-key", "a set step has no key", "\"retry\""},
      {"steps: {a: {prompt: x, tmeout: 3s}}", "3:24 unknown-key", "a prompt step", "\"timeout\""},
      {"steps: {a: {tool: fs.list, args: {path: a}, prompts: 3}}", "3:45 unknown-key", "a tool step", ""},
      {"agents: {r: {turn: 3}}\nsteps: {a: {agent: r, prompt: x}}", "3:14 unknown-key", "an agent", "\"turns\""},
      {"models: {default: {use: deepseek-flash, usee: x}}\nsteps: {a: {prompt: x}}", "3:41 unknown-key", "a route",
       "\"use\""},
      {"defaults: {modle: deepseek-flash}\nsteps: {a: {prompt: x}}", "3:12 unknown-key", "defaults", "\"model\""},
      {"steps: {a: {set: 1, retry: {atempts: 3}}}", "3:29 unknown-key", "retry", "\"attempts\""},
      {"steps: {a: {set: 1, repeat: {until: 'true', at_most: 2, els: keep}}}", "3:57 unknown-key", "repeat",
       "\"else\""},
      {"steps: {a: {set: 1, for_each: {in: '[1]', kee: 1}}}", "3:43 unknown-key", "for_each", "\"key\""},
      {"steps: {a: {set: 1, on_error: {use: 1, els: 2}}}", "3:40 unknown-key", "on_error", ""},
      {"steps: {a: {set: 1}, b: {switch: steps.a.output == 1, cases: {true: none}, default: none, timeout: 3s}}",
       "3:91 unknown-key", "a switch step has no key", ""},
  });
}

TEST_CASE("keys that come later are refused by name, and never ignored") {
  for (const char* top : {"budget: {usd: 1}", "use: [x.yaml]"}) {
    INFO(top);
    const Diagnostic fault = only_fault(whole(std::string("steps: {a: {set: 1}}\n") + top));
    CHECK(place_and_code(fault) == "4:1 later");
  }
  for (const char* key :
       {"cache: {key: x}", "budget: {usd: 1}", "private: true", "continue: a", "session: x", "files: []", "accept: []",
        "remember: x", "memory: {}", "unsure: ask", "thinking: high", "compact: x"}) {
    INFO(key);
    CHECK(place_and_code(only_fault(whole(std::string("steps: {a: {prompt: x, ") + key + "}}"))) == "3:24 later");
  }
  for (const char* kind : {"workflow: x.yaml"}) {
    INFO(kind);
    const Diagnostic fault =
        only_fault(whole(std::string("steps: {a: {set: 1}, b: {") + kind + ", choices: [a], needs: [a]}}"));
    CHECK(place_and_code(fault) == "3:26 later");
    CHECK(fault.message.find("does not have it yet") != std::string::npos);
  }
  check_each({
      {"models: {default: {use: deepseek-flash, thinking: off}}\nsteps: {a: {prompt: x}}", "3:41 later", "thinking",
       ""},
      {"steps: {a: {tool: fs.list, args: {path: a}, approved: true}}", "3:45 later", "approved", ""},
      {"steps: {a: {set: 1, label: 'x {{ run.id }}'}}", "3:28 label", "over as soon as it begins", ""},
  });
}

TEST_CASE("names are checked, and the repaired one is offered") {
  check_each({
      {"steps: {My-Step: {set: 1}}", "3:9 name", "no name of a step", "\"my_step\""},
      {"steps: {readFile: {set: 1}}", "3:9 name", "", "\"read_file\""},
      {"steps: {9lives: {set: 1}}", "3:9 name", "", "\"n9lives\""},
      {"steps: {none: {set: 1}}", "3:9 name", "a word of the language", "\"none_\""},
      {"agents: {A: {}}\nsteps: {a: {set: 1}}", "3:10 name", "an agent", "\"a\""},
      {"input: {a-b: string}\nsteps: {a: {set: 1}}", "3:9 name", "an input", "\"a_b\""},
      {"models: {x.y: {use: deepseek-flash}}\nsteps: {a: {set: 1}}", "3:10 name", "a route", "\"x_y\""},
      {"steps: {a: {for_each: {in: '[1]', as: input}, set: 1}}", "3:39 name", "name of the language", ""},
      {"steps: {a: {set: 1}, g: {steps: {a: {set: 1}}}}", "3:34 name", "name of an outer one", "a name of its own"},
  });
  CHECK(place_and_code(only_fault("weft: 1\nname: My Flow\nsteps: {a: {set: 1}}")) == "2:7 name");
  CHECK(faults_of("weft: 1\nname: my-flow-2\nsteps: {a: {set: 1}}") == Faults{});
}

TEST_CASE("what is not known is refused with the nearest known name") {
  check_each({
      {"steps: {read: {set: 1}, b: {set: 1, needs: [raed]}}", "3:45 unknown-step", "no step \"raed\"", "\"read\""},
      {"steps: {read: {set: 1}, b: {set: '{{ steps.raed.output }}'}}", "3:38 unknown-step", "no step \"raed\"", "read"},
      {"steps: {a: {set: 1}, b: {switch: 'true', cases: {true: aa, false: none}}}", "3:56 unknown-step", "\"aa\"", ""},
      {"agents: {reader: {}}\nsteps: {a: {agent: raeder, prompt: x}}", "4:20 unknown-agent", "raeder", "\"reader\""},
      {"steps: {a: {tool: fs.reed, args: {path: a}}}", "3:19 unknown-tool", "fs.reed", "\"fs.read\""},
      {"steps: {a: {prompt: x, tools: [fs.lst]}}", "3:32 unknown-tool", "fs.lst", "\"fs.list\""},
      {"steps: {a: {prompt: x, model: gpt}}", "3:31 unknown-model", "no model \"gpt\"", ""},
      {"steps: {a: {prompt: x, model: deepseek-chat}}", "3:31 unknown-model", "deepseek-flash", ""},
      {"models: {careful: {use: deepseek-flash}}\nsteps: {a: {prompt: x, model: carefull}}", "4:31 unknown-model", "",
       "\"careful\""},
      {"models: {default: {use: nothing}}\nsteps: {a: {prompt: x}}", "3:25 unknown-model", "nothing", ""},
      {"steps: {a: {set: 1, on_error: retry}}", "3:31 choice", "one of fail, continue", ""},
      {"steps: {a: {set: 1, retry: {on: [timeout]}}}", "3:34 choice", "timeout", "\"timed_out\""},
      {"steps: {a: {set: 1}, b: {set: '{{ steps.a.outptu }}'}}", "3:43 unknown-field", "outptu", "output"},
  });
}

TEST_CASE("a step has exactly one kind") {
  check_each({
      {"steps: {a: {prompt: x, tool: fs.list}}", "3:12 step-kind", "more than one kind: prompt, tool", ""},
      {"steps: {a: {needs: [], timeout: 3s}}", "3:12 step-kind", "has no kind",
       "prompt, tool, steps, switch, ask, wait, set"},
      {"steps: {a: hello}", "3:12 type", "must be a map", ""},
  });
  CHECK(faults_of(whole("steps: {a: {promt: x, needs: []}}")) == Faults{"3:12 step-kind", "3:13 unknown-key"});
}

TEST_CASE("cycles are shown as the path that they are") {
  const Diagnostic two = only_fault(whole("steps:\n  a: {set: '{{ steps.b.output }}'}\n  b: {set: 1, needs: [a]}"));
  CHECK(place_and_code(two) == "4:3 cycle");
  CHECK(two.witness == "a → b → a");
  const Diagnostic self = only_fault(whole("steps: {a: {set: '{{ steps.a.output }}'}}"));
  CHECK(self.witness == "a → a");
  const Diagnostic group = only_fault(whole(R"(steps:
  g:
    steps: {inner: {set: "{{ steps.b.output }}"}}
  b: {set: "{{ steps.g.output }}"}
)"));
  CHECK(group.witness == "g → b → g");
  CHECK_THAT(group.suggestion, Catch::Contains("because of g/inner inside it"));
  const Diagnostic own = only_fault(whole("steps: {g: {steps: {inner: {set: '{{ steps.g.output }}'}}}}"));
  CHECK(own.witness == "g → g");
  const Diagnostic choice = only_fault(whole(
      "steps: {a: {set: true, needs: [s]}, s: {switch: 'steps.a.output', cases: {true: a, false: none}}}\nreturns: 1"));
  CHECK(choice.witness == "a → s → a");
  CHECK(faults_of(whole("steps: {a: {set: 1, needs: [b]}, b: {set: 1, needs: [a]}, c: {set: 1, needs: [d]}, d: {set: "
                        "1, needs: [c]}}")) == Faults{"3:9 cycle", "3:59 cycle"});
}

TEST_CASE("inner steps are not read from outside, and switches stay in their scope") {
  check_each({
      {"steps: {g: {steps: {inner: {set: 1}}}, b: {set: '{{ steps.inner.output }}'}}", "3:53 scope",
       "inside the group \"g\"", "returns"},
      {"steps: {g: {steps: {inner: {set: 1}}}, b: {set: 1, needs: inner}}", "3:59 scope", "inside the group \"g\"", ""},
      {"steps: {b: {set: 1}, g: {steps: {s: {switch: 'true', cases: {true: b, false: none}}}}}", "3:68 scope",
       "stands outside", ""},
  });
}

TEST_CASE("expressions are checked against the types of their names") {
  const std::string typed = "returns: 1\ninput: {n: integer, s: string, o: string?, l: [{id: string}]}\n";
  check_each({
      {typed + "steps: {a: {set: 1, when: input.n}}", "5:27 type", "true or false", ""},
      {typed + "steps: {a: {set: 1, when: input.s + 1 == 2}}", "5:27 type", "", ""},
      {typed + "steps: {a: {set: 1, for_each: input.s}}", "5:31 type", "a list", ""},
      {typed + "steps: {a: {set: 1, for_each: {in: input.l, key: item}}}", "5:50 type", "a text or an integer", ""},
      {typed + "steps: {a: {set: '{{ item.idd }}', for_each: input.l}}", "5:22 unknown-field", "idd", "id"},
      {typed + "steps: {a: {set: '{{ input.o.size() }}'}}", "5:22 type", "", ""},
      {typed + "steps: {a: {set: '{{ nput.o }}'}}", "5:22 unknown-name", "nput", "input"},
      {typed + "steps: {a: {set: 1, repeat: {until: steps.a.output, at_most: 2}}}", "5:37 type", "true or false", ""},
      {typed + "steps: {a: {set: '{{ previous }}'}}", "5:22 unknown-name", "previous", ""},
      {typed + "steps: {a: {set: x, output: integer}}", "5:21 type", "must be integer", ""},
      {typed + "steps: {a: {when: 'input.n >', set: 1}}", "5:29 expression-syntax", "", ""},
      {typed + "steps: {a: {when: '{{ input.n > 1 }}', set: 1}}", "5:19 expression-syntax", "takes no {{ }}",
       "leave the braces out"},
      {typed + "steps: {a: {set: 1}, b: {set: '{{ steps.a.text }}'}}", "5:35 unknown-name", "no text", ""},
      {typed + "steps: {a: {set: 1}, b: {set: '{{ steps.a.items }}'}}", "5:35 unknown-name", "no for_each", ""},
      {typed + "steps: {a: {set: 1}, b: {set: '{{ steps.a.iteration }}'}}", "5:35 unknown-name", "does not repeat", ""},
      {typed + "steps: {a: {tool: fs.list, args: '{{ input.l }}'}}", "5:28 type", "args must be a map", ""},
  });
}

TEST_CASE("what a condition proved says nothing of another thing of the same name") {
  check_each({
      {"steps:\n  src: {set: [{n: 5}], output: [{n: 'integer?'}]}\n  lists: {set: [{n: null}], output: [{n: "
       "'integer?'}]}\n"
       "  outer:\n    for_each: steps.src.output\n    steps:\n"
       "      inner: {when: item.n != null, for_each: steps.lists.output, set: '{{ item.n + 1 }}'}",
       "9:76 type", "", ""},
      {"returns: 1\ninput: {m: {'a.b': 'string?', a: {b: 'string?'}}}\n"
       "steps: {s: {when: 'input.m[\"a.b\"] != null', set: '{{ input.m.a.b.size() }}'}}",
       "5:54 type", "", ""},
      {"returns: 1\nsteps: {p: {prompt: x, on_error: {use: z}}, r: {prompt: '{{ steps.p.text.size() }}'}}", "4:61 type",
       "", ""},
  });
}

TEST_CASE("a condition narrows what may be null in its own step and inside it") {
  CHECK(faults_of(whole(R"(
input: {o: string?}
steps:
  a: {prompt: x, output: {order: string?}}
  b: {when: steps.a.output.order != null && input.o != null, set: "{{ steps.a.output.order.size() + input.o.size() }}"}
  g: {when: has(input.o), steps: {i: {set: "{{ input.o.size() }}"}}}
  z: {set: 1}
)")) == Faults{});
  CHECK(faults_of(whole(
            "input: {o: string?}\nsteps: {a: {when: input.o != null, set: 1}, b: {set: '{{ input.o.size() }}'}}")) ==
        Faults{"4:58 type"});
}

TEST_CASE("a switch over known values covers all of them, and has no case beside them") {
  const std::string classify =
      "steps:\n  c: {prompt: x, output: {kind: {enum: [bug, question]}, ok: boolean}}\n  d: {set: 1}\n";
  check_each({
      {classify + "  s: {switch: steps.c.output.kind, cases: {bug: none}}", "6:36 non-exhaustive",
       "no case for question", "default: none"},
      {classify + "  s: {switch: steps.c.output.ok, cases: {true: none}}", "6:34 non-exhaustive", "no case for false",
       ""},
      {classify + "  s: {switch: steps.c.output.kind, cases: {bugg: d}, default: none}", "6:44 unreachable",
       "can never be chosen", "\"bug\""},
      {classify + "  s: {switch: steps.c.output.kind, cases: {bug: none, question: none}, default: d}",
       "5:3 unreachable", "can never start", ""},
  });
  CHECK(faults_of(whole(classify + "  s: {switch: steps.c.output.kind, cases: {bug: none, question: none}}")) ==
        Faults{});
  CHECK(faults_of(whole(classify + "  s: {switch: 'steps.c.text', cases: {bug: none}}")) == Faults{});
}

TEST_CASE("steps that can never start are named") {
  check_each({
      {"steps: {a: {set: 1, when: false}, b: {set: 1}}", "3:27 unreachable", "can never start", ""},
      {R"(steps:
  s: {switch: "true", cases: {true: a, false: b}}
  a: {set: 1}
  b: {set: 2}
  c: {set: "{{ steps.a.output }} {{ steps.b.output }}"}
returns: "{{ steps.c.output }}"
)",
       "7:3 unreachable", "never chooses both", "steps.a.output ?? steps.b.output"},
  });
}

TEST_CASE("what changes the world is held back, and its elements have keys") {
  check_each({
      {"steps: {a: {tool: fs.append}}", "3:9 effect-at-start", "waits for nothing", "needs: []"},
      {"steps: {a: {prompt: x, tools: [fs.append]}}", "3:9 effect-at-start", "waits for nothing", "needs: []"},
      {"steps: {g: {steps: {a: {tool: fs.append}}}}", "3:21 effect-at-start", "waits for nothing", ""},
      {"steps: {a: {tool: fs.append, needs: [], for_each: '[1]'}}", "3:9 for-each-key", "key of its own",
       "key: item.id"},
      {"steps: {g: {needs: [], for_each: '[1]', steps: {a: {tool: fs.append}}}}", "3:9 for-each-key", "key of its own",
       ""},
  });
  CHECK(faults_of(whole("steps: {g: {needs: [], steps: {a: {tool: fs.append}}}}")) == Faults{});
  CHECK(faults_of(whole("steps: {x: {set: 1}, g: {needs: [x], steps: {a: {tool: fs.append}}}}")) == Faults{});
  CHECK(faults_of(whole("steps: {a: {tool: fs.list, args: {path: a}}}")) == Faults{});
}

TEST_CASE("tools that no wire format can carry are refused") {
  check_each({
      {"steps: {a: {prompt: x, tools: [a__b]}}", "3:31 tools", "has __ in its name", ""},
  });
  CHECK(faults_of(whole("steps: {a: {prompt: x, tools: [a.b, a__b]}}")) == Faults{"3:31 tools", "3:31 tools"});
  World world;
  std::string tools;
  for (int i = 0; i < 129; ++i) {
    world.tools.push_back({"t" + std::to_string(i), "{}", Effect::kRead});
    tools += (i ? ", t" : "t") + std::to_string(i);
  }
  const Loaded loaded = load({"t.yaml", whole("steps: {a: {prompt: x, tools: [" + tools + "]}}"), {}}, world);
  REQUIRE(loaded.diagnostics.size() == 1);
  CHECK(loaded.diagnostics[0].code == "tools");
}

TEST_CASE("arguments are compared with what the tool takes") {
  check_each({
      {"steps: {a: {tool: fs.read, args: {path: a, line: 3}}}", "3:44 args", "\"line\"", "\"lines\""},
      {"steps: {a: {tool: fs.read, args: {lines: 3}}}", "3:34 args", "needs the argument \"path\"", ""},
      {"steps: {a: {tool: fs.read}}", "3:9 args", "needs the argument \"path\"", ""},
      {"steps: {a: {tool: fs.read, args: [1]}}", "3:34 type", "must be a map", ""},
  });
}

TEST_CASE("system texts hold no templates, and what changes in them is warned about") {
  check_each({
      {"agents: {r: {system: 'You are {{ input.x }}.'}}\nsteps: {a: {set: 1}}", "3:22 static-text", "holds no {{ }}",
       ""},
      {"context: ['{{ x }}']\nsteps: {a: {set: 1}}", "3:11 static-text", "holds no {{ }}", ""},
      {"agents: {r: {system: Today is 2026-01-31.}}\nsteps: {a: {set: 1}}", "3:22 volatile", "a date", ""},
      {"steps: {a: {prompt: x, system: 'id 123e4567-e89b-12d3-a456-426614174000'}}", "3:32 volatile", "a UUID", ""},
  });
  const Diagnostic file =
      only_fault(whole("context: [{file: a.md}]\nsteps: {a: {set: 1}}"), {{"a.md", "Use {{ this }}."}});
  CHECK(place_and_code(file) == "3:18 static-text");
  CHECK(file.severity == Severity::kWarning);
}

TEST_CASE("secrets are refused and not repeated") {
  const std::string key = "sk-" + std::string(32, 'a');
  for (const std::string& secret : {key, "AKIA" + std::string(16, 'B'), "ghp_" + std::string(36, 'c'),
                                    std::string("-----BEGIN RSA PRIVATE KEY-----")}) {
    const Diagnostic fault = only_fault(whole("steps: {a: {prompt: 'use " + secret + "'}}"));
    CHECK(place_and_code(fault) == "3:21 secret");
    CHECK(fault.message.find(secret) == std::string::npos);
    CHECK(fault.witness.empty());
  }
  CHECK(only_fault(whole("context: [{file: a.md}]\nsteps: {a: {set: 1}}"), {{"a.md", key}}).code == "secret");
  CHECK(faults_of(whole("steps: {a: {prompt: 'ask-me-anything-about-sk-learn'}}")) == Faults{});
}

TEST_CASE("settings are held to their ranges") {
  check_each({
      {"steps: {a: {set: 1, repeat: {until: 'true'}}}", "3:29 repeat-bound", "no at_most", "at_most: N"},
      {"steps: {a: {set: 1, repeat: {at_most: 3}}}", "3:29 missing-key", "until when", ""},
      {"steps: {a: {set: 1, repeat: {until: 'true', at_most: 1001}}}", "3:54 count", "from 1 to 1000", ""},
      {"steps: {a: {set: 1, timeout: 5}}", "3:30 duration", "no duration", ""},
      {"steps: {a: {set: 1, timeout: 0s}}", "3:30 duration", "longer than nothing", ""},
      {"steps: {a: {set: 1, retry: {backoff: 30s..1s}}}", "3:38 duration", "no range", "1s..30s"},
      {"steps: {a: {set: 1, retry: {attempts: 0}}}", "3:39 count", "attempts", ""},
      {"steps: {a: {set: 1, for_each: '[1]', max_parallel: 0}}", "3:52 count", "max_parallel", ""},
      {"steps: {a: {set: 1, for_each: '[1]', on_item_error: skip}}", "3:53 choice", "fail, keep, drop", ""},
      {"steps: {a: {prompt: x, temperature: 3}}", "3:37 count", "from 0 to 2", ""},
      {"steps: {a: {prompt: x, turns: many}}", "3:31 count", "turns", ""},
      {"steps: {a: {prompt: [x]}}", "3:21 type", "prompt must be a text", ""},
      {"steps: {a: {set: 1}}\ndescription: 5", "4:14 type", "quote it", ""},
      {"steps: {}", "3:8 type", "at least one step", ""},
      {"steps: {s: {switch: 'true'}}", "3:12 missing-key", "no cases", ""},
      {"input: [a]\nsteps: {a: {set: 1}}", "3:8 type", "input must be a map", ""},
      {"input: {n: {type: integer, default: x}}\nsteps: {a: {set: 1}}", "3:37 type", "", ""},
      {"models: {r: {}}\nsteps: {a: {set: 1}}", "3:10 missing-key", "names no model", "{use: MODEL}"},
  });
}

TEST_CASE("files are named beneath the folder, found, and text") {
  const std::string steps = "\nsteps: {a: {set: 1}}";
  check_each({
      {"context: [{file: ../x}]" + steps, "3:18 file", "does not stay beneath", ""},
      {"context: [{file: /etc/passwd}]" + steps, "3:18 file", "does not stay beneath", ""},
      {"context: [{file: a//b}]" + steps, "3:18 file", "does not stay beneath", ""},
      {"context: [{file: none.md}]" + steps, "3:18 file", "not found", ""},
      {"context: [{}]" + steps, "3:11 type", "{file: PATH}", ""},
  });
  const std::string text = whole("context: [{file: note.md}]" + steps);
  CHECK(only_fault(text, {{"notes.md", "x"}}).suggestion == "did you mean \"notes.md\"?");
  CHECK(only_fault(text, {{"note.md", "\xFF"}}).code == "file");
  CHECK(only_fault(text, {{"note.md", std::string(kBundleFileBytesMax + 1, 'x')}}).code == "limit");
  CHECK(only_fault(text, std::vector<BundleFile>(kBundleFilesMax + 1, {"a", "b"})).code == "limit");
}

TEST_CASE("the file says its version and its name") {
  CHECK(faults_of("name: x\nsteps: {a: {set: 1}}") == Faults{"1:1 missing-key"});
  CHECK(faults_of("weft: 1\nsteps: {a: {set: 1}}") == Faults{"1:1 missing-key"});
  CHECK(faults_of("weft: one\nname: x\nsteps: {a: {set: 1}}") == Faults{"1:7 version"});
  CHECK(faults_of("weft: 1\nname: x") == Faults{"1:1 missing-key"});
  const Diagnostic newer = only_fault("weft: 2\nname: x\nanything: {new: 1}");
  CHECK(place_and_code(newer) == "1:7 version");
  CHECK(newer.message == "the file is in version 2 of the language, and this program knows version 1");
  CHECK(faults_of("") == Faults{"1:1 type"});
  CHECK(faults_of("- 1") == Faults{"1:1 type"});
}

TEST_CASE("a result that can be skipped is a warning, and an error where warnings are errors") {
  const std::string text = whole("input: {x: boolean}\nsteps: {a: {set: 1, when: input.x}}");
  const Diagnostic warning = only_fault(text);
  CHECK(place_and_code(warning) == "4:9 result-skipped");
  CHECK(warning.severity == Severity::kWarning);
  World strict = small_world();
  strict.strict = true;
  const Loaded loaded = load({"test.yaml", text, {}}, strict);
  CHECK(!loaded.workflow);
  REQUIRE(loaded.diagnostics.size() == 1);
  CHECK(loaded.diagnostics[0].severity == Severity::kError);
  CHECK(faults_of(text + "\nreturns: '{{ steps.a.output ?? 0 }}'") == Faults{});
}

TEST_CASE("division of integers is a warning") {
  const Diagnostic fault = only_fault(whole("input: {n: integer}\nsteps: {a: {set: '{{ input.n / 2 }}'}}"));
  CHECK(fault.severity == Severity::kWarning);
  CHECK(fault.mark.line == 4);
}

TEST_CASE("all mistakes of a file come in one pass, in the order of the file") {
  const Faults faults = faults_of(R"(weft: 1
name: many
agents:
  r: {system: "{{ x }}", turn: 3}
steps:
  a: {prompt: {{ input.x }}, budget: {usd: 1}}
  b: {prompt: x, promt: y, model: gpt}
  c: {set: "{{ steps.z.output }}", needs: [q]}
  d: {set: 1, timeout: soon}
  d: {set: 2}
)");
  CHECK(faults == Faults{"4:15 static-text", "4:26 unknown-key", "6:15 yaml-template", "6:18 unknown-field",
                         "6:30 later", "7:18 unknown-key", "7:35 unknown-model", "8:16 unknown-step",
                         "8:44 unknown-step", "9:24 duration", "10:3 duplicate-key"});
}

TEST_CASE("a diagnostic is written with its place, its code and, indented, its way out") {
  const Diagnostic diagnostic{
      "f.yaml", {3, 7}, "unknown-key", Severity::kError, "a step has no key \"x\x1b\"", "did you mean \"y\"?", {}};
  CHECK(to_text(diagnostic) ==
        "f.yaml:3:7: error: a step has no key \"x\\x1b\" [unknown-key]\n    did you mean \"y\"?");
}

TEST_CASE("diagnostics are bounded in number and length, and errors come before warnings") {
  Diagnostics diagnostics("f.yaml");
  for (std::uint32_t i = 0; i < 300; ++i) diagnostics.warning({i + 1, 1}, "w", "w");
  diagnostics.error({1, 1}, "e", std::string(5000, 'x'));
  CHECK(diagnostics.has_errors());
  CHECK(diagnostics.full());
  const auto all = diagnostics.take();
  REQUIRE(all.size() == Diagnostics::kDiagnosticsMax);
  CHECK(std::any_of(all.begin(), all.end(), [](const Diagnostic& one) { return one.code == "e"; }));
  for (const Diagnostic& one : all) CHECK(one.message.size() <= Diagnostics::kSentenceBytesMax + 3);
}

TEST_CASE("the nearest name is the one that was meant, or none") {
  const std::vector<std::string> names{"prompt", "tool", "steps", "switch", "set", "timeout"};
  CHECK(nearest("promt", names) == "prompt");
  CHECK(nearest("pormpt", names) == "prompt");
  CHECK(nearest("Tool", names) == "tool");
  CHECK(nearest("setp", names) == "set");
  CHECK(nearest("elephant", names).empty());
  CHECK(nearest("x", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest(std::string(1000, 'a'), names).empty());
}

}  // namespace
}  // namespace weft::workflows
