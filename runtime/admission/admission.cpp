#include "runtime/admission/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/bytes.h"

namespace weft::admission {
namespace {

using Kind = Waiter::Kind;

}  // namespace

Permit Admission::request(Waiter waiter, Limits limits, OnGranted on_granted) {
  return enqueue(std::unique_lock(mutex_), std::move(waiter), std::move(limits), std::move(on_granted));
}

std::optional<Permit> Admission::request(Waiter waiter, Limits limits, OnGranted on_granted, std::size_t waiting_max) {
  std::unique_lock lock(mutex_);
  if (is_queue_full(waiter, limits, waiting_max)) return std::nullopt;
  return enqueue(std::move(lock), std::move(waiter), std::move(limits), std::move(on_granted));
}

Permit Admission::enqueue(std::unique_lock<std::mutex> lock, Waiter waiter, Limits limits, OnGranted on_granted) {
  const FairQueue::Ticket id = ++last_ticket_;
  Ticket& ticket = tickets_[id];
  ticket.waiter = std::move(waiter);
  ticket.limits = std::move(limits);
  Notices notices;
  advance(id, ticket, notices);
  // What is granted at once needs no notice.
  if (ticket.waits()) ticket.on_granted = std::move(on_granted);
  lock.unlock();
  notify(std::move(notices), alarm_);
  return Permit(*this, id);
}

Permit Admission::grant_now(Waiter waiter, Limits limits) {
  const std::lock_guard lock(mutex_);
  const FairQueue::Ticket id = ++last_ticket_;
  Ticket& ticket = tickets_[id];
  ticket.waiter = std::move(waiter);
  ticket.limits = std::move(limits);
  while (ticket.waits()) pass(state_of(ticket.limits[ticket.at_us.size()]), id, ticket);
  return Permit(*this, id);
}

bool Admission::is_queue_full(const Waiter& waiter, const Limits& limits, std::size_t waiting_max) {
  if (runs_waiting_ < waiting_max) return false;
  const Ticket asking{waiter, {}, {}, nullptr};
  const bool waits = std::ranges::any_of(limits, [&](const Limit& limit) {
    State& state = state_of(limit);
    return !state.queue.empty() || !has_room(state, asking);
  });
  if (!waits) return false;
  const auto known = runs_waiting_of_.find(waiter.tenant);
  const std::size_t of_tenant = known == runs_waiting_of_.end() ? 0 : known->second;
  const std::size_t tenants = runs_waiting_of_.size() + (of_tenant == 0 ? 1 : 0);
  return of_tenant >= waiting_max / tenants;
}

Admission::State& Admission::state_of(const Limit& limit) {
  const auto found = states_.find(limit.key);
  if (found != states_.end()) return found->second;
  if (states_.size() >= sweep_at_) {
    // A limit whose window is not empty outlives its last permit.
    for (auto next = states_.begin(); next != states_.end();) {
      State& state = next->second;
      forget_minutes(state);
      const bool idle = state.taken == 0 && state.queue.empty() && state.window.empty() && state.due_us == 0;
      next = idle ? states_.erase(next) : std::next(next);
    }
    sweep_at_ = std::max<std::size_t>(1'024, states_.size() * 2);
  }
  State& state = states_[limit.key];
  state.limit = limit;
  return state;
}

void Admission::forget_minutes(State& state) {
  const std::int64_t since_us = (clock_.monotonic() - kRateWindow).count();
  while (!state.window.empty() && state.window.begin()->first.first <= since_us) {
    state.window_tokens -= state.window.begin()->second;
    state.window.erase(state.window.begin());
  }
}

bool Admission::has_room(State& state, const Ticket& ticket) {
  if (service_ == Service::kNone || (service_ == Service::kCalls && ticket.waiter.kind == Kind::kRun)) return false;
  const Bounds& bounds = *state.limit.bounds;
  if (bounds.places_max > 0 && state.taken >= bounds.places_max) return false;
  if (bounds.per_minute == 0 && bounds.tokens_per_minute == 0) return true;
  forget_minutes(state);
  if (bounds.per_minute > 0 && state.window.size() >= bounds.per_minute) return false;
  // A call that alone exceeds the limit of a minute passes when the window is empty.
  return bounds.tokens_per_minute == 0 || state.window.empty() ||
         state.window_tokens + ticket.waiter.tokens <= bounds.tokens_per_minute;
}

void Admission::pass(State& state, FairQueue::Ticket id, Ticket& ticket) {
  const std::int64_t now_us = clock_.monotonic().count();
  ++state.taken;
  ticket.at_us.push_back(now_us);
  if (state.limit.bounds->per_minute > 0 || state.limit.bounds->tokens_per_minute > 0) {
    state.window.emplace(std::pair(now_us, id), ticket.waiter.tokens);
    state.window_tokens += ticket.waiter.tokens;
  }
  if (!ticket.waits() && ticket.waiter.kind == Kind::kRun) ++runs_at_work_;
}

void Admission::advance(FairQueue::Ticket id, Ticket& ticket, Notices& notices) {
  while (ticket.waits()) {
    State& state = state_of(ticket.limits[ticket.at_us.size()]);
    if (state.queue.empty() && has_room(state, ticket)) {
      pass(state, id, ticket);
      continue;
    }
    state.queue.add(id, ticket.waiter.tenant, ticket.waiter.priority_time_us);
    count_waiting(id, ticket, 1);
    return recheck_later(state, notices);
  }
  if (ticket.on_granted) notices.granted.push_back(std::exchange(ticket.on_granted, nullptr));
}

void Admission::serve(State& state, Notices& notices) {
  while (!state.queue.empty()) {
    const FairQueue::Ticket id = state.queue.front();
    Ticket& ticket = tickets_.at(id);
    if (!has_room(state, ticket)) return recheck_later(state, notices);
    state.queue.pop();
    count_waiting(id, ticket, -1);
    pass(state, id, ticket);
    if (!ticket.waits() && ticket.waiter.kind == Kind::kRun) {
      constexpr std::int64_t kMeanOf = 8;
      const std::int64_t now_us = clock_.monotonic().count();
      if (served_at_us_ > 0) pace_us_ += (now_us - served_at_us_ - pace_us_) / (pace_us_ == 0 ? 1 : kMeanOf);
      served_at_us_ = now_us;
    }
    advance(id, ticket, notices);
  }
}

void Admission::recheck_later(State& state, Notices& notices) {
  if (state.window.empty() || state.due_us > 0) return;
  state.due_us = state.window.begin()->first.first + kRateWindow.count();
  due_.emplace(state.due_us, state.limit.key);
  if (due_.begin()->first != state.due_us) return;
  notices.alarm = Duration(std::max<std::int64_t>(0, state.due_us - clock_.monotonic().count()));
}

void Admission::recheck() {
  std::unique_lock lock(mutex_);
  Notices notices;
  const std::int64_t now_us = clock_.monotonic().count();
  while (!due_.empty() && due_.begin()->first <= now_us) {
    const auto due = due_.extract(due_.begin());
    const auto found = states_.find(due.value().second);
    if (found == states_.end()) continue;
    found->second.due_us = 0;
    serve(found->second, notices);
    close_if_idle(found->second);
  }
  if (!due_.empty()) notices.alarm = Duration(due_.begin()->first - now_us);
  lock.unlock();
  notify(std::move(notices), alarm_);
}

void Admission::release(FairQueue::Ticket id) {
  std::unique_lock lock(mutex_);
  const auto node = tickets_.extract(id);
  const Ticket& ticket = node.mapped();
  const std::size_t passed = ticket.at_us.size();
  Notices notices;
  if (ticket.waits()) {
    State& state = states_.at(ticket.limits[passed].key);
    state.queue.remove(id, ticket.waiter.tenant, ticket.waiter.priority_time_us);
    count_waiting(id, ticket, -1);
    serve(state, notices);  // The one behind it may need fewer tokens.
    close_if_idle(state);
  } else if (ticket.waiter.kind == Kind::kRun) {
    --runs_at_work_;
  }
  for (std::size_t i = 0; i < passed; ++i) {
    State& state = states_.at(ticket.limits[i].key);
    --state.taken;
    // A waiter that never passed all of its limits has begun nothing.
    if (const auto entry = state.window.find({ticket.at_us[i], id}); ticket.waits() && entry != state.window.end()) {
      state.window_tokens -= entry->second;
      state.window.erase(entry);
    }
    serve(state, notices);
    close_if_idle(state);
  }
  lock.unlock();
  notify(std::move(notices), alarm_);
}

void Admission::close_if_idle(State& state) {
  if (state.taken > 0 || !state.queue.empty() || !state.window.empty() || state.due_us > 0) return;
  states_.erase(std::string(state.limit.key));
}

void Admission::settle(FairQueue::Ticket id, std::uint64_t tokens) {
  std::unique_lock lock(mutex_);
  const Ticket& ticket = tickets_.at(id);
  Notices notices;
  for (std::size_t i = 0; i < ticket.at_us.size(); ++i) {
    State& state = states_.at(ticket.limits[i].key);
    const auto entry = state.window.find({ticket.at_us[i], id});
    if (entry == state.window.end()) continue;
    state.window_tokens += tokens - entry->second;
    entry->second = tokens;
    serve(state, notices);
  }
  lock.unlock();
  notify(std::move(notices), alarm_);
}

bool Admission::is_granted(FairQueue::Ticket id) const {
  const std::lock_guard lock(mutex_);
  return !tickets_.at(id).waits();
}

void Admission::serve(Service service) {
  std::unique_lock lock(mutex_);
  service_ = service;
  Notices notices;
  std::vector<std::string> keys;
  for (const auto& [key, state] : states_) {
    if (!state.queue.empty()) keys.push_back(key);
  }
  std::ranges::sort(keys);  // The same order on every machine.
  for (const std::string& key : keys) serve(states_.at(key), notices);
  lock.unlock();
  notify(std::move(notices), alarm_);
}

void Admission::count_waiting(FairQueue::Ticket id, const Ticket& ticket, int by) {
  const Waiter& waiter = ticket.waiter;
  std::set<FairQueue::Ticket>& of_run = waiting_of_[waiter.run_id];
  if (by > 0) of_run.insert(id);
  if (by < 0) of_run.erase(id);
  if (of_run.empty()) waiting_of_.erase(waiter.run_id);
  if (waiter.kind != Kind::kRun) return;
  runs_waiting_ += static_cast<std::size_t>(by);
  std::size_t& of_tenant = runs_waiting_of_[waiter.tenant];
  of_tenant += static_cast<std::size_t>(by);
  if (of_tenant == 0) runs_waiting_of_.erase(waiter.tenant);
}

void Admission::notify(Notices notices, const Alarm& alarm) {
  for (OnGranted& granted : notices.granted) granted();
  if (notices.alarm && alarm) alarm(*notices.alarm);
}

std::size_t Admission::runs_waiting() const {
  const std::lock_guard lock(mutex_);
  return runs_waiting_;
}

std::size_t Admission::runs_at_work() const {
  const std::lock_guard lock(mutex_);
  return runs_at_work_;
}

Admission::Figures Admission::figures(std::size_t max) const {
  Figures figures;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, state] : states_) {
    if (key == kModelCalls) figures.model_calls = state.taken;
    if (state.queue.empty()) continue;
    figures.queues.push_back(
        {printable(key), *state.limit.bounds, state.taken, state.window.size(), state.queue.size()});
    const Kind kind = tickets_.at(state.queue.front()).waiter.kind;
    if (kind == Kind::kCall) figures.calls_waiting += state.queue.size();
  }
  for (const auto& [tenant, runs] : runs_waiting_of_) figures.queued_by_tenant.emplace_back(printable(tenant), runs);
  std::ranges::sort(figures.queues, [](const QueueFigures& a, const QueueFigures& b) {
    return std::tie(b.waiting, a.limit) < std::tie(a.waiting, b.limit);
  });
  std::ranges::sort(figures.queued_by_tenant, [](const auto& a, const auto& b) {
    return std::tie(b.second, a.first) < std::tie(a.second, b.first);
  });
  figures.queues.resize(std::min(max, figures.queues.size()));
  figures.queued_by_tenant.resize(std::min(max, figures.queued_by_tenant.size()));
  return figures;
}

Duration Admission::pace() const {
  constexpr std::int64_t kUnknownUs = 1'000'000;
  constexpr std::int64_t kLeastUs = 100'000;
  constexpr std::int64_t kMostUs = 30'000'000;
  const std::lock_guard lock(mutex_);
  return Duration(std::clamp(pace_us_ == 0 ? kUnknownUs : pace_us_, kLeastUs, kMostUs));
}

std::string Admission::reason(const State& state) const {
  const Bounds& bounds = *state.limit.bounds;
  const std::string what = printable(state.limit.key);
  const std::string waiting = fmt::format("{} {}", state.queue.size(), state.queue.size() == 1 ? "waits" : "wait");
  if (bounds.places_max > 0 && state.taken >= bounds.places_max) {
    return fmt::format("its turn: {} {}, which is the limit ({}); {}", state.taken, what, bounds.places_name, waiting);
  }
  if (bounds.per_minute > 0 && state.window.size() >= bounds.per_minute) {
    return fmt::format("its turn: {} {} within a minute, which is the limit ({}); {}", state.window.size(), what,
                       bounds.per_minute_name, waiting);
  }
  return fmt::format("its turn: {} tokens of {} within a minute, and the limit is {} ({}); {}", state.window_tokens,
                     what, bounds.tokens_per_minute, bounds.tokens_name, waiting);
}

void Admission::describe(v1::Run& run) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_of_.find(run.id());
  if (found == waiting_of_.end()) return;
  const Ticket& ticket = tickets_.at(*found->second.begin());
  const State& state = states_.at(ticket.limits[ticket.at_us.size()].key);
  if (ticket.waiter.kind == Kind::kRun) run.set_status(v1::RUN_STATUS_QUEUED);
  run.set_waits_for(service_ != Service::kAll && ticket.waiter.kind == Kind::kRun
                        ? "the next start: this weft is stopping and begins no more runs"
                        : reason(state));
}

}  // namespace weft::admission
