#include "runtime/engine/places.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/bytes.h"

namespace weft::engine {
namespace {

using Kind = Passenger::Kind;

}  // namespace

Places::Turn Places::take(Passenger passenger, Gates gates, OnTurn on_turn) {
  return admit(std::unique_lock(mutex_), std::move(passenger), std::move(gates), std::move(on_turn));
}

std::optional<Places::Turn> Places::take(Passenger passenger, Gates gates, OnTurn on_turn, std::size_t waiting_max) {
  std::unique_lock lock(mutex_);
  if (is_line_full(passenger, gates, waiting_max)) return std::nullopt;
  return admit(std::move(lock), std::move(passenger), std::move(gates), std::move(on_turn));
}

Places::Turn Places::admit(std::unique_lock<std::mutex> lock, Passenger passenger, Gates gates, OnTurn on_turn) {
  const Line::Ticket id = ++last_ticket_;
  Ticket& ticket = tickets_[id];
  ticket.passenger = std::move(passenger);
  ticket.gates = std::move(gates);
  News news;
  go_on(id, ticket, news);
  // Whose turn comes at once needs no word.
  if (ticket.waits()) ticket.on_turn = std::move(on_turn);
  lock.unlock();
  tell(std::move(news), alarm_);
  return Turn(*this, id);
}

Places::Turn Places::enter(Passenger passenger, Gates gates) {
  const std::lock_guard lock(mutex_);
  const Line::Ticket id = ++last_ticket_;
  Ticket& ticket = tickets_[id];
  ticket.passenger = std::move(passenger);
  ticket.gates = std::move(gates);
  while (ticket.waits()) pass(state_of(ticket.gates[ticket.at_us.size()]), id, ticket);
  return Turn(*this, id);
}

bool Places::is_line_full(const Passenger& passenger, const Gates& gates, std::size_t waiting_max) {
  if (runs_waiting_ < waiting_max) return false;
  const Ticket asking{passenger, {}, {}, nullptr};
  const bool waits = std::ranges::any_of(gates, [&](const Gate& gate) {
    State& state = state_of(gate);
    return !state.line.empty() || !has_room(state, asking);
  });
  if (!waits) return false;
  const auto known = runs_waiting_of_.find(passenger.share);
  const std::size_t of_share = known == runs_waiting_of_.end() ? 0 : known->second;
  const std::size_t shares = runs_waiting_of_.size() + (of_share == 0 ? 1 : 0);
  return of_share >= waiting_max / shares;
}

Places::State& Places::state_of(const Gate& gate) {
  const auto found = states_.find(gate.key);
  if (found != states_.end()) return found->second;
  if (states_.size() >= sweep_at_) {
    // Gates of which a minute remembers something are not closed when the last one leaves.
    for (auto next = states_.begin(); next != states_.end();) {
      State& state = next->second;
      forget_minutes(state);
      const bool idle = state.taken == 0 && state.line.empty() && state.window.empty() && state.due_us == 0;
      next = idle ? states_.erase(next) : std::next(next);
    }
    sweep_at_ = std::max<std::size_t>(1'024, states_.size() * 2);
  }
  State& state = states_[gate.key];
  state.gate = gate;
  return state;
}

void Places::forget_minutes(State& state) {
  const std::int64_t since_us = (clock_.monotonic() - kRateWindow).count();
  while (!state.window.empty() && state.window.begin()->first.first <= since_us) {
    state.window_tokens -= state.window.begin()->second;
    state.window.erase(state.window.begin());
  }
}

bool Places::has_room(State& state, const Ticket& ticket) {
  if (service_ == Service::kNone || (service_ == Service::kCalls && ticket.passenger.kind == Kind::kRun)) return false;
  const Bounds& bounds = *state.gate.bounds;
  if (bounds.places_max > 0 && state.taken >= bounds.places_max) return false;
  if (bounds.per_minute == 0 && bounds.tokens_per_minute == 0) return true;
  forget_minutes(state);
  if (bounds.per_minute > 0 && state.window.size() >= bounds.per_minute) return false;
  // What alone is more than a minute allows goes alone.
  return bounds.tokens_per_minute == 0 || state.window.empty() ||
         state.window_tokens + ticket.passenger.tokens <= bounds.tokens_per_minute;
}

void Places::pass(State& state, Line::Ticket id, Ticket& ticket) {
  const std::int64_t now_us = clock_.monotonic().count();
  ++state.taken;
  ticket.at_us.push_back(now_us);
  if (state.gate.bounds->per_minute > 0 || state.gate.bounds->tokens_per_minute > 0) {
    state.window.emplace(std::pair(now_us, id), ticket.passenger.tokens);
    state.window_tokens += ticket.passenger.tokens;
  }
  if (!ticket.waits() && ticket.passenger.kind == Kind::kRun) ++runs_at_work_;
}

void Places::go_on(Line::Ticket id, Ticket& ticket, News& news) {
  while (ticket.waits()) {
    State& state = state_of(ticket.gates[ticket.at_us.size()]);
    if (state.line.empty() && has_room(state, ticket)) {
      pass(state, id, ticket);
      continue;
    }
    state.line.add(id, ticket.passenger.share, ticket.passenger.rank_us);
    count_waiting(id, ticket, 1);
    return look_later(state, news);
  }
  if (ticket.on_turn) news.turns.push_back(std::exchange(ticket.on_turn, nullptr));
}

void Places::serve(State& state, News& news) {
  while (!state.line.empty()) {
    const Line::Ticket id = state.line.front();
    Ticket& ticket = tickets_.at(id);
    if (!has_room(state, ticket)) return look_later(state, news);
    state.line.pop();
    count_waiting(id, ticket, -1);
    pass(state, id, ticket);
    if (!ticket.waits() && ticket.passenger.kind == Kind::kRun) {
      constexpr std::int64_t kMeanOf = 8;
      const std::int64_t now_us = clock_.monotonic().count();
      if (served_at_us_ > 0) pace_us_ += (now_us - served_at_us_ - pace_us_) / (pace_us_ == 0 ? 1 : kMeanOf);
      served_at_us_ = now_us;
    }
    go_on(id, ticket, news);
  }
}

void Places::look_later(State& state, News& news) {
  if (state.window.empty() || state.due_us > 0) return;
  state.due_us = state.window.begin()->first.first + kRateWindow.count();
  due_.emplace(state.due_us, state.gate.key);
  if (due_.begin()->first != state.due_us) return;
  news.alarm = Duration(std::max<std::int64_t>(0, state.due_us - clock_.monotonic().count()));
}

void Places::look() {
  std::unique_lock lock(mutex_);
  News news;
  const std::int64_t now_us = clock_.monotonic().count();
  while (!due_.empty() && due_.begin()->first <= now_us) {
    const auto due = due_.extract(due_.begin());
    const auto found = states_.find(due.value().second);
    if (found == states_.end()) continue;
    found->second.due_us = 0;
    serve(found->second, news);
    close_if_idle(found->second);
  }
  if (!due_.empty()) news.alarm = Duration(due_.begin()->first - now_us);
  lock.unlock();
  tell(std::move(news), alarm_);
}

void Places::leave(Line::Ticket id) {
  std::unique_lock lock(mutex_);
  const auto node = tickets_.extract(id);
  const Ticket& ticket = node.mapped();
  const std::size_t passed = ticket.at_us.size();
  News news;
  if (ticket.waits()) {
    State& state = states_.at(ticket.gates[passed].key);
    state.line.remove(id, ticket.passenger.share, ticket.passenger.rank_us);
    count_waiting(id, ticket, -1);
    serve(state, news);  // Who was behind may need less.
    close_if_idle(state);
  } else if (ticket.passenger.kind == Kind::kRun) {
    --runs_at_work_;
  }
  for (std::size_t i = 0; i < passed; ++i) {
    State& state = states_.at(ticket.gates[i].key);
    --state.taken;
    // Who never got through all of them has begun nothing.
    if (const auto entry = state.window.find({ticket.at_us[i], id}); ticket.waits() && entry != state.window.end()) {
      state.window_tokens -= entry->second;
      state.window.erase(entry);
    }
    serve(state, news);
    close_if_idle(state);
  }
  lock.unlock();
  tell(std::move(news), alarm_);
}

void Places::close_if_idle(State& state) {
  if (state.taken > 0 || !state.line.empty() || !state.window.empty() || state.due_us > 0) return;
  states_.erase(std::string(state.gate.key));
}

void Places::settle(Line::Ticket id, std::uint64_t tokens) {
  std::unique_lock lock(mutex_);
  const Ticket& ticket = tickets_.at(id);
  News news;
  for (std::size_t i = 0; i < ticket.at_us.size(); ++i) {
    State& state = states_.at(ticket.gates[i].key);
    const auto entry = state.window.find({ticket.at_us[i], id});
    if (entry == state.window.end()) continue;
    state.window_tokens += tokens - entry->second;
    entry->second = tokens;
    serve(state, news);
  }
  lock.unlock();
  tell(std::move(news), alarm_);
}

bool Places::has_come(Line::Ticket id) const {
  const std::lock_guard lock(mutex_);
  return !tickets_.at(id).waits();
}

void Places::serve(Service service) {
  std::unique_lock lock(mutex_);
  service_ = service;
  News news;
  std::vector<std::string> keys;
  for (const auto& [key, state] : states_) {
    if (!state.line.empty()) keys.push_back(key);
  }
  std::ranges::sort(keys);  // The same order wherever it runs.
  for (const std::string& key : keys) serve(states_.at(key), news);
  lock.unlock();
  tell(std::move(news), alarm_);
}

void Places::count_waiting(Line::Ticket id, const Ticket& ticket, int by) {
  const Passenger& passenger = ticket.passenger;
  std::set<Line::Ticket>& of_run = waiting_of_[passenger.run_id];
  if (by > 0) of_run.insert(id);
  if (by < 0) of_run.erase(id);
  if (of_run.empty()) waiting_of_.erase(passenger.run_id);
  if (passenger.kind != Kind::kRun) return;
  runs_waiting_ += static_cast<std::size_t>(by);
  std::size_t& of_share = runs_waiting_of_[passenger.share];
  of_share += static_cast<std::size_t>(by);
  if (of_share == 0) runs_waiting_of_.erase(passenger.share);
}

void Places::tell(News news, const Alarm& alarm) {
  for (OnTurn& turn : news.turns) turn();
  if (news.alarm && alarm) alarm(*news.alarm);
}

std::size_t Places::runs_waiting() const {
  const std::lock_guard lock(mutex_);
  return runs_waiting_;
}

std::size_t Places::runs_at_work() const {
  const std::lock_guard lock(mutex_);
  return runs_at_work_;
}

Places::Figures Places::figures(std::size_t max) const {
  Figures figures;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, state] : states_) {
    if (key == kModelCalls) figures.model_calls = state.taken;
    if (state.line.empty()) continue;
    figures.lines.push_back({printable(key), *state.gate.bounds, state.taken, state.window.size(), state.line.size()});
    const Kind kind = tickets_.at(state.line.front()).passenger.kind;
    if (kind == Kind::kCall) figures.calls_waiting += state.line.size();
  }
  for (const auto& [share, runs] : runs_waiting_of_) figures.queued.emplace_back(printable(share), runs);
  std::ranges::sort(figures.lines, [](const LineFigures& a, const LineFigures& b) {
    return std::tie(b.waiting, a.places) < std::tie(a.waiting, b.places);
  });
  std::ranges::sort(figures.queued, [](const auto& a, const auto& b) {
    return std::tie(b.second, a.first) < std::tie(a.second, b.first);
  });
  figures.lines.resize(std::min(max, figures.lines.size()));
  figures.queued.resize(std::min(max, figures.queued.size()));
  return figures;
}

Duration Places::pace() const {
  constexpr std::int64_t kUnknownUs = 1'000'000;
  constexpr std::int64_t kLeastUs = 100'000;
  constexpr std::int64_t kMostUs = 30'000'000;
  const std::lock_guard lock(mutex_);
  return Duration(std::clamp(pace_us_ == 0 ? kUnknownUs : pace_us_, kLeastUs, kMostUs));
}

std::string Places::words(const State& state) const {
  const Bounds& bounds = *state.gate.bounds;
  const std::string what = printable(state.gate.key);
  const std::string waiting = fmt::format("{} {}", state.line.size(), state.line.size() == 1 ? "waits" : "wait");
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

void Places::describe(v1::Run& run) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_of_.find(run.id());
  if (found == waiting_of_.end()) return;
  const Ticket& ticket = tickets_.at(*found->second.begin());
  const State& state = states_.at(ticket.gates[ticket.at_us.size()].key);
  if (ticket.passenger.kind == Kind::kRun) run.set_status(v1::RUN_STATUS_QUEUED);
  run.set_waits_for(service_ != Service::kAll && ticket.passenger.kind == Kind::kRun
                        ? "the next start: this weft is stopping and begins no more runs"
                        : words(state));
}

}  // namespace weft::engine
