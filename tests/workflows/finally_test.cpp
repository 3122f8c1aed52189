// What the checker says of `finally`: what it may read, who may read it, and what bounds it.
#include <algorithm>

#include "loading.h"

using namespace weft::workflows;

namespace {

void check_fault(const std::string& text, const std::string& place_and_code, const std::string& says) {
  INFO(text);
  const Loaded loaded = load_text(whole(text));
  REQUIRE(loaded.diagnostics.size() == 1);
  const Diagnostic& fault = loaded.diagnostics.front();
  CHECK(std::to_string(fault.mark.line) + ":" + std::to_string(fault.mark.column) + " " + fault.code == place_and_code);
  INFO(fault.message);
  CHECK(fault.message.find(says) != std::string::npos);
}

}  // namespace

TEST_CASE("finally reads the steps beside it and how they went, strictly or tolerantly") {
  const auto workflow = load_good(whole(R"(
steps:
  a: {prompt: x}
  g:
    steps: {b: {prompt: y}}
    finally: {c: {set: "{{ steps.b.status + run.status + (run.error.message ?? '') }}"}}
finally:
  d: {set: "{{ steps.a.output }}"}
  e: {set: "{{ [run.status, steps.a.error.kind ?? '', steps.d.output ?? ''] }}"}
)"));
  CHECK(workflow->top().finally_from == 2);
  CHECK(workflow->top().has_finally());
  CHECK(workflow->step(workflow->top().last()).name == "g");
  CHECK(workflow->in_finally(workflow->find(0, "d")->id));
  CHECK_FALSE(workflow->in_finally(workflow->find(0, "a")->id));
  CHECK(workflow->in_finally(workflow->find(1, "c")->id));
  // The canonical form holds it, and means the same.
  CHECK(load_good(workflow->canonical)->hash == workflow->hash);
}

TEST_CASE("a finally may change the world without waiting for anything, and be a whole graph") {
  load_good(whole(R"(
steps: {a: {prompt: x}}
finally:
  choose: {switch: run.status, cases: {failed: undo_it}, default: none}
  undo_it: {steps: {one: {tool: refund, args: {}}}}
)"));
}

TEST_CASE("what stands in finally is read there alone") {
  check_fault("steps: {a: {set: '{{ steps.z.output }}'}}\nfinally: {z: {set: 1}}", "3:22 scope", "stands in finally");
  check_fault("steps: {a: {set: 1, needs: [z]}}\nfinally: {z: {set: 1}}", "3:29 scope", "stands in finally");
  check_fault("steps: {a: {set: 1}}\nfinally: {z: {set: 1}}\nreturns: '{{ steps.z.output }}'", "5:14 scope",
              "stands in finally");
  check_fault("steps: {a: {switch: 'true', cases: {true: z, false: none}}}\nfinally: {z: {set: 1}}", "3:43 scope",
              "beside it");
  check_fault("steps: {a: {set: 1}, g: {steps: {b: {set: '{{ steps.z.status }}'}}}}\nfinally: {z: {set: 1}}",
              "3:47 scope", "stands in finally");
  check_fault("steps: {a: {set: '{{ run.status }}'}}", "3:22 unknown-field", "status");
  check_fault("steps: {g: {steps: {a: {set: 1}}, finally: {z: {set: 1}}}, b: {set: '{{ steps.z.status }}'}}",
              "3:73 scope", "inside the group");
}

TEST_CASE("names in finally are the scope's own, and its steps cannot wait for ever") {
  check_fault("steps: {a: {set: 1}}\nfinally: {a: {set: 2}}", "4:11 name", "stands in steps too, in line 3");
  check_fault("steps: {a: {set: 1}}\nfinally: {z: {ask: 'Well?'}}", "4:11 finally-bound", "wait for ever");
  check_fault("steps: {a: {set: 1}}\nfinally: {g: {steps: {z: {wait: {signal: go}}}}}", "4:23 finally-bound",
              "wait for ever");
  check_fault("steps: {a: {set: 1}}\nfinally: {z: {set: 1, repeat: {until: 'false', at_most: 2, else: ask}}}",
              "4:11 finally-bound", "whether to go on");
  check_fault("steps: {a: {set: 1}}\nfinally: {}", "4:10 type", "finally must be a map of at least one step");
  check_fault("steps: {a: {set: 1}}\nfinally: [1]", "4:10 type", "finally must be a map");
}

TEST_CASE("what a step beside finally left behind may be missing there") {
  check_fault("steps: {a: {for_each: '[1]', set: '{{ item }}'}}\nfinally: {z: {set: '{{ size(steps.a.items) }}'}}",
              "4:29 type", "");
  load_good(whole(
      "steps: {a: {for_each: '[1]', set: '{{ item }}'}}\nfinally: {z: {set: '{{ size(steps.a.items ?? []) }}'}}"));
}
