// Where a run is: here (at the loop's hand), in line (it has more to do than the loop does at a stretch), or lent to
// the deciding pool (one piece of its work may take long); and what came for it while it was away.
//
//        here ──── more to do ───► in line ──── its stretch ───► here
//        here ──── lend() ───────► lent ────── come_back() ────► here: urgent, then what it has still to do, then mail
//
// Invariants:
//  1. While a run is lent, its LoadedRun belongs to the pool's thread, and nobody else touches it.
//  2. What comes for a run that is away waits in its mail, in the order of coming; so the order of its events is the
//     same as if it had done all at once. What is urgent (cancel, kill, pause, the run's deadline, its end) goes first.
//  3. A run that is lent comes back soon: within kLoanStretch, or at once where it is called back.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "base/loop.h"
#include "runtime/engine/shard/run_driver.h"
#include "runtime/engine/shard/shard_world.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

struct ShardCore;
class ActiveRun;

// Loop only, but for what the pool does of a loan.
class RunPresence {
 public:
  RunPresence(ShardCore& core, ActiveRun& run) : core_(core), run_(run) {}  // Both outlive it.

  bool is_away() const { return where_ != Where::kHere; }
  bool is_lent() const { return where_ == Where::kLent; }

  // Does it at once where the run is here, else when it is back.
  void when_here(Urgency urgency, Task task);
  void stand_in_line();
  void take_stretch();  // Its place in line has come. Nothing, where it was called out of line.
  bool is_in_line() const { return where_ == Where::kInLine; }

  // `first` is done on the pool before anything is decided; `then` on the loop, when the run is back. Either may be
  // null. What can be decided meanwhile is decided on the pool, unless there is a `then`.
  using First = std::move_only_function<void()>;
  void lend(First first = nullptr, Task then = nullptr);
  void call_back();                   // REQUIRES: lent.
  void deliver();                     // Its mail, for a stretch.
  void stop();                        // The loop has ended: the pool lets go of the run soon.
  void retime() { retimes_ = true; }  // Timeouts are looked at when the run is back.

  // Of a run that is loaded: what came for it meanwhile.
  void receive(std::list<Task> mail) { mail_ = std::move(mail); }
  bool has_mail() const { return !mail_.empty(); }
  void return_mail();  // The run goes: whoever still wants something of it learns that.
  // The summary as it was when the run was lent; null where it is not, or nobody had asked.
  const v1::Run* summary_shown() const { return shown_ ? &*shown_ : nullptr; }

 private:
  struct Loan {
    enum class State : std::uint8_t { kWaits, kAtWork, kCalledBack };
    std::atomic<State> state = State::kWaits;
    std::atomic<bool> stop = false;  // The loop wants it back: the decision that is being taken is given up.
    First first;
    Task then;
    Came came = Came::kToMore;
  };
  enum class Where : std::uint8_t { kHere, kInLine, kLent };

  void work(Loan& loan);  // On the pool.
  void come_back(const std::shared_ptr<Loan>& loan);
  void go_on();

  ShardCore& core_;
  ActiveRun& run_;
  Where where_ = Where::kHere;
  std::shared_ptr<Loan> loan_;  // Where it is lent.
  std::optional<v1::Run> shown_;
  std::list<Task> mail_;
  std::list<Task> urgent_;
  bool retimes_ = false;
};

}  // namespace weft::engine
