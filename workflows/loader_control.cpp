// The keys that every step takes, whatever its kind.
#include <fmt/format.h>

#include <algorithm>

#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

constexpr Between kParallel{1, 1024};
constexpr Between kRounds{1, 1000};
constexpr Between kAttempts{1, 100};

const std::vector<std::string>& error_kinds() {
  static const std::vector<std::string> kKinds{"invalid_output", "tool_failed", "model_failed", "timed_out",
                                               "exhausted",      "turns",       "expression",   "input"};
  return kKinds;
}

// An element's name hides others of the same name, and so may not be one that means something everywhere.
bool is_taken(std::string_view name) {
  static constexpr std::string_view kTaken[] = {"input",   "steps",     "previous", "index",  "run",      "args",
                                                "call",    "as",        "break",    "const",  "continue", "else",
                                                "for",     "function",  "if",       "import", "let",      "loop",
                                                "package", "namespace", "return",   "var",    "void",     "while"};
  for (const std::string_view taken : kTaken) {
    if (name == taken) return true;
  }
  return false;
}

void read_parallel(Draft& draft, const yaml::Node& node, ForEach& each) {
  if (const yaml::Node* parallel = node.get("max_parallel")) {
    if (const auto count = read_count(draft.diagnostics, *parallel, "max_parallel", kParallel)) {
      each.max_parallel = static_cast<std::uint32_t>(*count);
    }
  }
  if (const yaml::Node* on_error = node.get("on_item_error")) {
    const auto choice = read_choice(draft.diagnostics, *on_error, "on_item_error", {"fail", "keep", "drop"});
    if (choice == "keep") each.on_item_error = ForEach::OnError::kKeep;
    if (choice == "drop") each.on_item_error = ForEach::OnError::kDrop;
  }
}

ForEach read_for_each(Draft& draft, const yaml::Node& node) {
  ForEach each;
  if (!node.is_map()) {
    each.in = read_expression(draft, node, "for_each", "[]");
    return each;
  }
  const yaml::Node* in = node.get("in");
  if (!in)
    draft.diagnostics.error(node.mark, "missing-key", "for_each does not say over what", "write {in: EXPRESSION}");
  each.in = read_expression(draft, in ? *in : yaml::Node(), "for_each", "[]");
  if (const yaml::Node* key = node.get("key")) each.key = read_expression(draft, *key, "key", "''");
  if (const yaml::Node* as = node.get("as")) {
    const auto name = read_text(draft.diagnostics, *as, "as");
    if (name && is_taken(*name)) {
      draft.diagnostics.error(as->mark, "name",
                              fmt::format("\"{}\" is a name of the language and no element's", *name));
    } else if (name && check_name(draft.diagnostics, as->mark, "an element", *name)) {
      each.as = *name;
    }
  }
  read_parallel(draft, node, each);
  yaml::refuse_unused(node, "for_each", {"in", "key", "as", "max_parallel", "on_item_error"}, draft.diagnostics);
  return each;
}

std::optional<Repeat> read_repeat(Draft& draft, const yaml::Node& node) {
  if (!node.is_map()) {
    expected(draft.diagnostics, node, "repeat", "a map: {until: EXPRESSION, at_most: N}");
    return std::nullopt;
  }
  Repeat repeat;
  const yaml::Node* until = node.get("until");
  if (!until) {
    draft.diagnostics.error(node.mark, "missing-key", "repeat does not say until when",
                            "write {until: EXPRESSION, at_most: N}");
  }
  repeat.until = until ? read_expression(draft, *until, "until", "true") : read_expression(draft, node, "", "true");
  if (const yaml::Node* most = node.get("at_most")) {
    const auto count = read_count(draft.diagnostics, *most, "at_most", kRounds);
    repeat.at_most = static_cast<std::uint32_t>(count.value_or(1));
  } else {
    draft.diagnostics.error(node.mark, "repeat-bound", "repeat has no at_most, so it might not end",
                            fmt::format("say at_most: N, at most {}", kRounds.most));
  }
  if (const yaml::Node* otherwise = node.get("else")) {
    const auto choice = read_choice(draft.diagnostics, *otherwise, "else", {"fail", "keep", "ask"});
    if (choice == "keep") repeat.otherwise = Repeat::Else::kKeep;
    if (choice == "ask") repeat.otherwise = Repeat::Else::kAsk;
  }
  yaml::refuse_unused(node, "repeat", {"until", "at_most", "else"}, draft.diagnostics);
  return repeat;
}

void read_backoff(Draft& draft, const yaml::Node& node, Retry& retry) {
  const std::size_t dots = node.is_scalar() ? node.text.find("..") : std::string::npos;
  if (dots == std::string::npos) {
    if (const auto wait = read_duration(draft.diagnostics, node, "backoff"))
      retry.backoff_min = retry.backoff_max = *wait;
    return;
  }
  const auto least = parse_duration(node.text.substr(0, dots)), most = parse_duration(node.text.substr(dots + 2));
  if (!least || !most || *least <= Duration::zero() || *most < *least) {
    draft.diagnostics.error(node.mark, "duration", fmt::format("\"{}\" is no range of durations", node.text),
                            "write the shorter first: 1s..30s");
    return;
  }
  retry.backoff_min = *least;
  retry.backoff_max = *most;
}

OnError read_on_error(Draft& draft, const yaml::Node& node) {
  OnError on_error;
  if (!node.is_map()) {
    if (read_choice(draft.diagnostics, node, "on_error", {"fail", "continue", "{use: VALUE}"}) == "continue") {
      on_error.kind = OnError::Kind::kContinue;
    }
    return on_error;
  }
  if (const yaml::Node* use = node.get("use")) {
    on_error.kind = OnError::Kind::kUse;
    on_error.use = read_template(draft, *use);
  } else {
    draft.diagnostics.error(node.mark, "missing-key", "on_error does not say which value to use", "write {use: VALUE}");
  }
  yaml::refuse_unused(node, "on_error", {"use"}, draft.diagnostics);
  return on_error;
}

}  // namespace

std::vector<NameAt> read_names(Draft& draft, const yaml::Node& node, std::string_view what) {
  std::vector<NameAt> names;
  const auto add = [&](const yaml::Node& item) {
    if (item.is_string()) {
      names.push_back({item.text, item.mark});
    } else {
      expected(draft.diagnostics, item, what, "a name or a list of names");
    }
  };
  if (node.is_sequence()) {
    for (const yaml::NodePtr& item : node.items) add(*item);
  } else {
    add(node);
  }
  return names;
}

Expression read_expression(Draft& draft, const yaml::Node& node, std::string_view what, const char* fallback) {
  std::optional<Expression> expression;
  if (node.is_scalar() && node.text.starts_with("{{")) {
    draft.diagnostics.error(node.mark, "expression-syntax",
                            fmt::format("{} is an expression and takes no {{{{ }}}}", what), "leave the braces out");
  } else if (node.is_scalar()) {
    expression = Expression::parse(node.text, node.text_mark, draft.diagnostics);
  } else if (!what.empty()) {
    expected(draft.diagnostics, node, what, "an expression");
  }
  if (expression) return *expression;
  Diagnostics unheard("");
  return *Expression::parse(fallback, node.mark, unheard);
}

Template read_template(Draft& draft, const yaml::Node& node) {
  if (auto read = Template::read(node, draft.diagnostics)) return *read;
  Diagnostics unheard("");
  return *Template::read(yaml::Node(), unheard);
}

Retry read_retry(Draft& draft, const yaml::Node& node, Retry base) {
  if (!node.is_map()) {
    expected(draft.diagnostics, node, "retry", "a map: {attempts: N, backoff: 1s..30s}");
    return base;
  }
  if (const yaml::Node* attempts = node.get("attempts")) {
    if (const auto count = read_count(draft.diagnostics, *attempts, "attempts", kAttempts)) {
      base.attempts = static_cast<std::uint32_t>(*count);
    }
  }
  if (const yaml::Node* backoff = node.get("backoff")) read_backoff(draft, *backoff, base);
  if (const yaml::Node* on = node.get("on")) {
    base.on.clear();
    for (const NameAt& kind : read_names(draft, *on, "on")) {
      if (std::ranges::find(error_kinds(), kind.name) == error_kinds().end()) {
        unknown_name(draft.diagnostics, kind.mark, "choice", "kind of error to retry,", kind.name, error_kinds());
      } else {
        base.on.push_back(kind.name);
      }
    }
  }
  yaml::refuse_unused(node, "retry", {"attempts", "backoff", "on"}, draft.diagnostics);
  return base;
}

void read_control(Draft& draft, const yaml::Node& node, Step& step, StepNote& note) {
  if (const yaml::Node* needs = node.get("needs")) {
    note.needs_written = true;
    note.needs = read_names(draft, *needs, "needs");
  }
  if (const yaml::Node* when = node.get("when")) step.when = read_expression(draft, *when, "when", "true");
  if (const yaml::Node* label = node.get("label")) {
    const auto text = read_text(draft.diagnostics, *label, "label");
    if (text) step.label = read_template(draft, *label);
    const bool has_attempts = step.kind != StepKind::kSet && step.kind != StepKind::kSwitch;
    if (text && has_template(*text) && !has_attempts) {
      draft.diagnostics.error(label->mark, "label",
                              "a set or switch is over as soon as it begins, so a label with {{ }} is never worded",
                              "write a text without {{ }}");
    }
  }
  step.join = read_join(draft, node, note);
  if (step.kind == StepKind::kSwitch) return;

  if (const yaml::Node* each = node.get("for_each")) step.for_each = read_for_each(draft, *each);
  if (step.for_each) read_parallel(draft, node, *step.for_each);
  if (const yaml::Node* repeat = node.get("repeat")) step.repeat = read_repeat(draft, *repeat);
  if (const yaml::Node* on_error = node.get("on_error")) step.on_error = read_on_error(draft, *on_error);
  if (const yaml::Node* timeout = node.get("timeout")) {
    step.timeout = read_duration(draft.diagnostics, *timeout, "timeout");
  }
  if (const yaml::Node* output = node.get("output")) {
    note.output_written = true;
    step.output = Shape::read(*output, draft.diagnostics);
  }
  if (const yaml::Node* deadline = node.get("deadline")) {
    step.deadline = read_duration(draft.diagnostics, *deadline, "deadline");
  }
  refuse_later(draft.diagnostics, node, {"cache", "budget", "private"});
}

}  // namespace weft::workflows
