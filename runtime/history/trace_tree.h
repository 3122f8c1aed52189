// A run's events folded into the tree that people read: steps within steps, and what each attempt did.
//
//   search            a step
//   ├ search[2]       one element of it
//   │ └ search[2]#1   one round of that
//   │   └ search[2]#1/draft   a step of the group
//
// Pure: the same events give the same tree, also where they break off in the middle of a run.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/v1/event.pb.h"

namespace weft::history {

struct TraceModelCall {
  std::uint32_t turn = 0;
  std::uint32_t sending = 0;
  v1::ModelCallStarted started;
  std::int64_t started_at_us = 0;
  std::optional<v1::ModelCallEnded> ended;
  std::optional<v1::ModelCallFailed> failed;
  bool shared = false;  // Made, and paid, by the run that this one was forked from.
  bool lost() const { return failed && failed->failure() == "lost"; }
};

struct TraceToolCall {
  std::uint32_t turn = 0;
  std::uint32_t call = 0;
  bool shared = false;
  std::string tool;  // As the model named it where weft has no such tool.
  v1::Content arguments;
  v1::ToolEffect effect = v1::TOOL_EFFECT_UNSPECIFIED;  // Unspecified: it never started.
  std::int64_t started_at_us = 0;
  std::optional<v1::ToolCallEnded> ended;
  std::uint32_t sendings = 0;
  std::optional<std::string> in_doubt;  // Why; while it is.
  std::vector<std::string> settled;     // How its doubts went: sentences.
};

// What one attempt left behind, in order.
struct TraceAttempt {
  std::uint32_t number = 0;
  v1::StepKind kind = v1::STEP_KIND_UNSPECIFIED;
  v1::Content input;
  std::int64_t started_at_us = 0;
  std::optional<v1::Waiting> waiting;  // Of a step that waits.
  std::string label;                   // As the workflow words it; empty: it does not.
  std::optional<v1::AttemptFailed> failed;
  std::optional<v1::Failure> refused;  // The engine could not carry out a call of it.
  std::vector<TraceModelCall> model_calls;
  std::vector<TraceToolCall> tool_calls;
};

struct TraceNode {
  std::string path;
  std::string label;  // `search`, `[2]`, `#1`
  std::vector<TraceAttempt> attempts;
  std::deque<TraceNode> children;  // In the order in which they began. A deque: nodes keep their place.
  std::int64_t first_at_us = 0;
  std::int64_t last_at_us = 0;

  std::optional<v1::StepResult> result;  // Set when it has ended.
  std::int64_t ended_at_us = 0;
  std::string cause;
  std::string chosen;
  std::vector<std::string> targets;
  std::optional<v1::RoundVerdict> verdict;
  std::optional<std::uint32_t> elements;
  bool answered_by_token = false;  // Who answered its question is the name of a token, and no claim.
  bool is_over = false;            // Its steps have ended: what begins beneath it now stands in `finally`.
  bool is_finally = false;         // Stands in the `finally` of what is above it.

  v1::StepKind kind() const;  // Of its attempts, or of what is beneath it.
};

struct TraceTree {
  TraceNode root;  // The run itself; its path is empty.
  std::optional<v1::RunSubmitted> submitted;
  std::optional<v1::RunEnded> ended;
  std::optional<std::string> cancel_reason;
  std::optional<v1::RunForked> forked;
  std::vector<std::string> retried;  // The reasons.
  std::int64_t submitted_at_us = 0;
  std::int64_t last_at_us = 0;

  // The node of a path as people write it: `#N` and `[KEY]` may be left out where there is only one. Null where there
  // is none, or several fit.
  const TraceNode* find(std::string_view path) const;
};

// Splits a path into the paths of its node and of every node above it, outermost first.
std::vector<std::string> path_chain(std::string_view path);

// How a doubt went on, as sentences without an end.
std::string verified_text(const v1::Event& event);
std::string resolved_text(const v1::Event& event);

// Events may be added as they come.
class TraceBuilder {
 public:
  TraceBuilder() = default;
  TraceBuilder(const TraceBuilder&) = delete;
  TraceBuilder& operator=(const TraceBuilder&) = delete;

  void add(const v1::Event& event);
  const TraceTree& tree() const { return tree_; }

 private:
  TraceNode& node(const v1::Event& event);
  void add_to_run(const v1::Event& event);
  void add_to_attempt(const v1::Event& event, TraceNode& node);
  void end(TraceNode& node, const v1::StepResult& result, std::int64_t at_us);

  TraceTree tree_;
  std::map<std::string, TraceNode*, std::less<>> nodes_;
};

}  // namespace weft::history
