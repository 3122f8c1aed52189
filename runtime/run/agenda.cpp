// The agenda: where something may be decidable, so that deciding costs what changed and not what is there.
//
// Mostly it is a queue. A signal makes a sweep: the places that wait for it, in the order of the definition, and with
// them, in the same order, whatever becomes due at a place behind the one that the sweep has reached. Which places wait
// for it is looked up, by the equality on which their `match` turns (`signal.id == item.id`).
#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/run/environment.h"
#include "runtime/run/state.h"

namespace weft::run {
namespace {

using Side = workflows::Expression::Side;

constexpr std::string_view kSignal = "signal";

bool waits_for_signal(const SlotRef& at) {
  const StepState& step = at.step();
  if (at.index >= step.slots.size()) return false;
  const Execution* execution = step.slots[at.index].execution.get();
  return execution != nullptr && execution->phase == Execution::Phase::kWaiting && !execution->closing;
}

bool still_waits(const AgendaItem& item) {
  const std::shared_ptr<Scope> scope = item.scope.lock();
  return scope && waits_for_signal({*scope, item.position, item.slot});
}

const workflows::WaitBody* wait_of(const workflows::Step& step) {
  const auto* wait = std::get_if<workflows::WaitBody>(&step.body);
  return wait != nullptr && !wait->signal.empty() ? wait : nullptr;
}

bool turns_on_signal(const workflows::Step& step) {
  const workflows::WaitBody* wait = wait_of(step);
  return wait != nullptr && wait->match && wait->match->turns_on(kSignal);
}

OrderKey key_of(const Scope& scope, std::uint32_t position, std::uint32_t slot) {
  OrderKey key = {slot, position};
  for (const Scope* inner = &scope; inner->parent != nullptr; inner = inner->parent) {
    key.push_back(inner->owner_slot);
    key.push_back(inner->owner_position);
  }
  std::ranges::reverse(key);
  return key;
}

}  // namespace

void Run::State::consider(Scope& scope, std::uint32_t at, std::uint32_t slot) {
  if (all_is_due) return;
  agenda.push_back({scope.weak_from_this(), at, slot, false});
  if (!sweep || scope.opened_seq >= sweep->seq) return;
  // An element that began behind the signal is no place of its sweep.
  const std::vector<Slot>& slots = scope.steps[at].slots;
  if (slot > 0 && slot < slots.size() && slots[slot].begun_seq >= sweep->seq) return;
  OrderKey key = key_of(scope, at, slot);
  if (key > sweep->at) sweep->marked.insert_or_assign(std::move(key), agenda.back());
}

void Run::State::consider_all(Scope& scope) {
  for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
    consider(scope, i);
    scope.steps[i].next_slot = 0;  // One that has begun may be to begin anew.
    const std::vector<Slot>& slots = scope.steps[i].slots;
    for (std::uint32_t index = 0; index < slots.size(); ++index) {
      if (index > 0 && slots[index].phase != Slot::Phase::kIdle && slots[index].phase != Slot::Phase::kDone)
        consider(scope, i, index);
      if (slots[index].execution && slots[index].execution->inner) consider_all(*slots[index].execution->inner);
    }
  }
}

void Run::State::clear_agenda() {
  agenda.clear();
  sweep.reset();
  all_is_due = false;
}

// What may be due is decided in the order of the definition, whatever order it came in.
void Run::State::reconsider() {
  clear_agenda();
  if (top && !ended) consider_all(*top);
}

void Run::State::begin_sweep(std::uint64_t signal_seq) {
  if (paused || all_is_due) return;  // All is considered when it goes on.
  if (sweep) {                       // Nothing was decided between two signals: a history is being folded.
    clear_agenda();
    all_is_due = true;
    return;
  }
  sweep = std::make_unique<Sweep>();
  sweep->seq = signal_seq;
  agenda.push_back({{}, 0, 0, true});
}

std::optional<v1::Event> Run::State::decide_due() {
  if (all_is_due) reconsider();
  while (!agenda.empty()) {
    const AgendaItem item = agenda.front();
    if (item.is_sweep) {
      if (auto event = decide_sweep()) return event;
    } else if (const std::shared_ptr<Scope> scope = item.scope.lock()) {
      if (auto event = decide_step({*scope, item.position, item.slot})) return event;
    }
    if (left_off()) return std::nullopt;
    if (item.is_sweep) sweep.reset();
    agenda.pop_front();
  }
  return std::nullopt;
}

// Decides at one place until nothing is due there, then goes on to the next.
std::optional<v1::Event> Run::State::decide_sweep() {
  if (!find_waiters()) return std::nullopt;
  do {
    if (!sweep->current) continue;
    if (const std::shared_ptr<Scope> scope = sweep->current->scope.lock()) {
      if (auto event = decide_step({*scope, sweep->current->position, sweep->current->slot})) return event;
    }
    if (left_off()) return std::nullopt;
  } while (advance_sweep());
  return std::nullopt;
}

bool Run::State::advance_sweep() {
  const OrderKey* next = nullptr;
  const AgendaItem* item = nullptr;
  const auto offer = [&](auto place, auto end) {
    if (place == end || (next != nullptr && *next < place->first)) return;
    next = &place->first;
    item = &place->second;
  };
  const auto offer_waiting = [&](Waiters& all, const std::string& key) {
    const auto bucket = all.by_key.find(key);
    if (bucket == all.by_key.end()) return;
    auto place = bucket->second.upper_bound(sweep->at);
    while (place != bucket->second.end() && !still_waits(place->second)) {
      all.key_of_place.erase(place->first);
      place = bucket->second.erase(place);
    }
    offer(place, bucket->second.end());
  };
  offer(sweep->marked.upper_bound(sweep->at), sweep->marked.end());
  const bool is_taken = std::ranges::find(signals, sweep->seq, &Signal::seq) == signals.end();
  for (const auto& [step, key] : sweep->keys) {
    if (is_taken) break;
    offer_waiting(waiters[step], key);
    if (key != kAnyKey) offer_waiting(waiters[step], kAnyKey);
  }
  if (item == nullptr) return false;
  sweep->current = *item;
  sweep->at = *next;
  sweep->marked.erase(sweep->marked.begin(), sweep->marked.upper_bound(sweep->at));
  return true;
}

// After a restart.
void Run::State::await_signals(Scope& scope) {
  for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
    std::vector<Slot>& slots = scope.steps[i].slots;
    for (std::uint32_t index = 0; index < slots.size(); ++index) {
      if (waits_for_signal({scope, i, index})) await_signal(scope, i, index);
      if (slots[index].execution && slots[index].execution->inner) await_signals(*slots[index].execution->inner);
    }
  }
}

void Run::State::await_signal(Scope& scope, std::uint32_t at, std::uint32_t slot) {
  const workflows::Step& step = definition(*this, scope, at);
  if (wait_of(step) == nullptr) return;
  Waiters& all = waiters[step.id];
  all.fresh.push_back({scope.weak_from_this(), at, slot, false});
  if (all.fresh.size() < all.tidy_at) return;
  std::erase_if(all.fresh, [](const AgendaItem& item) { return !still_waits(item); });
  all.tidy_at = std::max<std::size_t>(Waiters::kTidyMin, 2 * all.fresh.size());
}

// Sorts in who has begun to wait since the last signal, and finds under which key they wait whom this one is for. False
// where the budget is over.
bool Run::State::find_waiters() {
  if (sweep->keys_found) return true;
  const auto signal = std::ranges::find(signals, sweep->seq, &Signal::seq);
  for (auto& [id, all] : waiters) {
    const workflows::Step& step = workflow->step(id);
    const workflows::WaitBody& wait = *wait_of(step);
    if (signal == signals.end() || wait.signal != signal->name) continue;
    for (; !all.fresh.empty(); all.fresh.pop_back()) {
      const AgendaItem& item = all.fresh.back();
      const std::shared_ptr<Scope> scope = item.scope.lock();
      if (!scope || !waits_for_signal({*scope, item.position, item.slot})) continue;
      const std::string& own = key_of_waiter({*scope, item.position, item.slot});
      if (budget->over()) return false;
      all.add(key_of(*scope, item.position, item.slot), own, item);
    }
    auto key = key_of_signal(*signal, step);
    if (budget->over()) return false;
    sweep->keys.emplace(id, std::move(key));
  }
  sweep->keys_found = true;
  return true;
}

void Waiters::add(OrderKey place, const std::string& key, const AgendaItem& item) {
  const auto [before, is_new] = key_of_place.try_emplace(place, key);
  if (!is_new && before->second != key) {
    by_key[before->second].erase(place);
    before->second = key;
  }
  by_key[key].insert_or_assign(std::move(place), item);
}

// What the place waits for, as a key: signals with another one are not for it. kAnyKey: each has to be asked.
const std::string& Run::State::key_of_waiter(const SlotRef& at) {
  Execution& execution = *at.slot().execution;
  if (execution.signal_key) return *execution.signal_key;
  const workflows::Step& step = *execution.step;
  if (!turns_on_signal(step)) return execution.signal_key.emplace(kAnyKey);
  StateEnvironment environment(*this, at);
  auto key = wait_of(step)->match->key(kSignal, Side::kOther, environment);
  const bool known = key.has_value() && environment.take_fault().has_value();
  if (budget->over()) return kAnyKey;
  return execution.signal_key.emplace(known ? *std::move(key) : kAnyKey);
}

const std::string& Run::State::key_of_signal(Signal& signal, const workflows::Step& step) {
  const auto found = signal.keys.find(step.id);
  if (found != signal.keys.end()) return found->second;
  if (!turns_on_signal(step)) return signal.keys[step.id] = kAnyKey;
  const auto payload = json(signal.payload);
  if (!payload) return kAnyKey;
  workflows::NamedValues names;
  names.set(std::string(kSignal), **payload);
  names.spend_out_of(budget);
  auto key = wait_of(step)->match->key(kSignal, Side::kOfRoot, names);
  if (budget->over()) return kAnyKey;
  // Where that side has no value, the whole is true for nobody.
  return signal.keys[step.id] = key ? *std::move(key) : kNoKey;
}

}  // namespace weft::run
