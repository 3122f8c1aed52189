// Signals to many steps that wait: what one of them costs, and in which order things happen.
#include <catch2/catch.hpp>
#include <ctime>
#include <nlohmann/json.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

std::string ids(std::size_t count) {
  Json list = Json::array();
  for (std::size_t i = 0; i < count; ++i) list.push_back(Json{{"id", "order-" + std::to_string(i)}});
  return Json{{"orders", list}}.dump();
}

std::string payload(std::size_t i) { return R"({"id":"order-)" + std::to_string(i) + R"(","by":"ann"})"; }

// Times what the core does, without the doubles that the driver keeps beside a run.
double seconds_of(const std::shared_ptr<const workflows::Workflow>& workflow, std::size_t count, std::size_t& taken) {
  MemoryContents contents;
  Run run(workflow, tool_table(), contents);
  const auto admit = [&](v1::Event event) {
    stamp(event, run.last_seq(), run.last_at_us(), run.digest(), 1'000'000, 1);
    const Status applied = run.apply(event);
    if (!applied) FAIL(applied.error().message);
    taken += event.has_signal_taken();
  };
  const auto settle = [&] {
    while (auto decision = run.decide().value()) admit(*std::move(decision));
    while (run.next()) {
      // Its timers.
    }
  };
  v1::Event submitted;
  submitted.mutable_run_submitted()->mutable_identity()->set_run_id("run");
  submitted.mutable_run_submitted()->set_semantics(kSemantics);
  submitted.mutable_run_submitted()->mutable_input_json()->set_inline_(ids(count));
  admit(submitted);
  settle();
  const std::clock_t begin = std::clock();
  for (std::size_t i = 0; i < count; ++i) {
    v1::Event signal;
    signal.mutable_signal_received()->set_name("paid");
    signal.mutable_signal_received()->set_id("signal-" + std::to_string(i));
    // From the last to the first, so that the order of waiting helps nobody.
    signal.mutable_signal_received()->mutable_payload_json()->set_inline_(payload(count - 1 - i));
    admit(std::move(signal));
    settle();
  }
  CHECK(run.ended());
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("one signal each to 2,000 waiting elements costs what changes, not what is there") {
  struct Case {
    std::string match;
  };
  for (const std::string match : {"signal.id == item.id", "signal.by == 'ann' && item.id == signal.id"}) {
    CAPTURE(match);
    const auto waits = workflow(
        "weft: 1\nname: many\ninput: {orders: [{id: string}]}\nsteps:\n  paid:\n    for_each: input.orders\n    "
        "max_parallel: 1000\n    wait: {signal: paid}\n    match: \"" +
        match + "\"\n");
    std::size_t taken = 0;
    const double few = seconds_of(waits, 250, taken);
    CHECK(taken == 250);
    taken = 0;
    const double many = seconds_of(waits, 2'000, taken);
    CHECK(taken == 2'000);
    CAPTURE(few, many);
    CHECK(many < 0.2 * 5);      // 0.2 s on a quiet machine.
    CHECK(many < 8 * few * 4);  // As many more as there are, not the square of it.
  }
}

TEST_CASE("a signal without a question goes to the first that waits, and each to another") {
  Driver driver(workflow("weft: 1\nname: any\nsteps:\n  got:\n    for_each: \"[0, 1, 2]\"\n    wait: {signal: go}\n"));
  driver.submit();
  for (const char* value : {"\"a\"", "\"b\"", "\"c\""}) driver.signal("go", value);
  CHECK(driver.output() == Json::array({"a", "b", "c"}));
}

TEST_CASE("a question that turns on no equality, or on a value that is none, is put to each") {
  const auto by = [](const std::string& match) {
    return workflow(
        "weft: 1\nname: each\ninput: {keys: [any]}\nsteps:\n  got:\n    for_each: input.keys\n    "
        "wait: {signal: go}\n    match: \"" +
        match + "\"\n");
  };
  SECTION("no equality") {
    Driver driver(by("signal.n > item"));
    driver.submit(R"({"keys": [5, 3]})");
    driver.signal("go", R"({"n": 4})");
    driver.signal("go", R"({"n": 9})");
    CHECK(driver.output() == Json::array({Json{{"n", 9}}, Json{{"n", 4}}}));
  }
  SECTION("numbers are equal whatever they are written as, and lists by what is in them") {
    Driver driver(by("signal.key == item"));
    driver.submit(R"({"keys": [1, "1", [1, 2], {"a": 1, "b": 2}, null]})");
    for (const char* key : {"{\"b\": 2, \"a\": 1.0}", "null", "[1.0, 2]", "\"1\"", "1.0"}) {
      driver.signal("go", std::string("{\"key\": ") + key + "}");
    }
    REQUIRE(driver.run().ended());
    CHECK(driver.output()[1]["key"] == "1");
    CHECK(driver.output()[4]["key"].is_null());
  }
  SECTION("a signal that the question cannot be put of is kept for another") {
    Driver driver(by("signal.key == item"));
    driver.submit(R"({"keys": ["a"]})");
    driver.signal("go", "7");
    CHECK_FALSE(driver.run().ended());
    CHECK(driver.run().signals_kept() == 1);
    driver.signal("go", R"({"key": "a"})");
    CHECK(driver.run().ended());
  }
}

TEST_CASE("what a signal lets go on goes on in the order of the definition, also behind a restart") {
  const auto chain = workflow(R"(
weft: 1
name: chain
steps:
  first: {wait: {signal: go}}
  second: {set: "{{ steps.first.output.n }}"}
  third: {set: "{{ steps.second.output + 1 }}"}
  fourth: {set: "{{ steps.first.output.n * 2 }}"}
)");
  Driver driver(chain);
  driver.submit();
  const auto again = driver.restarted();
  driver.signal("go", R"({"n": 3})");
  again->signal("go", R"({"n": 3})");
  std::vector<std::string> order;
  for (const v1::Event& event : driver.events()) {
    if (event.has_step_ended()) order.push_back(event.path());
  }
  CHECK(order == std::vector<std::string>{"first", "second", "third", "fourth"});
  CHECK(driver.run().digest() == again->run().digest());
}

TEST_CASE("signals that come before anybody waits are found by who begins to wait, the oldest first") {
  Driver driver(workflow(R"(
weft: 1
name: early
steps:
  pause: {wait: 30s}
  got: {for_each: "['b', 'a', 'b']", wait: {signal: go}, match: "signal.key == item", needs: [pause]}
)"));
  driver.submit();
  int n = 0;
  for (const char* key : {"x", "a", "b", "b"})
    driver.signal("go", R"({"key": ")" + std::string(key) + R"(", "n": )" + std::to_string(++n) + "}");
  driver.fire(v1::TIMER_KIND_WAIT);
  REQUIRE(driver.run().ended());
  CHECK(driver.output()[0]["n"] == 3);
  CHECK(driver.output()[1]["n"] == 2);
  CHECK(driver.output()[2]["n"] == 4);
}
