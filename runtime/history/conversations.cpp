#include "runtime/history/conversations.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "base/json.h"

namespace weft::history {

void Conversations::keep_only(const std::function<bool(const std::string& path, std::uint32_t attempt)>& wanted) {
  std::erase_if(agents_, [&](const auto& agent) { return !wanted(agent.first, agent.second.attempt); });
}

void Conversations::apply(const v1::Event& event, Keep keep) {
  using Kind = v1::Event::KindCase;
  if (event.kind_case() == Kind::kAttemptStarted) {
    if (event.attempt_started().kind() != v1::STEP_KIND_PROMPT) return;
    Agent& agent = agents_[event.path()] = Agent{};
    agent.attempt = event.attempt();
    agent.begun_seq = event.seq();
    agent.messages.emplace_back(User{event.attempt_started().input()});
    return;
  }
  if (agents_.empty()) return;
  const auto found = agents_.find(event.path());
  switch (event.kind_case()) {
    case Kind::kModelCallStarted:
      if (found == agents_.end()) return;
      found->second.started = Started{event.model_call_started(), Time(Duration(event.at_us()))};
      return;
    case Kind::kModelCallEnded: {
      if (found == agents_.end()) return;
      Agent& agent = found->second;
      agent.messages.emplace_back(event.model_call_ended());
      agent.call_ids.clear();
      for (const v1::RequestedCall& call : event.model_call_ended().calls()) agent.call_ids.push_back(call.id());
      agent.results.assign(agent.call_ids.size(), std::nullopt);
      return;
    }
    case Kind::kToolCallEnded: {
      if (found == agents_.end()) return;
      Agent& agent = found->second;
      if (event.call() == 0 || event.call() > agent.results.size()) return;
      agent.results[event.call() - 1] = ToolResult{agent.call_ids[event.call() - 1], event.tool_call_ended().outcome(),
                                                   event.tool_call_ended().output()};
      if (!std::ranges::all_of(agent.results, [](const auto& result) { return result.has_value(); })) return;
      Results results;
      for (auto& result : agent.results) results.push_back(*std::move(result));
      agent.results.clear();
      agent.messages.emplace_back(std::move(results));
      return;
    }
    case Kind::kAttemptFailed:
    case Kind::kRoundEnded:
    case Kind::kElementEnded:
      if (keep == Keep::kAtWork) agents_.erase(event.path());
      return;
    case Kind::kStepEnded: {
      if (keep == Keep::kAll) return;
      // The step's own path, its elements' and rounds', and what was at work inside it.
      const std::string& path = event.path();
      for (auto agent = agents_.lower_bound(path); agent != agents_.end() && agent->first.starts_with(path);) {
        const char next = agent->first.size() == path.size() ? '/' : agent->first[path.size()];
        agent = std::string_view("/[#~").find(next) == std::string_view::npos ? std::next(agent) : agents_.erase(agent);
      }
      return;
    }
    default: return;
  }
}

Result<const model::Conversation*> Conversations::at(const std::string& path,
                                                     const std::shared_ptr<const model::Prefix>& prefix,
                                                     run::Contents& contents) {
  const auto found = agents_.find(path);
  if (found == agents_.end()) return internal("no agent is at work at " + path);
  Agent& agent = found->second;
  if (!agent.conversation || !is_same(agent.conversation->prefix(), *prefix)) {
    agent.conversation = std::make_unique<model::Conversation>(prefix);
    agent.said = 0;
  }
  // Where a message cannot be read, those before it have been said all the same.
  for (; agent.said < agent.messages.size(); ++agent.said)
    WEFT_RETURN_IF_ERROR(say(*agent.conversation, agent.messages[agent.said], contents));
  return agent.conversation.get();
}

std::optional<std::size_t> Conversations::unread_bytes(const std::string& path, const model::Prefix& prefix,
                                                       const ContentStore& contents) const {
  std::size_t bytes = 0;
  bool at_hand = true;
  const auto add = [&](const v1::Content& content) {
    bytes += content.has_blob() ? content.blob().size() : content.inline_().size();
    at_hand = at_hand && contents.is_at_hand(content);
  };
  const auto found = agents_.find(path);
  if (found == agents_.end()) return bytes;
  const Agent& agent = found->second;
  const bool changes = agent.conversation && !is_same(agent.conversation->prefix(), prefix);
  for (const Message& message : std::span(agent.messages).subspan(changes ? 0 : agent.said)) {
    if (const auto* user = std::get_if<User>(&message)) add(user->text);
    if (const auto* results = std::get_if<Results>(&message)) {
      for (const ToolResult& result : *results) add(result.content);
    }
    const auto* answer = std::get_if<v1::ModelCallEnded>(&message);
    if (answer == nullptr) continue;
    add(answer->text());
    if (answer->has_reasoning()) add(answer->reasoning());
    for (const v1::RequestedCall& call : answer->calls()) add(call.arguments());
  }
  return at_hand ? std::optional(bytes) : std::nullopt;
}

const model::Conversation* Conversations::find(const std::string& path) const {
  const auto found = agents_.find(path);
  return found == agents_.end() ? nullptr : found->second.conversation.get();
}

const Conversations::Started* Conversations::started(const std::string& path) const {
  const auto found = agents_.find(path);
  return found == agents_.end() || !found->second.started ? nullptr : &*found->second.started;
}

std::map<std::string, std::uint64_t> Conversations::begun() const {
  std::map<std::string, std::uint64_t> begun;
  for (const auto& [path, agent] : agents_) begun.emplace(path, agent.begun_seq);
  return begun;
}

Status Conversations::say(model::Conversation& conversation, const Message& message, run::Contents& contents) {
  if (const auto* user = std::get_if<User>(&message)) {
    WEFT_TRY(const auto text, contents.bytes(user->text));
    conversation.add_user(*text);
    return {};
  }
  if (const auto* results = std::get_if<Results>(&message)) {
    std::vector<model::ToolResult> said;
    for (const ToolResult& result : *results) {
      WEFT_TRY(const auto content, contents.bytes(result.content));
      const bool good = result.outcome == v1::TOOL_OUTCOME_DONE || result.outcome == v1::TOOL_OUTCOME_REUSED;
      said.push_back({result.call_id, *content, !good});
    }
    conversation.add_tool_results(said);
    return {};
  }
  const auto& answer = std::get<v1::ModelCallEnded>(message);
  model::Turn turn;
  WEFT_TRY(const auto text, contents.bytes(answer.text()));
  turn.text = *text;
  if (answer.has_reasoning()) {
    WEFT_TRY(const auto reasoning, contents.bytes(answer.reasoning()));
    turn.reasoning = *reasoning;
  }
  for (const v1::RequestedCall& call : answer.calls()) {
    WEFT_TRY(const auto arguments, contents.bytes(call.arguments()));
    turn.tool_calls.push_back({call.id(), call.wire_name(), *arguments});
  }
  conversation.add_turn(turn);
  return {};
}

}  // namespace weft::history
