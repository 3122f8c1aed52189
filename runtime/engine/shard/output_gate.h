// THE OUTPUT GATE of a run.
//
// A run talks to the world: it calls a model, it calls a tool, it tells a client "done". weft may die at any instant,
// and what it has written by then is all that the next life knows. So nothing that follows from an event leaves the
// process before that event is durable: it waits at the gate of its run, and goes when the journal says that the event,
// and all before it, has reached the disk. Nobody outside ever sees an effect of an event that a crash can still undo.
//
//   the run ── records an intent ──► the recorder ── append ──► the journal
//      └────── when_durable ───────► the gate ◄── open(seq) ── durable ──┘
//                                      └──► the call leaves, the client is answered
//
// Invariants:
//  1. What waits leaves in the order of coming, and none before its event is durable.
//  2. Who waits for an answer is told exactly once: what they asked for, when it is durable; or an error, when the gate
//     is closed or the store cannot be written; or, at the latest, that the request was let go, when the gate is
//     destroyed.
//  3. Closed is the state without return (the store has another owner, or the run is let go): what waited is dropped,
//     nothing leaves any more, and who asks from then on is told the reason at once.
//
// Loop only. Whether this process still owns the store is asked by whoever opens the gate.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "runtime/engine/reply.h"
#include "runtime/run/command.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

class OutputGate {
 public:
  // Leaves when the event `seq`, and all before it, is durable. `key` names it for revoke().
  void when_durable(std::uint64_t seq, const run::CallKey& key, Task leave);
  void revoke(const run::CallKey& key);
  // Told the run when the event `seq` is durable.
  void answer_when_durable(std::uint64_t seq, Reply<v1::Run> reply);
  // Who submitted the run: told its id when its first event is durable.
  void submitted_by(Reply<v1::RunsSubmitResponse> reply) { submitted_ = std::move(reply); }
  Reply<v1::RunsSubmitResponse> take_submitter() { return std::exchange(submitted_, {}); }

  bool empty() const { return gate_.empty(); }  // Nothing waits to leave.
  bool anyone_asks() const { return !asking_.empty(); }
  bool has_submitter() const { return static_cast<bool>(submitted_); }
  bool opens_at(std::uint64_t durable_seq) const;  // Something would leave.

  void open(std::uint64_t durable_seq);  // Lets all leave that may. What leaves may close the gate.
  // Answers those whose event is durable. `summary` is the run as they are told it; it is not looked at where nobody
  // asks.
  void answer(std::uint64_t durable_seq, const std::string& run_id, const v1::Run& summary);
  void refuse(const Error& why);  // Who asked does not wait for a store that cannot be written.
  void close(const Error& why);

 private:
  struct Gated {
    std::uint64_t seq = 0;
    run::CallKey key;
    Task leave;
  };
  std::deque<Gated> gate_;
  Reply<v1::RunsSubmitResponse> submitted_;
  std::vector<std::pair<std::uint64_t, Reply<v1::Run>>> asking_;
  std::optional<Error> closed_;
};

}  // namespace weft::engine
