// All that an effect (a model call, a tool call) may do to the run that it belongs to.
//
// An effect's answer comes back through answer(): it is recorded if the run still expects it, and then the run goes on.
// Loop only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/loop.h"
#include "base/result.h"
#include "runtime/admission/admission.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/run/command.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

class RunPort {
 public:
  // Words an event from what came and what the run has; puts long contents.
  using Draft = std::move_only_function<v1::Event(LoadedRun&)>;
  // kLong: it takes a while, so it is done on the deciding pool.
  enum class Length : std::uint8_t { kShort, kLong };

  virtual LoadedRun& loaded() = 0;        // Its id and workflow always; the rest where the run is here.
  virtual bool is_away() const = 0;       // In line or lent; then when_here() alone may be asked.
  virtual void when_here(Task task) = 0;  // Does it when the run is back, in the order of coming.
  virtual void post(Task task) = 0;       // When the loop turns again, unless the run is gone by then.
  // Expired when the run is gone; it stays for as long as this is locked. For what comes from outside of the loop.
  virtual std::weak_ptr<const void> life() const = 0;

  // Records an event that needs no content.
  virtual void record(v1::Event event) = 0;
  // The same for one that may need some; the error says that it cannot be read, and then nothing has happened.
  virtual Status try_record(v1::Event event) = 0;
  // Records the answer if it is still expected, and lets the run go on, which may be away or gone afterwards.
  virtual void answer(Length length, Draft draft) = 0;
  // Records what a call cost that nobody waits for, unless the run records nothing any more.
  virtual void book(v1::Event event) = 0;

  virtual void flush() = 0;  // What was recorded so far goes to the journal as one append.
  // Does it when all that was recorded so far is durable, and this process owns the store then.
  virtual void when_durable(const run::CallKey& key, Task leave) = 0;
  virtual void revoke(const run::CallKey& key) = 0;
  // Whether a call that changes nothing may leave before its intent is durable.
  virtual bool may_read_ahead() const = 0;
  virtual bool owns() = 0;  // Whether anything may leave. Gives the run up where it may not.

  // The turn of the call where it has come; otherwise it waits, and is begun when its turn comes.
  virtual std::optional<admission::Permit> take_permit(const run::CallKey& key, const run::Command& command,
                                                       admission::Limits limits, std::uint64_t tokens) = 0;
  // The command needs a content that cannot be read now: it is kept, and carried out when that can be read.
  virtual void cannot_carry_out(run::Command command, const Error& cause) = 0;
  // No call of the run can be made here.
  virtual void park(const std::string& waits_for) = 0;

 protected:
  ~RunPort() = default;
};

// `function`, which does nothing once the run is gone, and keeps it while it is called.
template <class Function>
auto while_alive(const RunPort& port, Function function) {
  return [life = port.life(), function = std::move(function)](auto&&... arguments) mutable {
    if (const auto run = life.lock()) function(std::forward<decltype(arguments)>(arguments)...);
  };
}

}  // namespace weft::engine
