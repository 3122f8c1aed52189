// Stands in for base/http.cpp: requests go to the world's network, whose answers come back piece by piece.
#include "base/http.h"

#include <fmt/format.h>

#include <unordered_map>

#include "attached.h"

namespace weft {

using simulation::Network;
using simulation::Schedule;

std::string_view HttpHead::header(std::string_view lower_case_name) const {
  std::string_view found;
  for (const auto& [name, value] : headers) {
    if (name == lower_case_name) found = value;
  }
  return found;
}

struct HttpClient::State {
  struct Open {
    std::shared_ptr<HttpSink> sink;  // Shared with the callback that is running.
    std::vector<Network::Step> steps;
    std::size_t next = 0;
    simulation::EventId event = 0;
    simulation::EventId deadline = 0;  // 0: none.
    Duration started{};
    Duration first_byte{};
    Duration idle_timeout{};
  };
  Loop& loop;
  const Limits limits;
  Schedule& schedule;
  simulation::Owner owner;
  simulation::Life life;
  CallId last_call = 0;
  std::unordered_map<CallId, Open> open;

  void proceed(CallId call);
  void step(CallId call);
  void give_up(CallId call);  // Its time is over.
  void end(CallId call, HttpEnd how);
};

HttpClient::HttpClient(Loop& loop, Limits limits) {
  const simulation::Attached& world = simulation::attached();
  state_ =
      std::make_unique<State>(State{loop, limits, *world.schedule, world.schedule->new_owner(), world.life, 0, {}});
}

HttpClient::~HttpClient() {
  state_->schedule.purge(state_->owner);
  while (!state_->open.empty()) cancel(state_->open.begin()->first);
}

Result<HttpClient::CallId> HttpClient::start(HttpRequest request, std::unique_ptr<HttpSink> sink) {
  State& s = *state_;
  if (s.open.size() >= s.limits.calls_max) return resource_exhausted("too many calls");
  const CallId call = ++s.last_call;
  State::Open open;
  open.sink = std::move(sink);
  open.steps = simulation::attached().network->request(s.life, request);
  open.started = s.schedule.now();
  open.idle_timeout = request.idle_timeout;
  if (request.total_timeout.count() > 0) {
    open.deadline = s.schedule.after(s.owner, request.total_timeout, [&s, call] { s.give_up(call); });
  }
  s.open.emplace(call, std::move(open));
  s.proceed(call);
  return call;
}

void HttpClient::State::proceed(CallId call) {
  Open& here = open.at(call);
  // A server that has fallen silent is left after the idle timeout.
  const Duration delay = here.next < here.steps.size() ? here.steps[here.next].delay : here.idle_timeout;
  if (here.next >= here.steps.size() && here.idle_timeout.count() == 0) return;
  here.event = schedule.after(owner, delay, [this, call] { step(call); });
}

void HttpClient::State::step(CallId call) {
  Open& here = open.at(call);
  const std::shared_ptr<HttpSink> sink = here.sink;
  Network::Step now;
  if (here.next < here.steps.size()) {
    now = std::move(here.steps[here.next++]);
  } else {
    now.kind = Network::Step::Kind::kEnd;
    now.end.fault = HttpFault::kTimeout;
    now.end.message = "no byte came within the idle timeout";
    now.end.sent = true;
  }
  switch (now.kind) {
    case Network::Step::Kind::kHead: sink->on_head(now.head); break;
    case Network::Step::Kind::kBytes:
      if (here.first_byte.count() == 0) here.first_byte = schedule.now() - here.started;
      sink->on_bytes(now.bytes);
      break;
    case Network::Step::Kind::kEnd: return end(call, std::move(now.end));
  }
  if (open.contains(call)) proceed(call);  // The sink may have cancelled it.
}

void HttpClient::State::give_up(CallId call) {
  Open& here = open.at(call);
  here.deadline = 0;
  schedule.cancel(here.event);
  HttpEnd late;
  late.fault = HttpFault::kTimeout;
  late.message = "the call took longer than it may";
  late.sent = true;
  end(call, std::move(late));
}

void HttpClient::State::end(CallId call, HttpEnd how) {
  const auto node = open.extract(call);
  const Open& here = node.mapped();
  if (here.deadline != 0) schedule.cancel(here.deadline);
  how.first_byte = here.first_byte;
  how.total = schedule.now() - here.started;
  here.sink->on_end(how);
}

void HttpClient::cancel(CallId call) {
  const auto found = state_->open.find(call);
  if (found == state_->open.end()) return;
  state_->schedule.cancel(found->second.event);
  if (found->second.deadline != 0) state_->schedule.cancel(found->second.deadline);
  auto node = state_->open.extract(found);  // The sink dies when the list is whole again.
}

std::size_t HttpClient::in_flight() const { return state_->open.size(); }
Loop& HttpClient::loop() const { return state_->loop; }

}  // namespace weft
