// A run's state as bytes, so that what came before need not be folded again. What follows from the workflow (steps,
// policies, where a scope hangs) is found again there; values that are only kept for speed are not written.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/archive.h"
#include "runtime/run/state.h"

namespace weft::run {
namespace {

// Rises with every change of what is written, of its order, or of what a member means.
constexpr std::uint32_t kFormat = 2;

const workflows::ToolPolicy kPlanned;  // Stands for a policy until it is found again.

}  // namespace

// Found by their arguments' namespace from base/archive.h, so they are no members of the nameless one.

template <class Archive>
static void keep(Archive& archive, ToolCallState& call) {
  auto& [tool, wire_name, policy, effect, identity, key, payload, arguments, refusal, commanded, started, ended,
         sendings, resend_due_us, outcome, nothing_done, in_doubt, lost, asked, verifying, verifications, doubt,
         resolution, resolved] = call;
  bool planned = policy != nullptr;
  archive(tool, wire_name, planned, effect, identity, key, payload, arguments, refusal, commanded, started, ended,
          sendings, resend_due_us, outcome, nothing_done, in_doubt, lost, asked, verifying, verifications, doubt,
          resolution, resolved);
  if (Archive::kReads && planned) policy = &kPlanned;
}

template <class Archive>
static void keep(Archive& archive, EffectHistory& history) {
  auto& [generation, first_sent_us, recorded, abandoned, key_burnt] = history;
  archive(generation, first_sent_us, recorded, abandoned, key_burnt);
}

template <class Archive>
static void keep(Archive& archive, Execution& execution) {
  auto& [step, path, attempt, phase, timeout_due_us, deadline_due_us, turn, sending, repeat_due_us, model_failure,
         calls, text, cut, effect_started, tool_output, waiting, answered_by, signal_key, signals_seen, failure, inner,
         closing] = execution;
  archive(path, attempt, phase, timeout_due_us, deadline_due_us, turn, sending, repeat_due_us, model_failure, calls,
          text, cut, effect_started, tool_output, waiting, answered_by, failure, inner, closing);
}

template <class Archive>
static void keep(Archive& archive, ResumePoint& resume_point) {
  auto& [execution, before, inner_before] = resume_point;
  archive(execution, before, inner_before);
}

template <class Archive>
static void keep(Archive& archive, Slot& slot) {
  auto& [phase, round, allowances, told_to_fail, attempt, used, retry_due_us, verdict, result, inner_results, yields,
         begun_seq, execution, resume_point] = slot;
  archive(phase, round, allowances, told_to_fail, attempt, used, retry_due_us, verdict, result, inner_results, yields,
          execution, resume_point);
}

template <class Archive>
static void keep(Archive& archive, StepState& step) {
  auto& [phase, result, targets, joined, slots, items, items_json, keys, slot_of_key, next_slot, working, done,
         first_attempt, last_attempt, closing, failing, output_json] = step;
  // `next_slot` only saves looking at what has begun.
  archive(phase, result, targets, joined, slots, items, keys, working, done, first_attempt, last_attempt, closing,
          failing);
  if (!Archive::kReads) return;
  for (std::uint32_t i = 0; i < keys.size(); ++i) slot_of_key[keys[i]] = i;
}

template <class Archive>
static void keep(Archive& archive, Scope& scope) {
  archive(scope.owner_position, scope.owner_slot, scope.prefix, scope.steps, scope.ended, scope.ended_last,
          scope.closing, scope.failure, scope.body_result, scope.finally_failure);
}

template <class Archive>
static void keep(Archive& archive, Undoable& done) {
  auto& [path, tool, identity, key, arguments, output] = done;
  archive(path, tool, identity, key, arguments, output);
}

template <class Archive>
static void keep(Archive& archive, Undo& undo) {
  auto& [attempt, retry_due_us, execution] = undo;
  archive(attempt, retry_due_us, execution);
}

template <class Archive>
static void keep(Archive& archive, Run::State::Signal& signal) {
  auto& [seq, name, payload, keys] = signal;
  archive(seq, name, payload);
}

template <class Archive>
static void keep(Archive& archive, Run::State& state) {
  auto [histories, of_finally, payloads, undoable, undos_failed, undone, fork_effects, approved] =
      state.effects.parts();
  archive(state.identity, state.seq, state.at_us, state.digest, state.input_json, state.top, state.paused,
          state.cancelling, state.killing, state.grace_over, state.deadline_due_us, state.limited, state.signal_ids,
          state.signals, histories, of_finally, payloads, undoable, state.undo, undos_failed, undone, fork_effects,
          approved, state.slots_begun);
}

namespace {

class SnapshotLinker {
 public:
  explicit SnapshotLinker(const Run::State& state) : state_(state) {}

  bool link(Scope& scope, workflows::ScopeId id) {
    scope.definition = &state_.workflow->scopes[id];
    if (scope.steps.size() != scope.definition->steps.size()) return false;
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
      const workflows::Step& step = definition(state_, scope, i);
      StepState& state = scope.steps[i];
      if (!state.keys.empty() && state.keys.size() != state.slots.size()) return false;
      for (Slot& slot : state.slots) {
        if (slot.execution && !link(*slot.execution, step, &scope)) return false;
        if (slot.resume_point && (!slot.resume_point->execution || !link(*slot.resume_point->execution, step, &scope)))
          return false;
      }
    }
    return true;
  }

  bool link(Execution& execution, const workflows::Step& step, Scope* around) {
    execution.step = &step;
    for (ToolCallState& call : execution.calls) {
      if (call.policy == nullptr) continue;
      const auto facts = state_.facts_of(call.tool);
      if (!facts && !call.started) return false;
      call.policy = facts ? &facts->policy : &unknown_policy();
    }
    if (!execution.inner) return true;
    const auto* group = std::get_if<workflows::GroupBody>(&step.body);
    if (group == nullptr) return false;
    execution.inner->parent = around;
    return link(*execution.inner, group->scope);
  }

 private:
  const Run::State& state_;
};

}  // namespace

std::string Run::snapshot() const {
  State& state = *state_;
  if (!state.top || state.ended || !state.agenda.empty() || state.all_is_due || !state.outbox.empty()) return "";
  Packer packer;
  std::string names = to_text(*state.run_names);
  packer(kFormat, kSemantics, state.workflow->hash, names, state);
  return packer.take();
}

Status Run::restore(std::string_view snapshot) {
  State& state = *state_;
  const auto refused = [](std::string_view why) { return data_loss(fmt::format("the snapshot {}", why)); };
  Unpacker unpacker(snapshot);
  std::uint32_t format = 0;
  std::uint32_t semantics = 0;
  unpacker(format, semantics);
  if (format != kFormat || semantics != kSemantics) return refused("is of another version of weft");
  std::string hash;
  std::string names;
  unpacker(hash, names);
  if (unpacker.failed() || hash != state.workflow->hash) return refused("is of a run of another workflow");
  unpacker(state);
  if (!unpacker.is_whole() || !state.top) return refused("cannot be read");
  if (!SnapshotLinker(state).link(*state.top, 0)) return refused("does not fit its workflow");
  if (state.undo && state.undo->execution && !SnapshotLinker(state).link(*state.undo->execution, undo_step(), nullptr))
    return refused("does not fit its workflow");
  state.await_signals(*state.top);
  state.held_bytes = state.held_in_all();
  auto input = state.json(state.input_json);
  (void)state.contents.take_failed();  // The caller is told by the error alone.
  WEFT_TRY(state.input, std::move(input));
  WEFT_TRY(const Json parsed, parse_untrusted(names));
  state.run_names = std::make_shared<const Json>(parsed);
  return {};
}

}  // namespace weft::run
