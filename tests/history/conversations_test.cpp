// Conversations of agents, folded from events, as they are written for the model that is asked next.
#include "runtime/history/conversations.h"

#include <catch2/catch.hpp>
#include <string>

#include "memory/journal/memory_journal.h"
#include "runtime/model/openai.h"
#include "tests/model/lines_dialect.h"

namespace weft::history {
namespace {

class Told {
 public:
  Told() {
    auto& started = *next(0, 0).mutable_attempt_started();
    started.set_kind(v1::STEP_KIND_PROMPT);
    started.mutable_input()->set_inline_("look");
    tell();
  }
  void turn(std::uint32_t turn, const std::string& text, const std::vector<std::string>& calls) {
    next(turn, 1).mutable_model_call_started();
    tell();
    auto& ended = *next(turn, 1).mutable_model_call_ended();
    ended.mutable_text()->set_inline_(text);
    ended.mutable_reasoning()->set_inline_("because");
    for (const std::string& id : calls) {
      auto& call = *ended.add_calls();
      call.set_id(id);
      call.set_wire_name("fs__read");
      call.mutable_arguments()->set_inline_("{ }");
    }
    tell();
  }
  void result(std::uint32_t turn, std::uint32_t call, v1::ToolOutcome outcome, const std::string& output) {
    auto& ended = *next(turn, call).mutable_tool_call_ended();
    ended.set_outcome(outcome);
    ended.mutable_output()->set_inline_(output);
    tell();
  }
  std::string body(const std::shared_ptr<const model::Prefix>& prefix) {
    const auto conversation = conversations.at("draft", prefix, contents);
    REQUIRE(conversation);
    std::string out;
    for (const auto& piece : (*conversation)->body()) out += *piece;
    CHECK(sha256(out) == (*conversation)->digest());
    return out;
  }

  memory::MemoryJournal journal;
  ContentStore contents{journal};
  Conversations conversations;

 private:
  v1::Event& next(std::uint32_t turn, std::uint32_t call) {
    event_.Clear();
    event_.set_seq(++seq_);
    event_.set_path("draft");
    event_.set_attempt(1);
    event_.set_turn(turn);
    event_.set_call(call);
    return event_;
  }
  void tell() { conversations.apply(event_); }

  v1::Event event_;
  std::uint64_t seq_ = 0;
};

std::shared_ptr<const model::Prefix> prefix_of(const std::string& wire_model, const model::WireFormat& format) {
  model::AgentSpec agent;
  agent.model = wire_model;
  agent.tools = {{"fs.read", "", "{}"}};
  auto prefix = model::Prefix::build(agent, format);
  REQUIRE(prefix);
  return std::make_shared<const model::Prefix>(*std::move(prefix));
}

TEST_CASE("between turns a conversation changes its dialect and its model, and back, without losing a word") {
  const test::LinesDialect lines;
  const model::WireFormat openai{&model::openai_dialect(), {}};
  const auto first = prefix_of("one", openai);
  const auto other_model = prefix_of("two", openai);
  const auto other_dialect = prefix_of("one", {&lines, {}});
  Told told;
  const std::string asked = told.body(first);
  told.turn(1, "I look", {"c1", "c2"});
  told.result(1, 2, v1::TOOL_OUTCOME_FAILED, "no such file");
  CHECK(told.body(first).find("no such file") == std::string::npos);  // Said when the turn is whole.
  told.result(1, 1, v1::TOOL_OUTCOME_DONE, "\"text\"");

  const std::string kept = told.body(first);
  CHECK(kept.starts_with(asked.substr(0, asked.size() - 2)));
  const std::string changed = told.body(other_model);
  CHECK(changed.starts_with(R"({"model":"two")"));
  CHECK(changed.substr(changed.find("messages")) == kept.substr(kept.find("messages")));
  CHECK(told.body(other_dialect) == R"({"who":"one","can":["fs.read"],"say":[{"in":"look"},)"
                                    R"({"out":"I look","do":[["c1","fs__read","{ }"],["c2","fs__read","{ }"]]},)"
                                    R"({"back":[["c1","\"text\"",false],["c2","no such file",true]]}]})");

  told.turn(2, "done", {});
  CHECK(told.body(other_dialect).ends_with(R"({"out":"done","do":[]}]})"));
  CHECK(told.body(first).starts_with(kept.substr(0, kept.size() - 2)));
  CHECK(told.body(first) == told.body(prefix_of("one", openai)));
}

TEST_CASE("features that change what follows a prefix begin the conversation anew") {
  model::Features replays;
  replays.reasoning_replay = true;
  Told told;
  told.turn(1, "so", {});
  CHECK(told.body(prefix_of("one", {&model::openai_dialect(), {}})).find("because") == std::string::npos);
  CHECK(told.body(prefix_of("one", {&model::openai_dialect(), replays})).find("because") != std::string::npos);
}

TEST_CASE("what would be read says whether the conversation is written again") {
  const auto one = prefix_of("one", {&model::openai_dialect(), {}});
  const auto two = prefix_of("two", {&model::openai_dialect(), {}});
  Told told;
  told.turn(1, std::string(1000, 'a'), {});
  CHECK(told.conversations.unread_bytes("draft", *one, told.contents).value_or(0) > 1000);
  told.body(one);
  CHECK(told.conversations.unread_bytes("draft", *one, told.contents) == 0);
  CHECK(told.conversations.unread_bytes("draft", *two, told.contents).value_or(0) > 1000);
}

}  // namespace
}  // namespace weft::history
