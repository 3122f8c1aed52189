#include "workflows/check_scope.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace weft::workflows {
namespace {

Type text_type() { return Type::of(Type::Kind::kString); }

Type error_type() {
  return Type::object(
      {{"kind", text_type(), {}}, {"message", text_type(), {}}, {"attempts", Type::of(Type::Kind::kInteger), {}}});
}

Type run_type(bool has_come_to_something) {
  std::vector<Type::Field> fields{{"id", text_type(), {}},
                                  {"started", text_type(), {}},
                                  {"scheduled_for", text_type().as_optional(), {}},
                                  {"labels", Type::map(text_type()), {}}};
  if (has_come_to_something) {
    fields.push_back({"status",
                      Type::enumeration({Json("succeeded"), Json("limited"), Json("abstained"), Json("failed"),
                                         Json("skipped"), Json("cancelled")}),
                      {}});
    fields.push_back({"error", error_type().as_optional(), {}});
  }
  return Type::object(std::move(fields));
}

Type items_type(const Step& step) {
  return Type::list(
      Type::object({{"key", text_type().as_optional(), {}},
                    {"item", Type(), {}},
                    {"status", status_type(), {}},
                    {"output", step.type.kind() == Type::Kind::kList ? step.type.element().as_optional() : Type(), {}},
                    {"error", error_type().as_optional(), {}}}));
}

// What is known of a step's output before it has been checked.
Type declared_type(const Draft& draft, StepId id) {
  const Step& step = draft.workflow->steps[id];
  Type type;
  if (draft.notes[id].output_written) {
    type = step.output.type();
  } else if (step.kind == StepKind::kPrompt) {
    type = text_type();
  }
  return type;
}

Type round_fields(const Draft& draft, StepId id, Type output) {
  std::vector<Type::Field> fields{{"output", std::move(output), {}},
                                  {"status", status_type(), {}},
                                  {"error", error_type().as_optional(), {}},
                                  {"reason", text_type().as_optional(), {}}};
  if (draft.workflow->steps[id].kind == StepKind::kPrompt) fields.push_back({"text", text_type(), {}});
  return Type::object(std::move(fields));
}

}  // namespace

Type status_type() {
  return Type::enumeration({Json("succeeded"), Json("abstained"), Json("failed"), Json("skipped"), Json("cancelled")});
}

Type previous_type(const Draft& draft, StepId id) {
  const auto* group = std::get_if<GroupBody>(&draft.workflow->steps[id].body);
  if (!group) return round_fields(draft, id, declared_type(draft, id)).as_optional();
  std::vector<Type::Field> fields;
  for (const StepId inner : draft.scope(group->scope).steps) {
    Type output = declared_type(draft, inner);
    if (draft.workflow->steps[inner].for_each) output = Type::list(std::move(output));
    fields.push_back({draft.workflow->steps[inner].name, round_fields(draft, inner, std::move(output)), {}});
  }
  return Type::object(std::move(fields)).as_optional();
}

std::optional<Type> ScopeTypes::name(std::string_view root) const {
  // An element hides an outer one of the same name.
  for (std::size_t i = around_.elements.size(); i-- > 0;) {
    if (around_.elements[i].first == root) return around_.elements[i].second;
  }
  if (root == "index" && !around_.elements.empty()) return Type::of(Type::Kind::kInteger);
  if (root == "previous") return around_.previous;
  if (root == "input") return draft_.input_type;
  if (root == "run") return run_type(!around_.ended.empty());
  return std::nullopt;
}

std::vector<std::string> ScopeTypes::names() const {
  std::vector<std::string> names{"input", "steps", "run"};
  if (around_.previous) names.push_back("previous");
  if (!around_.elements.empty()) names.push_back("index");
  for (const auto& [element, type] : around_.elements) names.push_back(element);
  return names;
}

Result<Type> ScopeTypes::step(std::string_view name, std::string_view field, bool tolerant) const {
  const auto id = draft_.find(scope_, name);
  if (!id) return missing_step(draft_, scope_, name);
  const Step& step = draft_.workflow->steps[*id];
  const StepNote& note = draft_.notes[*id];
  const bool after = std::ranges::find(around_.ended, step.scope) != around_.ended.end();
  if (step.is_finally && !after) return hidden_in_finally(name);
  const bool is_round = *id == round_of_;
  const bool may_be_absent = readers_ == Readers::kReturns ? note.may_be_absent && !is_round : tolerant;
  const auto result = [&](const Type& type) { return may_be_absent ? type.as_optional() : type; };
  const auto known_after = [&](const Type& type) {
    // In `finally`, a step beside it may never have started.
    const bool absent = note.may_be_absent || (after && !step.is_finally);
    return absent && !is_round ? type.as_optional() : type;
  };
  if (note.is_later) return Type();
  if (field == "output") return result(is_round ? note.round_type : step.type);
  if (field == "status") return status_type();
  if (field == "error") return error_type().as_optional();
  if (field == "reason") return text_type().as_optional();
  if (field == "limited") return Type::of(Type::Kind::kBoolean);
  if (field == "text") {
    if (step.kind != StepKind::kPrompt)
      return not_found(fmt::format("the step \"{}\" has no text, since it is no prompt", name));
    if (step.for_each && !is_round)
      return not_found(fmt::format("the step \"{}\" has no text of its own, but items", name));
    // What `use` gives instead is no text that the model said.
    const bool rescued = step.on_error.kind == OnError::Kind::kUse && !is_round;
    return result(rescued ? text_type().as_optional() : text_type());
  }
  if (field == "items") {
    if (!step.for_each) return not_found(fmt::format("the step \"{}\" has no items, since it has no for_each", name));
    return known_after(items_type(step));
  }
  if (field == "iteration" || field == "exhausted") {
    if (!step.repeat) return not_found(fmt::format("the step \"{}\" has no {}, since it does not repeat", name, field));
    return known_after(Type::of(field == "iteration" ? Type::Kind::kInteger : Type::Kind::kBoolean));
  }
  if (field == "answered_by" && step.kind == StepKind::kAsk) return text_type().as_optional();
  if (field == "answered_by")
    return not_found(fmt::format("the step \"{}\" asks nobody, so it has no answered_by", name));
  static const std::vector<std::string> kFields{"output", "text",      "status",    "error",  "reason",
                                                "items",  "iteration", "exhausted", "limited"};
  Error error =
      not_found(fmt::format("the step \"{}\" has no field \"{}\"", name, field)).with("code", "unknown-field");
  const std::string near = draft_.diagnostics.nearest(std::string(field), kFields);
  return near.empty() ? error : std::move(error).with("suggestion", fmt::format("did you mean \"{}\"?", near));
}

}  // namespace weft::workflows
