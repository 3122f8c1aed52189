// Names into steps: what waits for what, as docs/language.md says under "When a step starts".
#include <fmt/format.h>

#include <algorithm>
#include <queue>

#include "workflows/draft.h"
#include "workflows/loader_keys.h"

namespace weft::workflows {
namespace {

template <class T>
void sort_unique(std::vector<T>& values) {
  std::ranges::sort(values);
  const auto repeated = std::ranges::unique(values);
  values.erase(repeated.begin(), repeated.end());
}

// The group around `inner` that stands in `scope`, or `inner` itself where it stands there.
StepId standing_in(const Draft& draft, StepId inner, ScopeId scope) {
  const auto& steps = draft.workflow->steps;
  while (steps[inner].scope != scope) inner = draft.scope(steps[inner].scope).owner;
  return inner;
}

// `step` must start after `target`, which stands in the same or an enclosing scope.
void wait_for(Draft& draft, StepId step, StepId target) {
  const StepId waiting = standing_in(draft, step, draft.step(target).scope);
  draft.step(waiting).waits_for.push_back(target);
  if (waiting != step) draft.note(waiting).inherited.emplace(target, step);
}

// Whether the reader may know of `target`: what stands in `finally` is read there alone, since it runs last.
bool is_hidden(const Draft& draft, StepId reader, StepId target) {
  const Step& step = draft.workflow->steps[target];
  return step.is_finally && !draft.workflow->steps[standing_in(draft, reader, step.scope)].is_finally;
}

void say_hidden(Draft& draft, const NameAt& name) {
  draft.diagnostics.error(name.mark, "scope", hidden_in_finally(name.name).message, {}, name.name);
}

// How mentions of one value of a step are resolved.
struct Reading {
  ScopeId scope;              // Where names are looked up.
  bool own_is_no_dependency;  // In `until`.
  bool is_tolerant;           // In `returns`.
};

// Whether a mention of `target` is of the reader's own round: the step itself in `until`, or a step inside it.
bool is_own(const Draft& draft, StepId reader, StepId target, const Reading& reading) {
  if (target == reader) return reading.own_is_no_dependency;
  return reading.scope != draft.workflow->steps[reader].scope && draft.workflow->steps[target].scope == reading.scope;
}

void resolve_mentions(Draft& draft, StepId reader, const std::vector<MentionChain>& chains, const Reading& reading) {
  for (const MentionChain& chain : chains) {
    StrictChain strict;
    bool is_tolerant = chain.tolerant || reading.is_tolerant;
    for (const Mention& mention : chain.mentions) {
      const auto target = mention.previous ? std::nullopt : draft.find(reading.scope, mention.step);
      if (!target || is_own(draft, reader, *target, reading)) {
        // Whether there is a result is then not known before the step starts.
        is_tolerant = true;
        continue;
      }
      if (is_hidden(draft, reader, *target)) continue;
      wait_for(draft, reader, *target);
      strict.push_back(*target);
    }
    if (!is_tolerant && !strict.empty()) draft.step(reader).strict.push_back(std::move(strict));
  }
}

void resolve_values(Draft& draft, StepId id) {
  const Step& step = draft.step(id);
  const Reading own{step.scope, false, false};
  for (const auto* chains : own_mentions(step)) resolve_mentions(draft, id, *chains, own);
  // A label keeps no step from starting.
  if (step.label) resolve_mentions(draft, id, step.label->mentions(), {step.scope, false, true});
  const auto* group = std::get_if<GroupBody>(&step.body);
  const ScopeId inside = group ? group->scope : step.scope;
  if (step.repeat) resolve_mentions(draft, id, step.repeat->until.mentions(), {inside, true, false});
  if (group && draft.scope(inside).returns) {
    resolve_mentions(draft, id, draft.scope(inside).returns->mentions(), {inside, false, true});
  }
}

void resolve_needs(Draft& draft, StepId id) {
  for (const NameAt& need : draft.note(id).needs) {
    const auto target = draft.find(draft.step(id).scope, need.name);
    if (!target) {
      say_missing(draft, draft.step(id).scope, need);
      continue;
    }
    if (is_hidden(draft, id, *target)) {
      say_hidden(draft, need);
      continue;
    }
    draft.step(id).needs.push_back(*target);
    wait_for(draft, id, *target);
  }
  sort_unique(draft.step(id).needs);
}

std::vector<StepId> resolve_targets(Draft& draft, StepId id, const std::vector<NameAt>& names) {
  std::vector<StepId> targets;
  const ScopeId scope = draft.step(id).scope;
  for (const NameAt& name : names) {
    const auto target = draft.find(scope, name.name);
    if (!target) {
      say_missing(draft, scope, name);
    } else if (draft.step(*target).scope != scope) {
      draft.diagnostics.error(
          name.mark, "scope",
          fmt::format("a switch chooses among the steps beside it, and \"{}\" stands outside", name.name), {},
          name.name);
    } else if (draft.step(*target).is_finally != draft.step(id).is_finally) {
      draft.diagnostics.error(name.mark, "scope",
                              fmt::format("of the switch \"{}\" and the step \"{}\" one stands in finally and one does "
                                          "not: a switch chooses among the steps beside it",
                                          draft.step(id).name, name.name),
                              {}, name.name);
    } else {
      targets.push_back(*target);
    }
  }
  sort_unique(targets);
  return targets;
}

void resolve_switch(Draft& draft, StepId id) {
  auto* body = std::get_if<SwitchBody>(&draft.step(id).body);
  if (!body) return;
  std::vector<StepId> named;
  const auto resolve = [&](const std::vector<NameAt>& names) {
    std::vector<StepId> targets = resolve_targets(draft, id, names);
    named.insert(named.end(), targets.begin(), targets.end());
    return targets;
  };
  for (const CaseNote& choice : draft.note(id).cases)
    body->cases.push_back({choice.match.name, resolve(choice.targets)});
  if (draft.note(id).otherwise) body->otherwise = resolve(*draft.note(id).otherwise);
  sort_unique(named);
  for (const StepId target : named) {
    draft.step(target).switches.push_back(id);
    wait_for(draft, target, id);
  }
}

void check_inner_names(Draft& draft) {
  for (const Step& step : draft.workflow->steps) {
    if (step.scope == 0) continue;
    const auto outer = draft.find(draft.scope(step.scope).parent, step.name);
    if (!outer) continue;
    draft.diagnostics.error(step.mark, "name",
                            fmt::format("the inner step \"{}\" has the name of an outer one, in line {}", step.name,
                                        draft.step(*outer).mark.line),
                            "give it a name of its own", step.name);
  }
}

void report_cycle(Draft& draft, std::vector<StepId> cycle) {
  std::ranges::rotate(cycle, std::ranges::min_element(cycle));
  constexpr std::size_t kShownMax = 20;
  std::string path, because;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const StepId here = cycle[i], next = cycle[(i + 1) % cycle.size()];
    draft.note(here).in_cycle = true;
    if (i < kShownMax) path += draft.step(here).name + " → ";
    if (i == kShownMax) path += "… → ";
    const auto through = draft.note(here).inherited.find(next);
    if (because.empty() && through != draft.note(here).inherited.end()) {
      because = fmt::format("\"{}\" waits for \"{}\" because of {} inside it", draft.step(here).name,
                            draft.step(next).name, path_of(draft, through->second));
    }
  }
  path += draft.step(cycle[0]).name;
  draft.diagnostics.error(draft.step(cycle[0]).mark, "cycle", fmt::format("these steps wait for each other: {}", path),
                          because, path);
}

// Counts down what each step of a scope still waits for; a step is free when that is nothing.
class Waiting {
 public:
  Waiting(const Draft& draft, ScopeId scope) : draft_(draft), steps_(draft.scope(scope).steps) {
    for (const StepId id : steps_) {
      open_[id] = draft.workflow->steps[id].waits_for.size();
      if (open_[id] == 0) free_.push(id);
    }
  }
  bool is_open(StepId id) const { return open_.contains(id); }
  // The first free step in file order, which thereby ends.
  std::optional<StepId> take() {
    while (!free_.empty()) {
      const StepId id = free_.top();
      free_.pop();
      if (open_.erase(id) == 0) continue;
      for (const StepId dependant : draft_.workflow->steps[id].dependants) {
        const auto open = open_.find(dependant);
        if (open != open_.end() && --open->second == 0) free_.push(dependant);
      }
      return id;
    }
    return std::nullopt;
  }
  // A cycle among those that are left; nothing where none is.
  std::vector<StepId> find_cycle() {
    while (first_ < steps_.size() && !is_open(steps_[first_])) ++first_;
    if (first_ == steps_.size()) return {};
    std::vector<StepId> path{steps_[first_]};
    std::map<StepId, std::size_t> place{{path[0], 0}};
    for (;;) {
      const auto& waits = draft_.workflow->steps[path.back()].waits_for;
      const StepId next = *std::ranges::find_if(waits, [&](StepId id) { return is_open(id); });
      const auto [seen, added] = place.emplace(next, path.size());
      if (!added) return {path.begin() + static_cast<std::ptrdiff_t>(seen->second), path.end()};
      path.push_back(next);
    }
  }
  void free(StepId id) { free_.push(id); }

 private:
  const Draft& draft_;
  const std::vector<StepId>& steps_;
  std::map<StepId, std::size_t> open_;
  std::priority_queue<StepId, std::vector<StepId>, std::greater<>> free_;
  std::size_t first_ = 0;
};

void find_cycles(Draft& draft, ScopeId scope) {
  constexpr std::size_t kCyclesMax = 50;  // More are not told apart.
  Waiting waiting(draft, scope);
  for (std::size_t i = 0; i < kCyclesMax; ++i) {
    while (waiting.take()) {
    }
    const std::vector<StepId> cycle = waiting.find_cycle();
    if (cycle.empty()) return;
    report_cycle(draft, cycle);
    for (const StepId id : cycle) waiting.free(id);
  }
  for (const StepId id : draft.scope(scope).steps) {
    if (waiting.is_open(id)) draft.note(id).in_cycle = true;
  }
}

}  // namespace

std::string path_of(const Draft& draft, StepId id) {
  std::string path = draft.workflow->steps[id].name;
  for (ScopeId scope = draft.workflow->steps[id].scope; scope != 0; scope = draft.scope(scope).parent) {
    path.insert(0, draft.workflow->steps[draft.scope(scope).owner].name + "/");
  }
  return path;
}

Error hidden_in_finally(std::string_view name) {
  return not_found(
             fmt::format("the step \"{}\" stands in finally, which runs when the steps beside it have ended", name))
      .with("code", "scope")
      .with("suggestion", "read it in finally alone");
}

Error missing_step(const Draft& draft, ScopeId scope, std::string_view name) {
  const Error plain = not_found(fmt::format("there is no step \"{}\"", name));
  if (draft.diagnostics.full()) return plain;
  for (const auto& names : draft.names) {
    const auto inner = names.find(name);
    if (inner == names.end()) continue;
    const StepId group = draft.scope(draft.workflow->steps[inner->second].scope).owner;
    return not_found(fmt::format("the step \"{}\" is inside the group \"{}\", and outside only that can be read", name,
                                 path_of(draft, group)))
        .with("code", "scope")
        .with("suggestion", "let the group's returns give it out");
  }
  std::vector<std::string> known;
  for (;; scope = draft.scope(scope).parent) {
    for (const StepId id : draft.scope(scope).steps) known.push_back(draft.workflow->steps[id].name);
    if (scope == 0) break;
  }
  const std::string near = draft.diagnostics.nearest(std::string(name), known);
  if (near.empty()) return Error(plain).with("code", "unknown-step");
  return Error(plain).with("code", "unknown-step").with("suggestion", fmt::format("did you mean \"{}\"?", near));
}

void say_missing(Draft& draft, ScopeId scope, const NameAt& name) {
  std::string code = "unknown-step", suggestion;
  const Error error = missing_step(draft, scope, name.name);
  for (const Detail& detail : error.details) {
    if (detail.key == "code") code = detail.value;
    if (detail.key == "suggestion") suggestion = detail.value;
  }
  draft.diagnostics.error(name.mark, code, error.message, suggestion, name.name);
}

std::vector<const std::vector<MentionChain>*> own_mentions(const Step& step) {
  std::vector<const std::vector<MentionChain>*> all;
  if (step.when) all.push_back(&step.when->mentions());
  if (step.for_each) {
    all.push_back(&step.for_each->in.mentions());
    if (step.for_each->key) all.push_back(&step.for_each->key->mentions());
  }
  if (step.on_error.use) all.push_back(&step.on_error.use->mentions());
  if (const auto* prompt = std::get_if<PromptBody>(&step.body)) all.push_back(&prompt->prompt.mentions());
  if (const auto* tool = std::get_if<ToolBody>(&step.body)) all.push_back(&tool->args.mentions());
  if (const auto* set = std::get_if<SetBody>(&step.body)) all.push_back(&set->value.mentions());
  if (const auto* choice = std::get_if<SwitchBody>(&step.body)) all.push_back(&choice->value.mentions());
  const auto add = [&](const auto& text) {
    if (text) all.push_back(&text->mentions());
  };
  if (const auto* wait = std::get_if<WaitBody>(&step.body)) {
    add(wait->until);
    add(wait->match);
    add(wait->on_timeout);
  }
  if (const auto* ask = std::get_if<AskBody>(&step.body)) {
    all.push_back(&ask->question.mentions());
    add(ask->to);
    add(ask->show);
    add(ask->prefill);
    add(ask->on_timeout);
  }
  return all;
}

std::vector<StepId> waiting_order(const Draft& draft, ScopeId scope) {
  std::vector<StepId> order;
  Waiting waiting(draft, scope);
  for (const StepId id : draft.scope(scope).steps) {
    if (draft.notes[id].in_cycle) waiting.free(id);
  }
  while (const auto id = waiting.take()) order.push_back(*id);
  return order;
}

void resolve_graph(Draft& draft) {
  check_inner_names(draft);
  const auto count = static_cast<StepId>(draft.workflow->steps.size());
  for (StepId id = 0; id < count; ++id) {
    resolve_needs(draft, id);
    resolve_switch(draft, id);
    resolve_values(draft, id);
  }
  for (StepId id = 0; id < count; ++id) {
    Step& step = draft.step(id);
    sort_unique(step.waits_for);
    sort_unique(step.switches);
    sort_unique(step.strict);
    for (const StepId target : step.waits_for) draft.step(target).dependants.push_back(id);
  }
  for (const Scope& scope : draft.workflow->scopes) find_cycles(draft, scope.id);
}

}  // namespace weft::workflows
