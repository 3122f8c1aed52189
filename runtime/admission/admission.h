// Admission control: how many runs may work at once, how many calls may be in flight, and how many may begin within a
// minute; and the queues of those that wait for a permit.
//
// A waiter names the limits that it has to pass, in order, the narrowest first: a waiter that is held up by a narrow
// limit then occupies no place of a wide one. Each limit has its own queue (fair_queue.h).
//
// Invariants:
//  1. A limit never lets more pass than its bounds allow, except for permits that are granted without waiting
//     (`grant_now`).
//  2. Nobody passes a limit before those who already wait at it.
//
// Thread-safe. Outlives its permits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "runtime/admission/fair_queue.h"
#include "weft/v1/runs.pb.h"

namespace weft::admission {

inline constexpr Duration kRateWindow{60'000'000};
// The key of the limit on all model calls together.
inline constexpr const char* kModelCalls = "model calls";

// What a limit allows; 0: any number. The names are those of the settings that a person would change.
struct Bounds {
  std::uint64_t places_max = 0;  // At once.
  std::string places_name;
  std::uint64_t per_minute = 0;  // That begin within any 60 s; the same for tokens.
  std::string per_minute_name;
  std::uint64_t tokens_per_minute = 0;
  std::string tokens_name;
};

struct Limit {
  std::string key;  // What is limited, in words: "calls to the provider office". Equal keys are one limit.
  std::shared_ptr<const Bounds> bounds;
};
using Limits = std::vector<Limit>;

// A run or a call that asks for a permit.
struct Waiter {
  enum class Kind : std::uint8_t { kRun, kCall } kind = Kind::kCall;
  std::string run_id;
  std::string tenant;
  std::int64_t priority_time_us = 0;
  std::uint64_t tokens = 0;  // The estimated cost of a call, where tokens are counted.
};

class Permit;

class Admission {
 public:
  // Called once when a permit is granted after a wait, on whatever thread made room. It must only pass the news on.
  using OnGranted = std::move_only_function<void()>;
  // Asks the owner to call recheck() after a delay. Called on any thread.
  using Alarm = std::function<void(Duration)>;

  explicit Admission(const Clock& clock) : clock_(clock) {}
  void set_alarm(Alarm alarm) { alarm_ = std::move(alarm); }  // Before the first request.

  // A permit that is granted already, or will be.
  Permit request(Waiter waiter, Limits limits, OnGranted on_granted);
  // Nothing where it would have to wait and `waiting_max` runs wait already. A tenant that has less than its part of
  // the queue may still wait, so that a full queue refuses only the tenants that fill it; at most twice as many runs
  // wait then.
  std::optional<Permit> request(Waiter waiter, Limits limits, OnGranted on_granted, std::size_t waiting_max);
  // A permit that is granted at once, even where a limit is reached.
  Permit grant_now(Waiter waiter, Limits limits);

  // Who is granted permits: everybody, calls only, or nobody.
  enum class Service : std::uint8_t { kAll, kCalls, kNone };
  void serve(Service service);
  // Grants what has become possible because time has passed.
  void recheck();

  std::size_t runs_waiting() const;
  std::size_t runs_at_work() const;
  // The limits with a queue, and the number of queued runs of each tenant: the longest first, at most `max` of each.
  struct QueueFigures {
    std::string limit;
    Bounds bounds;
    std::uint64_t taken = 0;
    std::uint64_t in_minute = 0;
    std::size_t waiting = 0;
  };
  struct Figures {
    std::vector<QueueFigures> queues;
    std::vector<std::pair<std::string, std::size_t>> queued_by_tenant;
    std::size_t calls_waiting = 0;
    std::uint64_t model_calls = 0;  // With a permit.
  };
  Figures figures(std::size_t max) const;
  // The average time between two runs that are granted a permit after a wait.
  Duration pace() const;
  // Says what a run waits for, where the run or one of its calls is queued.
  void describe(v1::Run& run) const;

 private:
  friend class Permit;

  // What began within the last minute, by time and ticket, with its tokens.
  using Window = std::map<std::pair<std::int64_t, FairQueue::Ticket>, std::uint64_t>;
  struct State {
    Limit limit;
    std::uint64_t taken = 0;
    FairQueue queue;
    Window window;
    std::uint64_t window_tokens = 0;
    std::int64_t due_us = 0;  // When the window is checked again; 0: no check is due.
  };
  struct Ticket {
    Waiter waiter;
    Limits limits;
    std::vector<std::int64_t> at_us;  // When it passed each of its limits; its size is the number passed.
    OnGranted on_granted;
    bool waits() const { return at_us.size() < limits.size(); }
  };
  // Calls to make once the lock is released.
  struct Notices {
    std::vector<OnGranted> granted;
    std::optional<Duration> alarm;
  };

  void release(FairQueue::Ticket id);
  bool is_granted(FairQueue::Ticket id) const;
  void settle(FairQueue::Ticket id, std::uint64_t tokens);

  Permit enqueue(std::unique_lock<std::mutex> lock, Waiter waiter, Limits limits, OnGranted on_granted);
  bool is_queue_full(const Waiter& waiter, const Limits& limits, std::size_t waiting_max);
  State& state_of(const Limit& limit);
  void forget_minutes(State& state);
  bool has_room(State& state, const Ticket& ticket);
  void pass(State& state, FairQueue::Ticket id, Ticket& ticket);
  // Passes as many limits as have room, then waits at the next one.
  void advance(FairQueue::Ticket id, Ticket& ticket, Notices& notices);
  void serve(State& state, Notices& notices);
  void close_if_idle(State& state);
  void count_waiting(FairQueue::Ticket id, const Ticket& ticket, int by);
  void recheck_later(State& state, Notices& notices);
  static void notify(Notices notices, const Alarm& alarm);
  std::string reason(const State& state) const;

  const Clock& clock_;
  Alarm alarm_;
  mutable std::mutex mutex_;  // Guards all below.
  Service service_ = Service::kAll;
  FairQueue::Ticket last_ticket_ = 0;
  std::unordered_map<FairQueue::Ticket, Ticket> tickets_;
  std::unordered_map<std::string, State> states_;                            // By the limit's key.
  std::unordered_map<std::string, std::set<FairQueue::Ticket>> waiting_of_;  // Tickets that wait, by run.
  std::unordered_map<std::string, std::size_t> runs_waiting_of_;             // By tenant.
  std::set<std::pair<std::int64_t, std::string>> due_;                       // Limits with a check due, by time.
  std::size_t runs_waiting_ = 0;
  std::size_t runs_at_work_ = 0;
  std::int64_t served_at_us_ = 0;  // When a run was last granted a permit after a wait.
  std::int64_t pace_us_ = 0;       // A moving average; 0: not known.
  std::size_t sweep_at_ = 1'024;   // At this number of states, those that nobody uses are removed.
};

// A waiter's place in the queue and, once granted, what it occupies of each limit. Destroying it gives everything back.
// Move-only.
class Permit {
 public:
  Permit() = default;
  Permit(Admission& admission, FairQueue::Ticket ticket) : admission_(&admission), ticket_(ticket) {}
  Permit(Permit&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)), ticket_(other.ticket_) {}
  Permit& operator=(Permit&& other) noexcept {
    std::swap(admission_, other.admission_);
    std::swap(ticket_, other.ticket_);
    return *this;
  }
  ~Permit() {
    if (admission_ != nullptr) admission_->release(ticket_);
  }
  explicit operator bool() const { return admission_ != nullptr; }
  bool is_granted() const { return admission_ != nullptr && admission_->is_granted(ticket_); }
  // Replaces the estimate by the tokens that the call really used.
  void settle(std::uint64_t tokens) {
    if (admission_ != nullptr) admission_->settle(ticket_, tokens);
  }

 private:
  Admission* admission_ = nullptr;
  FairQueue::Ticket ticket_ = 0;
};

}  // namespace weft::admission
