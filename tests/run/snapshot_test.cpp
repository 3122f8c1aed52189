// What a snapshot is refused for. That a run goes on from one as from its events, the driver shows in every test here.
#include <google/protobuf/stubs/logging.h>

#include <catch2/catch.hpp>

#include "driver.h"

using namespace weft;
using namespace weft::run;
using namespace weft::run::testing;

namespace {

const std::string kRich = R"(
weft: 1
name: rich
input: {text: {type: string, default: hello}}
tools:
  act: {effect: write, input: {x: any}, http: {post: "http://shop.example/x"}}
steps:
  all:
    for_each: {in: "[1, 2, 3]", key: item}
    steps:
      say: {prompt: "Say {{ item }} {{ input.text }}."}
      pay: {tool: act, args: {x: "{{ item }}"}, needs: [say]}
  ask: {ask: "May it?", choices: [yes, no], needs: []}
)";

std::shared_ptr<const workflows::Workflow> rich() {
  static const auto kWorkflow = workflow(kRich);
  return kWorkflow;
}

std::string snapshot_of_rich() {
  Driver driver(rich());
  driver.submit();
  driver.signal("early", "1");
  for (int i = 0; i < 5; ++i) driver.step();
  const std::string snapshot = driver.run().snapshot();
  REQUIRE(snapshot.size() > 500);
  return snapshot;
}

Status restored(std::string_view snapshot, std::shared_ptr<const workflows::Workflow> workflow = rich()) {
  MemoryContents contents;
  Run run(std::move(workflow), tool_table(), contents);
  return run.restore(snapshot);
}

}  // namespace

TEST_CASE("a run that has decisions before it, or has ended, gives no snapshot") {
  MemoryContents contents;
  Run run(rich(), tool_table(), contents);
  CHECK(run.snapshot().empty());
  Driver driver(workflow("weft: 1\nname: one\nsteps:\n  a: {set: 1}\n"));
  driver.submit();
  REQUIRE(driver.run().ended());
  CHECK(driver.run().snapshot().empty());
}

TEST_CASE("a snapshot that was cut, lengthened or is of another workflow is refused") {
  const std::string snapshot = snapshot_of_rich();
  REQUIRE(restored(snapshot));
  for (std::size_t size = 0; size < snapshot.size(); ++size) {
    INFO("cut to " << size);
    CHECK(restored(std::string_view(snapshot).substr(0, size)).error().code == Code::kDataLoss);
  }
  CHECK(restored(snapshot + "x").error().code == Code::kDataLoss);
  std::string other = kRich;
  other.replace(other.find("May it?"), 7, "May I??");
  CHECK(restored(snapshot, workflow(other)).error().message == "the snapshot is of a run of another workflow");
}

TEST_CASE("whatever bytes a snapshot has, reading it ends, within the memory that they can claim") {
  const google::protobuf::LogSilencer silence;  // It says of each text that it is no UTF-8.
  const std::string snapshot = snapshot_of_rich();
  for (std::size_t at = 0; at < snapshot.size(); ++at) {
    for (const char bits : {'\x01', '\x80', '\x7F'}) {
      std::string changed = snapshot;
      changed[at] = static_cast<char>(changed[at] ^ bits);
      (void)restored(changed);
    }
  }
}
