// Rounds that are used up and somebody who lets them go on; labels that a workflow words.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

std::shared_ptr<const workflows::Workflow> steps(const std::string& text) {
  return workflow("weft: 1\nname: rounds\nsteps:\n" + text);
}

constexpr const char* kTries = R"(
  try:
    repeat: {until: "steps.try.output == 'good'", at_most: 2, else: ask}
    prompt: "Round {{ previous.output ?? 'one' }}"
  after: {set: "{{ steps.try.status }} after {{ steps.try.iteration }}", needs: [try]}
)";

v1::AttemptStarted started(const Driver& driver, const std::string& path) {
  for (const v1::Event& event : driver.events()) {
    if (event.path() == path && event.has_attempt_started()) return event.attempt_started();
  }
  FAIL("no attempt at " << path);
  return {};
}

}  // namespace

TEST_CASE("when the rounds are used up somebody is asked: as many again, the last one counts, or the step fails") {
  Driver driver(steps(kTries));
  driver.submit();
  driver.finish();
  const auto open = driver.run().open_waits();
  REQUIRE(open.size() == 1);
  CHECK(open[0].asks);
  CHECK(open[0].key.path == "try#2");
  CHECK(open[0].waiting.choices_size() == 3);
  CHECK(driver.count(v1::Event::kModelCallEnded) == 2);
  SECTION("more, and then it is good") {
    driver.model = [](const ModelCall& call) { return answer(call.key.path == "try#4" ? "good" : "bad"); };
    driver.reply("try#2", "\"more\"", "ann");
    driver.finish();
    CHECK(driver.output() == "succeeded after 4");
    CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  }
  SECTION("more, and it is asked again after as many") {
    driver.reply("try#2", "\"more\"");
    driver.finish();
    REQUIRE(driver.run().open_waits().size() == 1);
    CHECK(driver.run().open_waits()[0].key.path == "try#4");
    driver.reply("try#4", "\"keep\"");
    CHECK(driver.output() == "succeeded after 4");
  }
  SECTION("keep") {
    driver.reply("try#2", "\"keep\"");
    CHECK(driver.output() == "succeeded after 2");
    CHECK(driver.end().status() == v1::RUN_STATUS_LIMITED);
    CHECK(driver.step_ended("try").result().exhausted());
  }
  SECTION("fail") {
    driver.reply("try#2", "\"fail\"");
    CHECK(driver.end().status() == v1::RUN_STATUS_FAILED);
    CHECK(driver.end().failure().kind() == v1::ERROR_KIND_EXHAUSTED);
    CHECK(driver.end().failure().message().find("within 2 rounds") != std::string::npos);
  }
  SECTION("cancelled meanwhile") {
    driver.cancel();
    CHECK(driver.end().status() == v1::RUN_STATUS_CANCELLED);
  }
  SECTION("after a restart") {
    auto again = driver.restarted();
    REQUIRE(again->run().open_waits().size() == 1);
    CHECK(again->in_flight().empty());
    again->reply("try#2", "\"keep\"");
    CHECK(again->output() == "succeeded after 2");
  }
}

TEST_CASE("an element that asks whether to go on gives its place back, and its answer moves it alone") {
  Driver driver(steps(R"(
  each:
    for_each: {in: "['a', 'b', 'c']", key: item}
    max_parallel: 1
    repeat: {until: steps.look.output == 'fine', at_most: 1, else: ask}
    steps:
      look: {prompt: "Look at {{ item }}"}
)"));
  driver.submit();
  driver.finish();
  REQUIRE(driver.run().open_waits().size() == 3);
  driver.model = [](const ModelCall&) { return answer("fine"); };
  driver.reply("each[b]#1", "\"more\"");
  driver.finish();
  CHECK(driver.count(v1::Event::kElementEnded) == 1);
  CHECK(driver.count(v1::Event::kModelCallEnded) == 4);
  driver.reply("each[a]#1", "\"keep\"");
  driver.reply("each[c]#1", "\"keep\"");
  CHECK(driver.output() == Json{"ok", "fine", "ok"});
}

TEST_CASE("a group's timeout stands still while its rounds wait for somebody") {
  Driver driver(steps(R"(
  g:
    timeout: 1m
    steps:
      inner: {repeat: {until: "false", at_most: 1, else: ask}, set: 1}
)"));
  driver.submit();
  REQUIRE(driver.run().open_waits().size() == 1);
  CHECK(driver.run().waits({"g", 1, 0, 0}));
  driver.reply("g/inner#1", "\"keep\"");
  CHECK(driver.run().ended());
}

TEST_CASE("nobody lets rounds go on for ever") {
  Driver driver(steps("  a: {repeat: {until: 'false', at_most: 1000, else: ask}, set: 1}\n"));
  driver.submit();
  for (std::uint32_t lot = 1; lot < kRoundsMax / 1000; ++lot) {
    driver.reply("a#" + std::to_string(lot * 1000), "\"more\"");
  }
  REQUIRE(driver.run().ended());
  CHECK(driver.end().status() == v1::RUN_STATUS_LIMITED);
  CHECK(driver.step_ended("a").result().iteration() == kRoundsMax);
}

TEST_CASE("a label is worded when its step starts, and recorded with each attempt") {
  Driver driver(steps(R"(
  first: {prompt: "x"}
  each:
    for_each: "['ada', 'bob']"
    label: "Letter to {{ item }}, {{ steps.first.status }}"
    prompt: "{{ item }}"
  plain: {label: Just so, wait: 1s}
)"));
  driver.submit();
  driver.finish();
  CHECK(started(driver, "each[1]").label() == "Letter to bob, succeeded");
  CHECK(started(driver, "plain").label() == "Just so");
  CHECK(started(driver, "first").label().empty());
}

TEST_CASE("a label keeps no step from starting, fails none, and is cut at a character's end") {
  Driver driver(steps(R"(
  gone: {when: "1 > 2", prompt: "x"}
  a: {label: "{{ steps.gone.output ?? 'nothing' }} and {{ steps.gone.output }}", prompt: "y"}
  b: {label: "{{ 1 / (size(run.id) - 3) }}", prompt: "y"}
  c: {label: "{{ ['äöü'].map(x, x.replace('ö', 'öööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööööö')).join() }}", prompt: "y"}
)"));
  driver.submit();
  driver.finish();
  CHECK(driver.end().status() == v1::RUN_STATUS_SUCCEEDED);
  CHECK(started(driver, "a").label() == "nothing and null");
  CHECK(started(driver, "b").label().find("division") != std::string::npos);
  CHECK(started(driver, "c").label().size() == kLabelBytesMax);
}
