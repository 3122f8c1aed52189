// The calls of tools of one run, and the questions to `verify` tools about those that are in doubt.
//
//   start ──► turn ──► ToolCallStarted (the intent) ──► the gate ──► executor ──► ToolCallEnded / ToolCallInDoubt
//
// Invariants:
//  1. A call that may change the world leaves only when its intent, and all before it, is durable. One that only reads
//     need not wait for the disk.
//  2. A call that may change the world is never cancelled while the run waits for its result.
//  3. Where it is not known whether such a call was done, that is what is recorded: ToolCallInDoubt.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/loop.h"
#include "runtime/admission/admission.h"
#include "runtime/engine/effects/run_port.h"
#include "runtime/engine/shard/shard_world.h"
#include "runtime/run/command.h"
#include "tools/executor.h"

namespace weft::engine {

// Loop only, but for what RunPort::Draft does.
class ToolCalls {
 public:
  // All of them outlive it.
  ToolCalls(const ShardWorld& world, tools::Executor& executor, Loop& loop, RunPort& port)
      : world_(world), executor_(executor), loop_(loop), port_(port) {}
  ToolCalls(const ToolCalls&) = delete;
  ToolCalls& operator=(const ToolCalls&) = delete;

  void start(const run::ToolCall& call);
  void start_admitted(const run::ToolCall& call, admission::Permit permit);  // Its turn has come after a wait.
  void verify(const run::VerifyCall& question);  // When it is due, asks what became of a call in doubt.
  // Calls of the attempt are not waited for any more, but for those whose effect the run still expects; an empty path
  // is the whole run.
  void drop(const run::CallKey& attempt);
  // A call whose intent an earlier life recorded, of a tool that may change the world. `stopped` is what kept it from
  // being answered, in words.
  static v1::Event lost(const run::ToolCall& call, std::string_view stopped);

  bool contains(const run::CallKey& call) const { return flights_.contains(call); }
  std::size_t size() const { return flights_.size(); }
  bool asks() const { return asked_ > 0; }               // Questions are on their way.
  bool answers_at_once() const { return at_once_ > 0; }  // A result comes before the loop turns again.

 private:
  // One of those that are counted, for as long as it is there.
  class Counted {
   public:
    Counted() = default;
    explicit Counted(std::atomic<std::size_t>& count) : count_(&count) { ++count; }
    Counted(Counted&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Counted& operator=(Counted&& other) noexcept {
      std::swap(count_, other.count_);
      return *this;
    }
    ~Counted() {
      if (count_ != nullptr) --*count_;
    }

   private:
    std::atomic<std::size_t>* count_ = nullptr;
  };
  struct Flight {
    std::int64_t started_us = 0;
    std::string tool;
    tools::Effect effect = tools::Effect::kWrite;
    admission::Permit permit;
    tools::Executor::Handle handle = 0;  // 0: not handed to the executor yet.
    Counted counted;
  };
  using Flights = std::map<run::CallKey, Flight>;

  Result<admission::Limits> gates_of(const run::ToolCall& call) const;
  std::string id_of(const run::CallKey& call) const;
  tools::Place place_of(const std::string& tool) const;
  tools::ToolRequest request_of(const run::CallKey& key, std::string tool, std::string arguments,
                                std::string idempotency_key) const;
  void leave(const run::CallKey& key, tools::ToolRequest request);
  void leave_at_once(Task leave);
  void outcome(const run::CallKey& key, tools::ToolReply reply);
  v1::Event ended(LoadedRun& loaded, const run::CallKey& key, const Flight& flight, tools::ToolReply reply) const;
  void ask(const run::VerifyCall& question);
  void verified(const run::VerifyCall& question, std::int64_t asked_us, tools::ToolReply reply);

  const ShardWorld& world_;
  tools::Executor& executor_;
  Loop& loop_;
  RunPort& port_;
  Flights flights_;
  std::size_t asked_ = 0;    // Questions that are not answered yet, those among them that are not due.
  std::size_t at_once_ = 0;  // Calls whose results come before the loop turns again; the run's batch waits for them.
};

}  // namespace weft::engine
