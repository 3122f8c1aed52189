// How much one run may be, and decisions that are left off and taken again.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

std::string numbers(std::size_t count) {
  Json list = Json::array();
  for (std::size_t i = 0; i < count; ++i) list.push_back(i);
  return Json{{"l", list}}.dump();
}

const char* const kNested = R"(
weft: 1
name: nested
input: {l: [integer]}
steps:
  a:
    for_each: input.l
    steps: {b: {for_each: input.l, set: "1"}}
    returns: 1
)";

}  // namespace

TEST_CASE("elements in elements beyond the limit of a run fail the step in a sentence with its name and the numbers") {
  Driver driver(workflow(kNested), 0, {.slots_max = 1'000});
  driver.submit(numbers(100));
  driver.finish();
  REQUIRE(driver.run().ended());
  CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
  CHECK_THAT(driver.end().failure().message(),
             Catch::Contains("for_each of `b`: 100 more would make 1100 elements and rounds of this run; the limit is "
                             "1000 (slots_max)"));
  CHECK(driver.run().slots_begun() == 1'000);
  CHECK_THAT(driver.end().failure().path(), Catch::Contains("a[8]") || Catch::Contains("a[9]") || Catch::Contains("b"));
}

TEST_CASE("rounds count as elements do") {
  Driver driver(workflow(R"(
weft: 1
name: rounds
steps:
  outer:
    repeat: {until: "false", at_most: 100}
    steps: {inner: {repeat: {until: "false", at_most: 100, else: keep}, set: "1"}}
)"),
                0, {.slots_max = 500});
  driver.submit();
  driver.finish();
  REQUIRE(driver.run().ended());
  CHECK_THAT(driver.end().failure().message(), Catch::Contains("repeat of `inner`: 1 more would make 501"));
  CHECK(driver.run().slots_begun() == 500);
}

TEST_CASE("a run that holds too much fails at the step that would make it more; its finally still runs") {
  Driver driver(workflow(R"(
weft: 1
name: large
input: {l: [integer]}
steps:
  a: {for_each: input.l, set: "{{ 'x'.replace('x', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy') }}"}
finally:
  tidy: {set: "{{ 'tidied' }}"}
)"),
                0, {.state_bytes_max = 200'000});
  driver.submit(numbers(2'000));
  driver.finish();
  REQUIRE(driver.run().ended());
  CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
  CHECK_THAT(driver.end().failure().message(), Catch::Contains("`a`") && Catch::Contains("the limit is 200000"));
  CHECK(driver.status("tidy") == "succeeded");
  CHECK(driver.run().state_bytes() < 400'000);
}

TEST_CASE("what a run holds is given back with what has ended") {
  Driver driver(workflow(kNested));
  driver.submit(numbers(30));
  const auto most = driver.run().state_bytes();
  driver.finish();
  REQUIRE(driver.run().ended());
  CHECK(driver.output() == Json(std::vector<int>(30, 1)));
  CHECK(driver.run().slots_begun() == 930);
  CHECK(driver.run().state_bytes() < most + 30 * 100'000);
  // The same number however it was reached.
  CHECK(driver.restarted()->run().state_bytes() == driver.run().state_bytes());
}

TEST_CASE("a decision that costs more than it may is left off, and is the same when it is taken again") {
  const auto dear = workflow(R"(
weft: 1
name: dear
input: {l: [integer]}
steps:
  a: {set: "{{ input.l.map(x, input.l.filter(y, y < x).size()).sum() }}"}
)");
  MemoryContents contents;
  Run run(dear, tool_table(), contents);
  v1::Event submitted;
  submitted.mutable_run_submitted()->mutable_identity()->set_run_id("run");
  submitted.mutable_run_submitted()->set_semantics(kSemantics);
  submitted.mutable_run_submitted()->mutable_input_json()->set_inline_(numbers(200));
  stamp(submitted, 0, 0, "", 1, 1);
  REQUIRE(run.apply(submitted));
  Budget little(20'000);
  CHECK_FALSE(run.decide(little).value());
  CHECK(little.over());
  CHECK(little.spent() < 20'000 + 2 * Budget::kLookUnits);
  const std::atomic<bool> stop = true;
  Budget stopped(Budget::kEndless, &stop);
  CHECK_FALSE(run.decide(stopped).value());
  CHECK(stopped.over());
  Budget enough(100'000'000);
  const auto decision = run.decide(enough).value();
  REQUIRE(decision);
  CHECK_FALSE(enough.over());
  CHECK(decision->step_ended().result().output_json().inline_() == "19900");
  Budget endless;
  CHECK(run.decide(endless).value()->SerializeAsString() == decision->SerializeAsString());
}

TEST_CASE("one decision has a limit of its own, and the step fails by it") {
  Driver driver(workflow(R"yaml(
weft: 1
name: keys
input: {l: [integer]}
steps:
  a: {for_each: {in: input.l, key: "string(item + input.l.map(x, x * x % 7).sum())"}, set: "1"}
)yaml"));
  driver.submit(numbers(20'000));
  driver.finish();
  REQUIRE(driver.run().ended());
  CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
  CHECK_THAT(driver.end().failure().message(), Catch::Contains("decision_cost_max"));
}
