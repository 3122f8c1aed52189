// Every expression and template against the types of its names; what each step's output is.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/check_scope.h"
#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

Type boolean() { return Type::of(Type::Kind::kBoolean); }

void require(Draft& draft, const Type& found, const Type& wanted, Mark mark, std::string_view what,
             std::string_view is) {
  if (wanted.accepts(found, &draft.diagnostics.work())) return;
  const std::string text = found.to_text(Diagnostics::kSentenceBytesMax);
  draft.diagnostics.error(mark, "type", fmt::format("{} must be {}, and this is {}", what, is, text),
                          found.optional() && wanted.accepts(found.without_optional(), &draft.diagnostics.work())
                              ? "it may be null: give a value for that with ??"
                              : "",
                          text);
}

Mark place_of(const Draft& draft, StepId id, std::string_view key) {
  const yaml::Node* node = draft.notes[id].node;
  return node && node->is_map() ? key_mark(*node, key) : draft.workflow->steps[id].mark;
}

std::string case_text(const Json& value) { return value.is_string() ? value.get<std::string>() : weft::to_text(value); }

// A switch over a known set of values: cases that none of them is, and values that no case is.
void check_cases(Draft& draft, StepId id, const Type& value) {
  std::vector<std::string> possible;
  if (value.kind() == Type::Kind::kBoolean) possible = {"true", "false"};
  if (value.kind() == Type::Kind::kEnum) {
    for (const Json& one : value.values()) possible.push_back(case_text(one));
  }
  StepNote& note = draft.note(id);
  if (possible.empty() || note.cases.empty()) return;
  std::vector<std::string> open = possible;
  for (CaseNote& choice : note.cases) {
    if (!draft.diagnostics.work().spend(possible.size())) return;
    const auto removed = std::ranges::remove(open, choice.match.name);
    open.erase(removed.begin(), removed.end());
    if (std::ranges::find(possible, choice.match.name) != possible.end()) continue;
    choice.never_chosen = true;
    const std::string near = draft.diagnostics.nearest(choice.match.name, possible);
    draft.diagnostics.error(choice.match.mark, "unreachable",
                            fmt::format("the case \"{}\" can never be chosen: the value is {}", choice.match.name,
                                        value.to_text(Diagnostics::kSentenceBytesMax)),
                            near.empty() ? std::string() : fmt::format("did you mean \"{}\"?", near),
                            choice.match.name);
  }
  if (value.optional()) open.emplace_back("null");
  note.default_never_chosen = open.empty();
  if (open.empty() || note.otherwise) return;
  std::string missing;
  for (const std::string& one : open) missing += (missing.empty() ? "" : ", ") + one;
  draft.diagnostics.error(place_of(draft, id, "cases"), "non-exhaustive",
                          fmt::format("the switch \"{}\" has no case for {}", draft.step(id).name, missing),
                          "add the cases, or say default: none", missing);
}

// Types grow with each step that wraps another's output twice, as values do; what is larger is checked when it runs.
Type bounded(const Type& type) {
  constexpr std::size_t kPartsMax = 1000;
  std::vector<Type> open{type};
  std::size_t parts = 0;
  while (!open.empty()) {
    const Type next = std::move(open.back());
    open.pop_back();
    if (++parts > kPartsMax) return Type();
    if (next.kind() == Type::Kind::kList || next.kind() == Type::Kind::kMap) open.push_back(next.element());
    if (next.kind() != Type::Kind::kObject) continue;
    if (next.fields().size() > kPartsMax) return Type();
    for (const Type::Field& field : next.fields()) open.push_back(field.type);
  }
  return type;
}

// Of the budget of the check: for a step, and for each path that it knows to be there.
constexpr std::uint64_t kStepUnits = 200;
constexpr std::uint64_t kFactUnits = 30;

class TypeChecker {
 public:
  explicit TypeChecker(Draft& draft) : draft_(draft) {}

  void check_scope(ScopeId scope, const Surroundings& around) {
    for (const StepId id : waiting_order(draft_, scope)) check_step(id, around);
    auto& returns = draft_.workflow->scopes[scope].returns;
    if (!returns) return;
    returns_types_[scope] = returns->check(ScopeTypes(draft_, scope, around, Readers::kReturns), draft_.diagnostics);
  }

 private:
  void check_step(StepId id, const Surroundings& around) {
    Step& step = draft_.step(id);
    if (!draft_.diagnostics.work().spend(kStepUnits + kFactUnits * around.narrowed.size())) return;
    Surroundings inside = around;
    if (step.is_finally) inside.ended.push_back(step.scope);
    if (step.when) {
      const Type type = step.when->check(ScopeTypes(draft_, step.scope, inside), draft_.diagnostics);
      require(draft_, type, boolean(), step.when->mark(), "when", "true or false");
      inside.narrowed.insert(inside.narrowed.end(), step.when->narrows().begin(), step.when->narrows().end());
    }
    Type used;
    if (step.on_error.use) used = step.on_error.use->check(ScopeTypes(draft_, step.scope, inside), draft_.diagnostics);
    if (step.for_each) check_for_each(step, inside);
    if (step.repeat) {
      inside.previous = previous_type(draft_, id);
      inside.forget("previous");
    }
    if (step.label) {
      step.label->check(ScopeTypes(draft_, step.scope, inside, Readers::kReturns), draft_.diagnostics);
    }
    Type type = check_body(id, inside);
    if (draft_.note(id).output_written) type = check_output(id, std::move(type));
    type = bounded(type);
    draft_.note(id).round_type = type;
    if (step.repeat) check_until(id, inside);
    if (step.for_each) type = Type::list(element_may_be_null(id) ? type.as_optional() : type);
    if (step.on_error.kind == OnError::Kind::kUse) type = Type::join(type, used, &draft_.diagnostics.work());
    step.type = bounded(type);
    draft_.note(id).may_be_absent = may_be_absent(id);
  }

  void check_for_each(Step& step, Surroundings& inside) {
    ForEach& each = *step.for_each;
    const Type list = each.in.check(ScopeTypes(draft_, step.scope, inside), draft_.diagnostics);
    require(draft_, list, Type::list(Type()), each.in.mark(), "for_each", "a list");
    const bool is_list = list.kind() == Type::Kind::kList;
    inside.elements.emplace_back(each.as, is_list ? list.element() : Type());
    inside.forget(each.as);
    inside.forget("index");
    if (!each.key) return;
    const Type key = each.key->check(ScopeTypes(draft_, step.scope, inside), draft_.diagnostics);
    const Type wanted =
        key.widened().kind() == Type::Kind::kInteger ? Type::of(Type::Kind::kInteger) : Type::of(Type::Kind::kString);
    require(draft_, key, wanted, each.key->mark(), "key", "a text or an integer");
  }

  Type check_body(StepId id, const Surroundings& inside) {
    Step& step = draft_.step(id);
    const ScopeTypes types(draft_, step.scope, inside);
    switch (step.kind) {
      case StepKind::kPrompt:
        std::get<PromptBody>(step.body).prompt.check(types, draft_.diagnostics);
        return Type::of(Type::Kind::kString);
      case StepKind::kTool: {
        const Type args = std::get<ToolBody>(step.body).args.check(types, draft_.diagnostics);
        const bool is_object =
            args.kind() == Type::Kind::kAny || args.kind() == Type::Kind::kObject || args.kind() == Type::Kind::kMap;
        if (!is_object || args.optional()) {
          draft_.diagnostics.error(
              place_of(draft_, id, "args"), "type",
              fmt::format("args must be a map, and this is {}", args.to_text(Diagnostics::kSentenceBytesMax)));
        }
        return Type();
      }
      case StepKind::kSet: {
        const Type value = std::get<SetBody>(step.body).value.check(types, draft_.diagnostics);
        return draft_.note(id).is_later ? Type() : value;
      }
      case StepKind::kSwitch: {
        const Type value = std::get<SwitchBody>(step.body).value.check(types, draft_.diagnostics);
        check_cases(draft_, id, value);
        return Type::of(Type::Kind::kString);
      }
      case StepKind::kWait: return check_wait(id, inside);
      case StepKind::kAsk: return check_ask(id, inside);
      case StepKind::kGroup: return check_group(std::get<GroupBody>(step.body).scope, inside);
    }
    return Type();
  }

  Type check_wait(StepId id, const Surroundings& inside) {
    auto& body = std::get<WaitBody>(draft_.step(id).body);
    const ScopeTypes types(draft_, draft_.step(id).scope, inside);
    if (body.until) {
      const Type until = body.until->check(types, draft_.diagnostics);
      const bool time = until.kind() == Type::Kind::kTimestamp || Type::of(Type::Kind::kString).accepts(until);
      if (!time || until.optional()) {
        require(draft_, until, Type::of(Type::Kind::kString), place_of(draft_, id, "wait"), "until",
                "a time such as 2026-12-24T18:00:00Z");
      }
    }
    if (body.match) {
      Surroundings with_signal = inside;
      with_signal.elements.emplace_back("signal", Type());
      const Type match = body.match->check(ScopeTypes(draft_, draft_.step(id).scope, with_signal), draft_.diagnostics);
      require(draft_, match, boolean(), body.match->mark(), "match", "true or false");
    }
    const Type late = body.on_timeout ? body.on_timeout->check(types, draft_.diagnostics) : Type();
    if (body.signal.empty()) return Type::of(Type::Kind::kNull);
    return body.on_timeout ? Type::join(Type(), late) : Type();
  }

  Type check_ask(StepId id, const Surroundings& inside) {
    auto& body = std::get<AskBody>(draft_.step(id).body);
    const ScopeTypes types(draft_, draft_.step(id).scope, inside);
    body.question.check(types, draft_.diagnostics);
    for (std::optional<Template>* text : {&body.to, &body.show, &body.prefill}) {
      if (*text) (*text)->check(types, draft_.diagnostics);
    }
    Type type = draft_.note(id).output_written ? draft_.step(id).output.type() : Type::of(Type::Kind::kString);
    if (!body.choices.empty()) {
      std::vector<Json> values(body.choices.begin(), body.choices.end());
      type = Type::enumeration(std::move(values));
    }
    if (!body.on_timeout) return type;
    const Type late = body.on_timeout->check(types, draft_.diagnostics);
    if (draft_.note(id).output_written)
      require(draft_, late, type, place_of(draft_, id, "on_timeout"), "on_timeout",
              type.to_text(Diagnostics::kSentenceBytesMax));
    return Type::join(type, late, &draft_.diagnostics.work());
  }

  Type check_group(ScopeId scope, const Surroundings& inside) {
    check_scope(scope, inside);
    if (const auto returned = returns_types_.find(scope); returned != returns_types_.end()) return returned->second;
    const Scope& inner = draft_.scope(scope);
    return inner.finally_from == 0 ? Type() : draft_.step(inner.last()).type;
  }

  // `output` declares the type of what a prompt or tool gives; what a set or group computes must fit it.
  Type check_output(StepId id, Type computed) {
    const Step& step = draft_.step(id);
    const bool is_computed = step.kind == StepKind::kSet || step.kind == StepKind::kGroup;
    if (is_computed) {
      require(draft_, computed, step.output.type(), place_of(draft_, id, "output"), "what the step computes",
              step.output.type().to_text(Diagnostics::kSentenceBytesMax));
    }
    return step.output.type();
  }

  void check_until(StepId id, const Surroundings& inside) {
    Step& step = draft_.step(id);
    const auto* group = std::get_if<GroupBody>(&step.body);
    ScopeTypes types(draft_, group ? group->scope : step.scope, inside);
    types.set_round_of(id);
    const Type type = step.repeat->until.check(types, draft_.diagnostics);
    require(draft_, type, boolean(), step.repeat->until.mark(), "until", "true or false");
  }

  // A group ends as its last step where it has no `returns`, and skipped where all its steps were.
  bool group_may_be_absent(StepId id) const {
    const auto* group = std::get_if<GroupBody>(&draft_.step(id).body);
    if (!group || draft_.scope(group->scope).finally_from == 0) return false;
    const Scope& scope = draft_.scope(group->scope);
    if (!scope.returns) return draft_.note(scope.last()).may_be_absent;
    return std::ranges::all_of(
        scope.steps, [&](StepId inner) { return draft_.step(inner).is_finally || draft_.note(inner).may_be_absent; });
  }

  bool element_may_be_null(StepId id) const {
    return draft_.step(id).for_each->on_item_error == ForEach::OnError::kKeep || group_may_be_absent(id);
  }

  bool may_be_absent(StepId id) const {
    const Step& step = draft_.step(id);
    const auto absent = [&](StepId other) {
      const bool ran_before =
          step.is_finally && draft_.step(other).scope == step.scope && !draft_.step(other).is_finally;
      return ran_before || draft_.note(other).may_be_absent;
    };
    if (step.when || !step.switches.empty() || step.on_error.kind == OnError::Kind::kContinue) return true;
    for (const StrictChain& chain : step.strict) {
      if (std::ranges::all_of(chain, absent)) return true;
    }
    if (!step.needs.empty() && std::ranges::all_of(step.needs, absent)) return true;
    return !step.for_each && group_may_be_absent(id);
  }

  Draft& draft_;
  std::map<ScopeId, Type> returns_types_;
};

}  // namespace

void check_types(Draft& draft) {
  TypeChecker(draft).check_scope(0, {});
  const Scope& top = draft.scope(0);
  if (top.returns || top.finally_from == 0 || !draft.note(top.last()).may_be_absent) return;
  const Step& last = draft.step(top.last());
  draft.diagnostics.warning(last.mark, "result-skipped",
                            fmt::format("the run returns the result of \"{}\", which may have none", last.name),
                            "say returns:, or put a step last that always runs", last.name);
}

}  // namespace weft::workflows
