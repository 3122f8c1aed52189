// The steps that wait: for a time, a signal, or somebody's answer; and how many of its needs a step waits for.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

constexpr std::size_t kChoicesMax = 100;
constexpr Between kJoined{1, 10'000};

std::optional<Template> read_optional(Draft& draft, const yaml::Node& node, std::string_view key) {
  const yaml::Node* value = node.get(key);
  return value ? std::optional(read_template(draft, *value)) : std::nullopt;
}

}  // namespace

WaitBody read_wait(Draft& draft, const yaml::Node& node) {
  WaitBody body;
  const yaml::Node& wait = *node.get("wait");
  if (wait.is_map()) {
    body.until = read_optional(draft, wait, "until");
    if (const yaml::Node* signal = wait.get("signal")) {
      body.signal = read_text(draft.diagnostics, *signal, "signal").value_or("");
      if (!body.signal.empty()) check_name(draft.diagnostics, signal->mark, "a signal", body.signal);
    }
    if (body.until.has_value() == !body.signal.empty()) {
      expected(draft.diagnostics, wait, "wait", "a duration such as 30s, {until: TIME} or {signal: NAME}");
    }
    yaml::refuse_unused(wait, "wait", {"until", "signal"}, draft.diagnostics);
  } else {
    body.span = read_duration(draft.diagnostics, wait, "wait");
  }
  if (const yaml::Node* match = node.get("match")) {
    body.match = read_expression(draft, *match, "match", "true");
    if (body.signal.empty()) {
      draft.diagnostics.error(key_mark(node, "match"), "match", "match is for a step that waits for a signal");
    }
  }
  body.on_timeout = read_optional(draft, node, "on_timeout");
  const bool times = body.signal.empty();
  for (const char* key : {"timeout", "on_timeout"}) {
    if (!times || !node.has(key)) continue;
    draft.diagnostics.error(key_mark(node, key), "wait",
                            fmt::format("{} is for a step that waits for a signal or an answer; this one waits for a "
                                        "time, which comes",
                                        key));
  }
  return body;
}

AskBody read_ask(Draft& draft, const yaml::Node& node) {
  const yaml::Node& ask = *node.get("ask");
  if (!ask.is_scalar() || ask.text.empty()) expected(draft.diagnostics, ask, "ask", "a text: the question");
  AskBody body{
      .question = read_template(draft, ask), .choices = {}, .to = {}, .show = {}, .prefill = {}, .on_timeout = {}};
  if (const yaml::Node* choices = node.get("choices")) {
    for (const NameAt& choice : read_names(draft, *choices, "choices")) {
      if (std::ranges::find(body.choices, choice.name) != body.choices.end()) {
        draft.diagnostics.error(choice.mark, "choice",
                                fmt::format("the choice \"{}\" stands there twice", choice.name));
      }
      body.choices.push_back(choice.name);
    }
    if (body.choices.empty() || body.choices.size() > kChoicesMax)
      draft.diagnostics.error(choices->mark, "choice", fmt::format("a question has 1 to {} choices", kChoicesMax));
    if (node.has("output")) {
      draft.diagnostics.error(key_mark(node, "output"), "choice",
                              "a question has choices or a form, not both: leave one of choices and output out");
    }
  }
  body.to = read_optional(draft, node, "to");
  body.show = read_optional(draft, node, "show");
  body.prefill = read_optional(draft, node, "prefill");
  body.on_timeout = read_optional(draft, node, "on_timeout");
  if (body.on_timeout && !node.has("timeout")) {
    draft.diagnostics.error(key_mark(node, "on_timeout"), "missing-key", "on_timeout needs a timeout",
                            "say how long it waits: timeout: 24h");
  }
  const bool constant = body.on_timeout && body.on_timeout->is_constant() && body.on_timeout->source().is_string();
  if (constant && !body.choices.empty()) {
    const std::string text = body.on_timeout->source().get<std::string>();
    if (std::ranges::find(body.choices, text) == body.choices.end()) {
      draft.diagnostics.error(key_mark(node, "on_timeout"), "choice",
                              fmt::format("\"{}\" is none of the choices", text), {}, text);
    }
  }
  refuse_later(draft.diagnostics, node, {"notify"});
  return body;
}

std::optional<Join> read_join(Draft& draft, const yaml::Node& node, const StepNote& note) {
  const yaml::Node* written = node.get("join");
  const yaml::Node* rest = node.get("cancel_rest");
  std::optional<Join> join;
  if (written && written->is_scalar() && written->text == "any") {
    join = Join{};
  } else if (written && !(written->is_scalar() && written->text == "all")) {
    if (const auto count = read_count(draft.diagnostics, *written, "join", kJoined))
      join = Join{static_cast<std::uint32_t>(*count), false};
    if (join && join->count > note.needs.size()) {
      draft.diagnostics.error(written->mark, "join",
                              fmt::format("join: {} can never be met by {} needs", join->count, note.needs.size()));
    }
  }
  if (written && note.needs.empty()) {
    draft.diagnostics.error(written->mark, "join", "join is over needs, and this step has none",
                            "name the steps that it joins: needs: [a, b]");
  }
  if (!rest) return join;
  const auto flag = rest->as_bool();
  if (!flag) expected(draft.diagnostics, *rest, "cancel_rest", "true or false");
  if (!join) {
    draft.diagnostics.error(key_mark(node, "cancel_rest"), "join", "cancel_rest is for join: any or a number",
                            "where all are waited for, none is left");
  } else {
    join->cancel_rest = flag.value_or(false);
  }
  return join;
}

}  // namespace weft::workflows
