// What the core knows of effects, without a run around it.
#include "runtime/run/effect_ledger.h"

#include <catch2/catch.hpp>
#include <string>

using namespace weft;
using namespace weft::run;

namespace {

constexpr auto kSteps = EffectLedger::Where::kSteps;
constexpr auto kFinally = EffectLedger::Where::kFinally;

v1::Content content(const std::string& text) {
  v1::Content content;
  content.set_inline_(text);
  return content;
}

v1::StepResult ended(v1::StepStatus status, v1::ErrorKind kind = v1::ERROR_KIND_UNSPECIFIED) {
  v1::StepResult result;
  result.set_status(status);
  if (kind != v1::ERROR_KIND_UNSPECIFIED) result.mutable_failure()->set_kind(kind);
  return result;
}

v1::KeyGeneration generation(const std::string& identity, std::uint32_t number) {
  v1::KeyGeneration source;
  source.set_identity(identity);
  source.set_generation(number);
  return source;
}

Undoable undoable(const std::string& path, const std::string& identity) {
  return {path, "shop.refund", identity, identity, content("{}"), content("{}")};
}

}  // namespace

TEST_CASE("the identity of a call is made of lineage, path, tool and arguments, and their borders count") {
  const std::string identity = call_identity("run", "act", "shop.refund", "{}");
  CHECK(identity.size() == 32);
  CHECK(identity == call_identity("run", "act", "shop.refund", "{}"));
  CHECK(identity != call_identity("other", "act", "shop.refund", "{}"));
  CHECK(identity != call_identity("run", "pay", "shop.refund", "{}"));
  CHECK(identity != call_identity("run", "act", "shop.charge", "{}"));
  CHECK(identity != call_identity("run", "act", "shop.refund", "[]"));
  CHECK(call_identity("run", "ab", "c", "{}") != call_identity("run", "a", "bc", "{}"));
}

TEST_CASE("identities and keys are those that stores of earlier versions hold") {
  EffectLedger ledger;
  const std::string identity = call_identity("r-1", "act", "t.write", R"({"x":1})");
  CHECK(identity == "96dc81a55cf49216043e07858dedb8eb");
  CHECK(ledger.key_of(identity) == identity);
  ledger.burn_key(identity);
  CHECK(ledger.key_of(identity) == "897d2187bb67d721994a0aa2b743b947");
}

TEST_CASE("an equal call leaves under the same key until no effect stands under it") {
  EffectLedger ledger;
  ledger.record_intent("a", 1'000, kSteps);
  CHECK(ledger.key_of("a") == "a");
  CHECK(ledger.result_of("a") == nullptr);

  SECTION("nothing was done: the next call has another key, and the receiver cannot know it yet") {
    ledger.burn_key("a");
    const std::string second = ledger.key_of("a");
    CHECK(second != "a");
    ledger.burn_key("a");
    CHECK(ledger.key_of("a") != second);
    CHECK(ledger.key_of("b") == "b");
  }
  SECTION("it was done: the next call gets its result and keeps the key") {
    ledger.record_result("a", content("done"));
    REQUIRE(ledger.result_of("a") != nullptr);
    CHECK(ledger.result_of("a")->inline_() == "done");
    CHECK(ledger.key_of("a") == "a");
    CHECK(ledger.result_of("b") == nullptr);
  }
  SECTION("it was done and may be repeated: the next call leaves under the next key") {
    ledger.begin_next_generation("a");
    CHECK(ledger.key_of("a") != "a");
    CHECK(ledger.generations().empty());  // What was done stands.
  }
  SECTION("it was abandoned in doubt, and is forgotten with its key") {
    ledger.abandon("a");
    CHECK(ledger.is_abandoned("a"));
    CHECK_FALSE(ledger.is_abandoned("b"));
    ledger.burn_key("a");
    CHECK_FALSE(ledger.is_abandoned("a"));
  }
  SECTION("its result is undone: the next call leaves under the next key") {
    ledger.record_result("a", content("done"));
    ledger.add_undoable(undoable("act", "a"));
    ledger.end_undo(ended(v1::STEP_STATUS_SUCCEEDED));
    CHECK(ledger.result_of("a") == nullptr);
    CHECK(ledger.key_of("a") != "a");
  }
}

TEST_CASE("a receiver knows a key for as long as key_ttl says, from the first time that it was sent") {
  EffectLedger ledger;
  const Duration ttl(100);
  CHECK(ledger.is_key_known("a", 5'000, ttl));  // Never sent: it is as good as known.
  ledger.record_intent("a", 1'000, kSteps);
  ledger.record_intent("a", 1'090, kSteps);
  CHECK(ledger.is_key_known("a", 1'100, ttl));
  CHECK_FALSE(ledger.is_key_known("a", 1'101, ttl));
  ledger.burn_key("a");
  ledger.record_intent("a", 2'000, kSteps);
  CHECK(ledger.is_key_known("a", 2'100, ttl));
}

TEST_CASE("the ledger knows which payload a key that a workflow forms stands for") {
  EffectLedger ledger;
  CHECK_FALSE(ledger.is_key_of_another("order-1", 7));
  ledger.take_key("order-1", 7);
  CHECK_FALSE(ledger.is_key_of_another("order-1", 7));
  CHECK(ledger.is_key_of_another("order-1", 8));
  CHECK_FALSE(ledger.is_key_of_another("order-2", 8));
}

TEST_CASE("undo takes the last effect first and remembers what does not stand any more") {
  EffectLedger ledger;
  CHECK(ledger.next_undo() == nullptr);
  ledger.add_undoable(undoable("first", "a"));
  ledger.add_undoable(undoable("second", "b"));
  REQUIRE(ledger.next_undo() != nullptr);
  CHECK(ledger.next_undo()->undo_path() == "second/undo");

  SECTION("one that failed is counted, stands, and keeps none of the others from being undone") {
    ledger.end_undo(ended(v1::STEP_STATUS_FAILED, v1::ERROR_KIND_TOOL_FAILED));
    CHECK(ledger.undos_failed() == 1);
    CHECK(ledger.undone().empty());
    CHECK(ledger.key_of("b") == "b");
    CHECK(ledger.next_undo()->path == "first");
    ledger.end_undo(ended(v1::STEP_STATUS_SUCCEEDED));
    CHECK(ledger.undone() == "first");
    CHECK(ledger.undos_failed() == 1);
    CHECK(ledger.next_undo() == nullptr);
  }
  SECTION("one that failed in doubt may have been undone") {
    ledger.end_undo(ended(v1::STEP_STATUS_FAILED, v1::ERROR_KIND_IN_DOUBT));
    CHECK(ledger.undos_failed() == 1);
    CHECK(ledger.undone() == "second");
    CHECK(ledger.key_of("b") == "b");
  }
  SECTION("one that was skipped in doubt may have been undone") {
    ledger.end_undo(ended(v1::STEP_STATUS_SKIPPED));
    CHECK(ledger.undos_failed() == 0);
    CHECK(ledger.undone() == "second");
    ledger.end_undo(ended(v1::STEP_STATUS_SUCCEEDED));
    CHECK(ledger.undone() == "second");  // The first of them.
  }
  SECTION("one that a kill cut off may have been undone, and is still on the list") {
    ledger.cut_off_undo();
    CHECK(ledger.undone() == "second");
    CHECK(ledger.next_undo()->path == "second");
  }
}

TEST_CASE("a retry of the run gives the calls of `finally` other keys, and leaves the others theirs") {
  EffectLedger ledger;
  ledger.record_intent("step", 1, kSteps);
  ledger.record_result("step", content("done"));
  ledger.record_intent("last", 2, kFinally);
  ledger.record_result("last", content("done"));
  ledger.renew_finally();
  CHECK(ledger.result_of("step") != nullptr);
  CHECK(ledger.key_of("step") == "step");
  CHECK(ledger.result_of("last") == nullptr);
  const std::string second = ledger.key_of("last");
  CHECK(second != "last");
  ledger.renew_finally();  // Nothing of it was made since.
  CHECK(ledger.key_of("last") == second);
}

TEST_CASE("a fork holds calls back until they are approved, if its effects are not allowed") {
  EffectLedger ledger;
  CHECK_FALSE(ledger.is_held_back("a"));
  ledger.begin_fork(v1::FORK_EFFECTS_ASK);
  CHECK(ledger.asks_before_effects());
  CHECK(ledger.is_held_back("a"));
  ledger.approve("a");
  CHECK_FALSE(ledger.is_held_back("a"));
  CHECK(ledger.is_held_back("b"));
  ledger.begin_fork(v1::FORK_EFFECTS_REFUSE);
  CHECK_FALSE(ledger.asks_before_effects());
  CHECK(ledger.is_held_back("a"));  // It was approved for the source.
  ledger.begin_fork(v1::FORK_EFFECTS_ALLOW);
  CHECK_FALSE(ledger.is_held_back("a"));
}

TEST_CASE("a fork keeps what its source did, but undoes none of it") {
  EffectLedger ledger;
  ledger.record_intent("a", 1, kSteps);
  ledger.record_result("a", content("done"));
  ledger.add_undoable(undoable("act", "a"));
  ledger.begin_fork(v1::FORK_EFFECTS_ALLOW);
  CHECK(ledger.next_undo() == nullptr);
  CHECK(ledger.result_of("a") != nullptr);
}

TEST_CASE("a fork goes on with the key generations that its source had reached") {
  EffectLedger source;
  source.burn_key("b");
  source.burn_key("b");
  source.burn_key("a");
  source.begin_next_generation("a");
  source.record_intent("c", 1, kSteps);
  const auto reached = source.generations();
  REQUIRE(reached.size() == 2);  // In the order of the identities, and none of what stands.
  CHECK(reached[0].identity() == "a");
  CHECK(reached[0].generation() == 2);
  CHECK(reached[1].identity() == "b");
  CHECK(reached[1].generation() == 2);

  EffectLedger fork;
  fork.record_intent("a", 1'000, kSteps);
  fork.burn_key("b");
  for (const v1::KeyGeneration& one : reached) fork.take_generation(one);
  CHECK(fork.key_of("a") == source.key_of("a"));
  CHECK(fork.key_of("b") == source.key_of("b"));
  CHECK(fork.generations().size() == 2);
  fork.take_generation(generation("b", 1));  // It has gone further.
  CHECK(fork.key_of("b") == source.key_of("b"));
}

TEST_CASE("a result that a fork has recorded stands, whatever generation its source had reached") {
  EffectLedger fork;
  fork.record_intent("a", 1'000, kSteps);
  fork.record_result("a", content("done"));
  fork.take_generation(generation("a", 3));
  REQUIRE(fork.result_of("a") != nullptr);
  CHECK(fork.is_key_known("a", 1'050, Duration(100)));
}

TEST_CASE("a ledger is a value: a copy goes its own way") {
  EffectLedger ledger;
  ledger.record_result("a", content("done"));
  EffectLedger copy = ledger;
  copy.burn_key("a");
  CHECK(ledger.result_of("a") != nullptr);
  CHECK(copy.result_of("a") == nullptr);
}
