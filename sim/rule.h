// The rules of a script, read and checked.
#pragma once

#include <re2/re2.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/reply.h"
#include "sim/script.h"
#include "workflows/expression/expression.h"

namespace weft::sim {

inline constexpr std::size_t kRulesMax = 1'000;
inline constexpr std::size_t kRawLinesMax = 10'000;

using Pattern = std::shared_ptr<const re2::RE2>;

// What must hold for a rule to answer; what is not said holds.
struct When {
  Pattern system;  // Somewhere in the system messages.
  Pattern user;    // Somewhere in the first user message.
  Pattern step;    // Somewhere in the first line of the last user message.
  Pattern last;    // Somewhere in the last message.
  std::optional<std::string> model;
  std::optional<std::uint64_t> turn;
  std::optional<std::pair<std::string, Pattern>> tool_result;  // Tool by weft's name; the pattern may be null.
  std::optional<std::uint64_t> times;  // Of one conversation: of requests with one first user message.
  std::optional<workflows::Expression> that;
};

struct CallPlan {
  std::string tool;  // As on the wire.
  std::optional<workflows::Expression> for_each;
  std::optional<workflows::Template> args;
};

// A reply whose texts are still templates.
struct ReplyPlan {
  Reply reply;  // All that is constant.
  bool echo = false;
  std::optional<workflows::Template> text;
  std::optional<workflows::Template> json;
  std::optional<workflows::Template> reasoning;
  std::optional<workflows::Template> message;  // Of a refusal; its body is made of it, but where
  bool whole_body = false;                     // the script gives the body.
  std::vector<CallPlan> calls;
};

struct Rule {
  std::string name;
  workflows::Mark mark;
  When when;
  ReplyPlan reply;
};

struct Rules {
  Settings settings;
  std::vector<Rule> rules;
};

// Nothing where the text is refused; the diagnostics then say why.
std::optional<Rules> read_rules(std::string_view yaml, workflows::Diagnostics& diagnostics);

}  // namespace weft::sim
