// What the server recorded, beside what everybody outside of it knows.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/json.h"
#include "tests/crash/market.h"
#include "weft/v1/traces.grpc.pb.h"
#include "workflows/path.h"

namespace weft::crash {
namespace {

using namespace std::chrono_literals;

std::string call_of(const v1::Event& event) {
  return workflows::call_path(event.path(), event.attempt(), event.turn(), event.call());
}

v1::RunStatus wanted_end(Kind kind) {
  switch (kind) {
    case Kind::kUndo: return v1::RUN_STATUS_FAILED;
    case Kind::kCancelled: return v1::RUN_STATUS_CANCELLED;
    default: return v1::RUN_STATUS_SUCCEEDED;
  }
}

}  // namespace

bool Market::events_of(const std::string& run_id, v1::Run& run, std::vector<v1::Event>& events) {
  const auto traces = v1::Traces::NewStub(channel_);
  v1::TracesGetRequest request;
  request.set_run_id(run_id);
  do {
    v1::TracesGetResponse response;
    const auto get = [&] {
      response.Clear();
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + 10s);
      context.set_wait_for_ready(true);
      return traces->Get(&context, request, &response);
    };
    grpc::Status status = get();
    // The first call after a kill may still go to the connection that went with it.
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) status = get();
    if (!status.ok()) return false;
    run = response.run();
    for (const v1::Event& event : response.events()) events.push_back(event);
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return true;
}

Findings Market::check(const std::vector<Order>& orders) {
  Findings findings;
  for (const Order& order : orders) {
    if (!order.fault.empty()) findings.faults.push_back(order.name + ": " + order.fault);
    if (order.run_id.empty()) continue;
    v1::Run run;
    std::vector<v1::Event> events;
    const bool found = events_of(order.run_id, run, events);
    if (order.kind == Kind::kChaff) continue;
    ++findings.runs;
    findings.resolved += order.resolved;
    if (!found) {
      findings.faults.push_back(fmt::format("{}: run {} was acknowledged and is gone", order.name, order.run_id));
      continue;
    }
    check_run(order, run, events, findings);
    check_models(order, events, findings);
    check_effects(order, events, findings);
  }
  return findings;
}

void Market::check_run(const Order& order, const v1::Run& run, const std::vector<v1::Event>& events,
                       Findings& findings) {
  const auto fault = [&](const std::string& what) {
    findings.faults.push_back(fmt::format("{} (run {}): {}", order.name, run.id(), what));
  };
  if (run.status() != wanted_end(order.kind))
    fault(fmt::format("it ended as {}: {}", v1::RunStatus_Name(run.status()), run.failure().message()));
  int answers = 0;
  int signals = 0;
  int cancels = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const v1::Event& event = events[i];
    if (event.seq() != i + 1) fault(fmt::format("event {} stands at place {}", event.seq(), i + 1));
    answers += event.has_answered() && event.answered().value_json().inline_() == "\"send\"" ? 1 : 0;
    signals += event.signal_received().id() == order.name ? 1 : 0;
    cancels += event.has_cancel_requested() ? 1 : 0;
    findings.doubts += event.has_tool_call_in_doubt() ? 1 : 0;
    findings.lost_calls += event.model_call_failed().failure() == "lost" ? 1 : 0;
  }
  if (order.answered && answers != 1) fault(fmt::format("an acknowledged answer is recorded {} times", answers));
  if (order.signalled && signals != 1) fault(fmt::format("an acknowledged signal is recorded {} times", signals));
  if (order.cancelled && cancels != 1) fault(fmt::format("an acknowledged cancel is recorded {} times", cancels));
  if (order.kind == Kind::kPeople && run.output_json().inline_() != "\"send " + order.name + "\"")
    fault("it ended with " + run.output_json().inline_());
  if (run.doubts_open() != 0 || run.undos_failed() != 0) fault("it ended with an open doubt, or a failed undo");
}

// A turn's answer is recorded once, and after it nothing is asked there.
void Market::check_models(const Order& order, const std::vector<v1::Event>& events, Findings& findings) {
  std::set<std::string> answered;                // Turns.
  std::map<std::string, std::string> asking_of;  // By turn: the request under way.
  for (const v1::Event& event : events) {
    const std::string turn = workflows::call_path(event.path(), event.attempt(), event.turn(), 0);
    if (event.has_model_call_started()) {
      if (answered.contains(turn))
        findings.faults.push_back(fmt::format("{}: {} is asked again though its answer is recorded", order.name, turn));
      const std::string digest = to_hex(event.model_call_started().request_sha256());
      if (asking_of.contains(turn) && asking_of[turn] != digest)
        findings.faults.push_back(fmt::format("{}: {} is asked again with other bytes", order.name, turn));
      asking_of[turn] = digest;
      ++asked_[digest].started;
    }
    if (event.has_model_call_failed()) ++asked_[asking_of[turn]].failed;
    if (!event.has_model_call_ended()) continue;
    const v1::ModelCallEnded& ended = event.model_call_ended();
    answered.insert(turn);
    ++asked_[asking_of[turn]].ended;
    const Booked booked{ended.usage().input_hit(), ended.usage().input_miss(), ended.usage().output()};
    if (!booked_.emplace(ended.request_id(), booked).second) ++calls_booked_twice_;
  }
}

// What the shop did is recorded as done, or was shown as in doubt; and it did it once.
void Market::check_effects(const Order& order, const std::vector<v1::Event>& events, Findings& findings) {
  std::map<std::string, std::string> tool_of;  // By call.
  std::set<std::string> shown;                 // Tools whose call is recorded as done, or was in doubt.
  std::set<std::string> open;                  // Calls that may change the world, begun and not settled.
  for (const v1::Event& event : events) {
    const std::string call = call_of(event);
    if (event.has_tool_call_started()) {
      tool_of[call] = event.tool_call_started().tool();
      const auto effect = event.tool_call_started().effect();
      if (effect == v1::TOOL_EFFECT_WRITE || effect == v1::TOOL_EFFECT_IDEMPOTENT) open.insert(call);
    }
    const bool done = event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_DONE;
    if (done || event.has_tool_call_in_doubt()) shown.insert(tool_of[call]);
    if (event.has_tool_call_ended()) open.erase(call);
  }
  for (const std::string& call : open)
    findings.faults.push_back(fmt::format("{}: what became of {} is not said", order.name, call));
  const std::lock_guard lock(mutex_);
  int paid = 0;
  for (const auto& [path, of_path] : acts_) {
    const auto act = of_path.find(order.name);
    if (act == of_path.end()) continue;
    ++paid;
    findings.effects += act->second;
    findings.duplicates += act->second - 1;
    if (act->second != 1)
      findings.faults.push_back(fmt::format("{}: {} happened {} times", order.name, path, act->second));
    if (!shown.contains(path.substr(1)))
      findings.faults.push_back(fmt::format("{}: {} happened, and is shown nowhere", order.name, path));
  }
  // An agent is told that its call did not leave, as after a stop longer than the tool's timeout, and may go on
  // without.
  const bool told =
      order.kind == Kind::kAgent && std::ranges::any_of(events, [](const v1::Event& event) {
        return event.tool_call_ended().outcome() == v1::TOOL_OUTCOME_FAILED && event.tool_call_ended().nothing_done();
      });
  const bool may_be_left_out = told || order.kind == Kind::kSkip || order.kind == Kind::kCancelled;
  const int wanted = order.kind == Kind::kUndo ? 2 : order.kind == Kind::kPeople || order.kind == Kind::kLook ? 0 : 1;
  if (paid > wanted || (paid < wanted && !may_be_left_out))
    findings.faults.push_back(fmt::format("{}: {} effects instead of {}", order.name, paid, wanted));
}

std::vector<std::string> Market::check_ledger() {
  std::vector<std::string> faults;
  std::map<std::string, int> received;  // By the request's SHA-256.
  std::map<std::string, Booked> counted;
  std::ifstream log(folder_ / "provider.log");
  for (std::string line; std::getline(log, line);) {
    const auto one = parse_untrusted(line);
    if (!one) {
      faults.push_back("the provider's log cannot be read: " + line);
      continue;
    }
    ++received[(*one)["sha256"].get<std::string>()];
    if ((*one)["end"] != "done") continue;
    counted[fmt::format("sim-{}", (*one)["n"].get<std::uint64_t>())] = {
        (*one)["hit"].get<std::uint64_t>(), (*one)["miss"].get<std::uint64_t>(), (*one)["out"].get<std::uint64_t>()};
  }
  if (calls_booked_twice_ > 0) faults.push_back(fmt::format("{} answers are booked twice", calls_booked_twice_));
  for (const auto& [digest, asked] : asked_) {
    const int times = received[digest];
    if (times < asked.ended || times > asked.ended + asked.failed)
      faults.push_back(fmt::format("the provider received a request {} times; {} answers and {} losses are booked",
                                   times, asked.ended, asked.failed));
  }
  for (const auto& [digest, times] : received) {
    if (!asked_.contains(digest))
      faults.push_back(fmt::format("the provider received a request {} times, and no run asked it", times));
  }
  for (const auto& [id, booked] : booked_) {
    const auto found = counted.find(id);
    const bool same = found != counted.end() && found->second.hit == booked.hit && found->second.miss == booked.miss &&
                      found->second.out == booked.out;
    if (!same) faults.push_back(fmt::format("the answer {} is booked otherwise than the provider counted it", id));
  }
  return faults;
}

}  // namespace weft::crash
