#include "runtime/engine/shard/output_gate.h"

#include <catch2/catch.hpp>

namespace weft::engine {
namespace {

run::CallKey key_of(std::uint32_t number) { return {"root/step", 1, 1, number}; }

v1::Run run_named(const std::string& id) {
  v1::Run run;
  run.set_id(id);
  return run;
}

// What a client was told, in the order of telling.
struct Told {
  std::vector<std::string> words;

  Reply<v1::Run> reply() {
    return [this](const Result<v1::Run>& run) { words.push_back(run ? run->id() : run.error().message); };
  }
  Reply<v1::RunsSubmitResponse> submitter() {
    return [this](const Result<v1::RunsSubmitResponse>& said) {
      words.push_back(said ? "submitted " + said->run_id() : said.error().message);
    };
  }
};

}  // namespace

TEST_CASE("what waits at the gate leaves in the order of coming, and none before its event is durable") {
  OutputGate gate;
  std::vector<int> left;
  gate.when_durable(3, key_of(1), [&] { left.push_back(1); });
  gate.when_durable(3, key_of(2), [&] { left.push_back(2); });
  gate.when_durable(5, key_of(3), [&] { left.push_back(3); });
  CHECK_FALSE(gate.opens_at(2));
  gate.open(2);
  CHECK(left.empty());
  CHECK(gate.opens_at(4));
  gate.open(4);
  CHECK(left == std::vector<int>{1, 2});
  gate.open(5);
  CHECK(left == std::vector<int>{1, 2, 3});
  CHECK(gate.empty());
}

TEST_CASE("a call that is revoked does not leave, and the others do") {
  OutputGate gate;
  std::vector<int> left;
  gate.when_durable(1, key_of(1), [&] { left.push_back(1); });
  gate.when_durable(1, key_of(2), [&] { left.push_back(2); });
  gate.revoke(key_of(1));
  gate.open(1);
  CHECK(left == std::vector<int>{2});
}

TEST_CASE("who submitted, and who asked, are told when it is durable and not before") {
  OutputGate gate;
  Told told;
  gate.submitted_by(told.submitter());
  gate.answer_when_durable(2, told.reply());
  gate.answer(0, "r", run_named("r"));
  CHECK(told.words.empty());
  gate.answer(1, "r", run_named("r"));
  CHECK(told.words == std::vector<std::string>{"submitted r"});
  gate.answer(2, "r", run_named("r"));
  CHECK(told.words == std::vector<std::string>{"submitted r", "r"});
  CHECK_FALSE(gate.anyone_asks());
}

TEST_CASE("a gate that closes drops what waited and tells all who wait the reason, once; from then on at once") {
  Told told;
  bool left = false;
  {
    OutputGate gate;
    gate.submitted_by(told.submitter());
    gate.answer_when_durable(7, told.reply());
    gate.when_durable(1, key_of(1), [&] { left = true; });
    gate.close(aborted("another owner"));
    CHECK(told.words == std::vector<std::string>{"another owner", "another owner"});
    gate.answer_when_durable(8, told.reply());
    CHECK(told.words.size() == 3);
    gate.when_durable(1, key_of(2), [&] { left = true; });
    gate.open(9);
    gate.answer(9, "r", run_named("r"));
    gate.close(aborted("again"));
  }
  CHECK_FALSE(left);
  CHECK(told.words.size() == 3);
}

TEST_CASE("what leaves may close the gate, and then nothing more leaves") {
  OutputGate gate;
  int left = 0;
  gate.when_durable(1, key_of(1), [&] {
    ++left;
    gate.close(aborted("another owner"));
  });
  gate.when_durable(1, key_of(2), [&] { ++left; });
  gate.open(1);
  CHECK(left == 1);
}

TEST_CASE("a gate that is destroyed answers who still waits") {
  Told told;
  {
    OutputGate gate;
    gate.answer_when_durable(7, told.reply());
  }
  REQUIRE(told.words.size() == 1);
  CHECK(told.words.front() == kDropped);
}

}  // namespace weft::engine
