// The model calls of one run: from the wish of a turn to its intent, behind the gate to the provider, and from what
// streams back to the event that answers it.
//
//   start ──► route, prefix, turn ──► ModelCallStarted (the intent) ──► the gate ──► client ──► ModelCallEnded / Failed
//
// Invariants:
//  1. A flight leaves only when its intent, and all before it, is durable.
//  2. Every flight that left is booked: by what the provider counted, or by an estimate where nobody says.
//  3. A flight has an id of its own: more than one may be under way for one call.
//
// Where the conversation goes (route, model, dialect) is decided for each call anew.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/admission/admission.h"
#include "runtime/engine/effects/model_call_events.h"
#include "runtime/engine/effects/prefix_cache.h"
#include "runtime/engine/effects/run_port.h"
#include "runtime/engine/routing/router.h"
#include "runtime/engine/shard/shard_world.h"
#include "runtime/model/client.h"
#include "runtime/run/command.h"

namespace weft::engine {

// Loop only, but for what RunPort::Draft does.
class ModelCalls {
 public:
  // All of them outlive it.
  ModelCalls(const ShardWorld& world, model::Client& client, PrefixCache& prefixes, RunPort& port)
      : world_(world), client_(client), prefixes_(prefixes), port_(port) {}
  ModelCalls(const ModelCalls&) = delete;
  ModelCalls& operator=(const ModelCalls&) = delete;

  void start(const run::ModelCall& call);
  void start_admitted(const run::ModelCall& call, admission::Permit permit);  // Its turn has come after a wait.
  // The prefix with which the conversation has to be read on the pool before start(), since that takes a while; null
  // where it need not.
  std::shared_ptr<const model::Prefix> reads_first(const run::ModelCall& call);
  // Calls of the attempt are not waited for any more; an empty path is the whole run.
  void drop(const run::CallKey& attempt);
  // A call whose intent an earlier life recorded and whose answer will not come: booked by estimate. `stopped` is what
  // kept it from being answered, in words.
  v1::Event lost(const run::ModelCall& call, std::string_view stopped);
  bool empty() const { return flights_.empty(); }

 private:
  struct FlightId {
    run::CallKey call;
    std::uint64_t number = 0;
    auto operator<=>(const FlightId&) const = default;
  };
  struct Flight {
    model::Client::CallId call = 0;  // 0: held by the gate.
    admission::Permit permit;
    ModelCallFacts facts;
    std::int64_t sent_us = 0;
  };
  Result<Route> route_of(workflows::StepId step) const;
  Result<std::shared_ptr<const model::Prefix>> prefix_of(workflows::StepId step, const Route& route);
  const workflows::Agent& agent_of(workflows::StepId step) const;
  const std::string& model_of(workflows::StepId step) const;  // The step's, or the fork's.
  bool mixes_simulated(const Route& route);
  void refuse(const run::CallKey& key, const Error& error);
  void without_conversation(const run::ModelCall& call, const Error& error);
  void begin(const run::ModelCall& call, Route route, admission::Permit permit);
  void send(const FlightId& id, model::Call call);
  void progress(const FlightId& id, model::Stream stream, std::string_view text);
  void outcome(const FlightId& id, model::Outcome outcome);
  void close(const FlightId& id, Flight& flight);
  static void give_back(Flight& flight, const model::Outcome& outcome);

  const ShardWorld& world_;
  model::Client& client_;
  PrefixCache& prefixes_;
  RunPort& port_;
  std::map<FlightId, Flight> flights_;
  std::uint64_t last_number_ = 0;
};

}  // namespace weft::engine
