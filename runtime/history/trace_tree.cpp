#include "runtime/history/trace_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace weft::history {
namespace {

TraceAttempt& attempt_of(TraceNode& node, std::uint32_t number) {
  for (TraceAttempt& attempt : node.attempts) {
    if (attempt.number == number) return attempt;
  }
  node.attempts.emplace_back().number = number;
  return node.attempts.back();
}

TraceModelCall* model_call(TraceAttempt& attempt, const v1::Event& event) {
  const auto found = std::ranges::find_if(attempt.model_calls, [&](const TraceModelCall& call) {
    return call.turn == event.turn() && call.sending == event.call();
  });
  return found == attempt.model_calls.end() ? nullptr : &*found;
}

TraceToolCall& tool_call(TraceAttempt& attempt, const v1::Event& event) {
  for (TraceToolCall& call : attempt.tool_calls) {
    if (call.turn == event.turn() && call.call == event.call()) return call;
  }
  TraceToolCall& added = attempt.tool_calls.emplace_back();
  added.turn = event.turn();
  added.call = event.call();
  return added;
}

// The calls that the model asked for are known before they start, and some never do.
void expect_tool_calls(TraceAttempt& attempt, const v1::Event& event) {
  std::uint32_t number = 0;
  for (const auto& requested : event.model_call_ended().calls()) {
    TraceToolCall& call = attempt.tool_calls.emplace_back();
    call.turn = event.turn();
    call.call = ++number;
    call.tool = requested.tool().empty() ? requested.wire_name() : requested.tool();
    call.arguments = requested.arguments();
  }
}

// Without what may be left out: `search[2]#1/draft` is `search/draft`.
std::string bare(std::string_view path) {
  std::string text;
  bool skipping = false;
  for (const char c : path) {
    if (c == '[' || c == '#' || c == '~') skipping = true;
    if (c == '/') skipping = false;
    if (!skipping) text += c;
  }
  return text;
}

const TraceNode* find_exactly(const TraceNode& node, std::string_view path) {
  if (node.path == path) return &node;
  for (const TraceNode& child : node.children) {
    if (const TraceNode* found = find_exactly(child, path)) return found;
  }
  return nullptr;
}

// RESOLUTION_DONE is "done".
std::string resolution_name(v1::Resolution resolution) {
  constexpr std::string_view kPrefix = "RESOLUTION_";
  std::string name = v1::Resolution_Name(resolution);
  if (resolution == v1::RESOLUTION_UNSPECIFIED || !name.starts_with(kPrefix)) return "";
  name.erase(0, kPrefix.size());
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

// Nodes that fit a path written without elements and rounds: the outermost of each line.
void find_bare(const TraceNode& node, std::string_view path, std::vector<const TraceNode*>& found) {
  if (!node.path.empty() && bare(node.path) == path) {
    found.push_back(&node);
    return;
  }
  for (const TraceNode& child : node.children) find_bare(child, path, found);
}

}  // namespace

v1::StepKind TraceNode::kind() const {
  for (const TraceAttempt& attempt : attempts) {
    if (attempt.kind != v1::STEP_KIND_UNSPECIFIED) return attempt.kind;
  }
  if (!chosen.empty() || !targets.empty()) return v1::STEP_KIND_SWITCH;
  for (const TraceNode& child : children) {
    // Elements and rounds are of the step's own kind; other children are the steps of a group.
    if (child.label.starts_with('[') || child.label.starts_with('#')) return child.kind();
  }
  // A `set` is computed in the moment in which it ends: it leaves no attempt. Any step may be skipped or cancelled
  // before it leaves one.
  const bool computed = result && attempts.empty() && children.empty() && !elements;
  if (computed && result->status() != v1::STEP_STATUS_SKIPPED && result->status() != v1::STEP_STATUS_CANCELLED) {
    return v1::STEP_KIND_SET;
  }
  return v1::STEP_KIND_UNSPECIFIED;
}

const TraceNode* TraceTree::find(std::string_view path) const {
  if (const TraceNode* exact = find_exactly(root, path)) return exact;
  std::vector<const TraceNode*> found;
  find_bare(root, path, found);
  return found.size() == 1 ? found.front() : nullptr;
}

std::vector<std::string> path_chain(std::string_view path) {
  std::vector<std::string> chain;
  if (path.empty()) return chain;
  bool in_key = false;
  for (std::size_t i = 1; i < path.size(); ++i) {
    const char c = path[i];
    if (!in_key && (c == '[' || c == '#' || c == '~' || c == '/') && path[i - 1] != '/') {
      chain.emplace_back(path.substr(0, i));
    }
    if (c == '[') in_key = true;
    if (c == ']') in_key = false;
  }
  chain.emplace_back(path);
  return chain;
}

TraceNode& TraceBuilder::node(const v1::Event& event) {
  TraceNode* node = &tree_.root;
  for (const std::string& path : path_chain(event.path())) {
    auto found = nodes_.find(path);
    if (found == nodes_.end()) {
      TraceNode child;
      child.path = path;
      const std::size_t above = node->path.size();
      child.label = path.substr(above + (path.size() > above && path[above] == '/' ? 1 : 0));
      child.first_at_us = event.at_us();
      child.is_finally = node->is_over && child.label.front() != '~';
      node->children.push_back(std::move(child));
      found = nodes_.emplace(path, &node->children.back()).first;
    }
    node = found->second;
    node->last_at_us = event.at_us();
    // What happens at it after a retry is its going on.
    const bool over = node->result && (node->result->status() == v1::STEP_STATUS_FAILED ||
                                       node->result->status() == v1::STEP_STATUS_CANCELLED);
    if (over && !tree_.retried.empty()) node->result.reset();
  }
  return *node;
}

void TraceBuilder::end(TraceNode& node, const v1::StepResult& result, std::int64_t at_us) {
  node.result = result;
  node.ended_at_us = at_us;
}

void TraceBuilder::add_to_run(const v1::Event& event) {
  switch (event.kind_case()) {
    case v1::Event::kRunSubmitted:
      tree_.submitted = event.run_submitted();
      tree_.submitted_at_us = event.at_us();
      tree_.root.first_at_us = event.at_us();
      break;
    case v1::Event::kRunForked:
      tree_.forked = event.run_forked();
      for (auto& [path, node] : nodes_) {
        for (TraceAttempt& attempt : node->attempts) {
          for (TraceModelCall& call : attempt.model_calls) call.shared = true;
          for (TraceToolCall& call : attempt.tool_calls) call.shared = call.ended.has_value();
        }
      }
      break;
    case v1::Event::kRunRetried:
      tree_.retried.push_back(event.run_retried().reason());
      tree_.cancel_reason.reset();
      tree_.ended.reset();
      break;
    case v1::Event::kCancelRequested: tree_.cancel_reason = event.cancel_requested().reason(); break;
    case v1::Event::kRunEnded: tree_.ended = event.run_ended(); break;
    case v1::Event::kFinallyStarted: tree_.root.is_over = true; break;
    default: break;
  }
}

std::string verified_text(const v1::Event& event) {
  const v1::ToolCallVerified& verified = event.tool_call_verified();
  switch (verified.verdict()) {
    case v1::VERDICT_DONE: return verified.tool() + " says: it was done";
    case v1::VERDICT_NOT_DONE: return verified.tool() + " says: it was not done";
    default: return verified.tool() + " cannot say: " + verified.why();
  }
}

std::string resolved_text(const v1::Event& event) {
  const v1::ToolCallResolved& resolved = event.tool_call_resolved();
  const bool new_key = resolved.new_key();
  const std::string how = resolution_name(resolved.resolution());
  switch (resolved.by()) {
    case v1::RESOLVED_BY_OPERATOR:
      return fmt::format("resolved {}{}: {}", how, new_key ? " with a new key" : "", resolved.reason());
    case v1::RESOLVED_BY_VERIFY: return "sent again with the same key, as it was not done";
    case v1::RESOLVED_BY_EFFECT: return "sent again with the same key, as the tool is idempotent";
    default: return "on_doubt: " + how;
  }
}

void TraceBuilder::add_to_attempt(const v1::Event& event, TraceNode& node) {
  TraceAttempt& attempt = attempt_of(node, event.attempt());
  switch (event.kind_case()) {
    case v1::Event::kAttemptStarted:
      attempt.kind = event.attempt_started().kind();
      attempt.input = event.attempt_started().input();
      if (event.attempt_started().has_waiting()) attempt.waiting = event.attempt_started().waiting();
      attempt.label = event.attempt_started().label();
      attempt.started_at_us = event.at_us();
      break;
    case v1::Event::kAttemptFailed: attempt.failed = event.attempt_failed(); break;
    case v1::Event::kCallRefused: attempt.refused = event.call_refused().failure(); break;
    case v1::Event::kModelCallStarted: {
      TraceModelCall& call = attempt.model_calls.emplace_back();
      call.turn = event.turn();
      call.sending = event.call();
      call.started = event.model_call_started();
      call.started_at_us = event.at_us();
      break;
    }
    case v1::Event::kModelCallEnded:
      if (auto* call = model_call(attempt, event)) call->ended = event.model_call_ended();
      expect_tool_calls(attempt, event);
      break;
    case v1::Event::kModelCallFailed:
      if (auto* call = model_call(attempt, event)) call->failed = event.model_call_failed();
      break;
    case v1::Event::kToolCallStarted: {
      TraceToolCall& call = tool_call(attempt, event);
      call.tool = event.tool_call_started().tool();
      call.effect = event.tool_call_started().effect();
      call.arguments = event.tool_call_started().arguments();
      call.started_at_us = event.at_us();
      ++call.sendings;
      call.in_doubt.reset();
      break;
    }
    case v1::Event::kToolCallEnded: {
      TraceToolCall& call = tool_call(attempt, event);
      call.ended = event.tool_call_ended();
      call.in_doubt.reset();
      if (call.tool.empty()) call.tool = event.tool_call_ended().tool();
      break;
    }
    case v1::Event::kToolCallInDoubt: {
      TraceToolCall& call = tool_call(attempt, event);
      call.in_doubt = event.tool_call_in_doubt().why();
      // One that is asked for has not started: what is asked for stands with its step.
      if (call.tool.empty()) call.tool = event.tool_call_in_doubt().tool();
      if (!call.arguments.has_inline_() && !call.arguments.has_blob() && attempt.kind == v1::STEP_KIND_TOOL)
        call.arguments = attempt.input;
      call.settled.push_back("in doubt: " + event.tool_call_in_doubt().why());
      break;
    }
    case v1::Event::kToolCallVerified: tool_call(attempt, event).settled.push_back(verified_text(event)); break;
    case v1::Event::kToolCallResolved: {
      TraceToolCall& call = tool_call(attempt, event);
      call.settled.push_back(resolved_text(event));
      if (event.tool_call_resolved().resolution() != v1::RESOLUTION_UNKNOWN) call.in_doubt.reset();
      if (event.tool_call_resolved().resolution() == v1::RESOLUTION_FAIL) {
        call.ended.emplace();  // Its step fails with it; nothing more comes.
        call.ended->set_outcome(v1::TOOL_OUTCOME_FAILED);
        call.ended->mutable_output()->set_inline_(event.tool_call_resolved().reason());
      }
      break;
    }
    default: break;
  }
}

void TraceBuilder::add(const v1::Event& event) {
  tree_.last_at_us = event.at_us();
  tree_.root.last_at_us = event.at_us();
  if (event.path().empty()) return add_to_run(event);
  TraceNode& at = node(event);
  switch (event.kind_case()) {
    case v1::Event::kFanOutStarted: at.elements = event.fan_out_started().count(); break;
    case v1::Event::kRoundEnded:
      at.verdict = event.round_ended().verdict();
      end(at, event.round_ended().result(), event.at_us());
      break;
    case v1::Event::kElementEnded: {
      // Of an element that repeats, the event stands at its last round.
      const auto element = nodes_.find(event.path().substr(0, event.path().rfind(']') + 1));
      end(element == nodes_.end() ? at : *element->second, event.element_ended().result(), event.at_us());
      break;
    }
    case v1::Event::kStepEnded:
      at.cause = event.step_ended().cause();
      at.chosen = event.step_ended().chosen();
      at.targets.assign(event.step_ended().targets().begin(), event.step_ended().targets().end());
      end(at, event.step_ended().result(), event.at_us());
      break;
    case v1::Event::kAnswered:
      at.answered_by_token = event.answered().by_token();
      add_to_attempt(event, at);
      break;
    case v1::Event::kTimerFired:
    case v1::Event::kModelCallRepeated: break;
    case v1::Event::kFinallyStarted: {
      // The steps of a later attempt stand beneath a node of its own.
      const auto later = nodes_.find(fmt::format("{}~{}", event.path(), event.attempt()));
      (later == nodes_.end() ? at : *later->second).is_over = true;
      break;
    }
    default: add_to_attempt(event, at);
  }
}

}  // namespace weft::history
