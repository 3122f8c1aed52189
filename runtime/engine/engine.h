// The engine carries out what runs want: shards, timers, the output gate, recovery, routes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "memory/journal/journal.h"
#include "runtime/engine/api.h"
#include "runtime/engine/config.h"
#include "runtime/engine/schedules/scheduler.h"
#include "tools/tool.h"

namespace weft::engine {

struct EngineOptions {
  Config config;
  Getenv environment;  // Where keys come from, at the moment of a call.
  std::uint32_t shards = 1;
  Schedules schedules = Schedules::kStarted;
  Duration stuck_after{5'000'000};  // An engine whose loop has been at one thing for so long is not well.
};

// What the engine stands on. Owned by the engine, but for the clock and entropy, which outlive it.
struct EngineParts {
  std::unique_ptr<memory::Journal> journal;
  std::unique_ptr<tools::Toolbox> tools;
  Clock* clock = nullptr;
  Entropy* entropy = nullptr;
};

// Invariants:
//  1. What leaves the process (a model call, a tool call with effect) leaves after its intent is durable: the gate.
//  2. What is answered (submit, watch) is durable.
//  3. After a crash every unfinished run goes on from its last durable event.
class Engine : public Api {
 public:
  // Claims the store, recovers its unfinished runs and serves them. Returns when recovery is done.
  static Result<std::unique_ptr<Engine>> start(EngineParts parts, EngineOptions options);
  // Refuses submissions from now on and waits until no run works, or `patience` is over. Whatever still runs is
  // recovered by the next start.
  virtual void drain(Duration patience) = 0;
  // Ends its threads. Whoever still waits for an answer, or asks for something from now on, is told UNAVAILABLE; what
  // is durable can still be read. The destructor does the same.
  virtual void stop() = 0;
  // Runs at work; those that wait for a person, a signal or a time are not.
  virtual std::size_t active_runs() const = 0;
  // The longest that anything has kept the loop of a shard so far, and with it every run there.
  virtual Duration longest_turn() const = 0;
};

}  // namespace weft::engine
