// Places that are limited, and the lines before them: runs that may be at work, calls that may be under way or may
// begin within a minute.
//
// Who needs places names the gates in the order in which they are passed, the narrow one first: what waits for the wide
// one then takes nobody else's place in it. Each gate has its own line (line.h).
//
// Invariants:
//  1. A gate lets no more through than its bounds allow, but for those who need not wait (`enter`).
//  2. Nobody passes a gate before those who wait at it.
//
// Thread-safe. Outlives its turns.
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
#include "runtime/engine/line.h"
#include "weft/v1/runs.pb.h"

namespace weft::engine {

inline constexpr Duration kRateWindow{60'000'000};
// The key of the places that every model call takes.
inline constexpr const char* kModelCalls = "model calls";

// What a gate allows; 0: any number. The names are what a person would change.
struct Bounds {
  std::uint64_t places_max = 0;
  std::string places_name;
  std::uint64_t per_minute = 0;  // Beginnings within any 60 s, as below.
  std::string per_minute_name;
  std::uint64_t tokens_per_minute = 0;
  std::string tokens_name;
};

struct Gate {
  std::string key;  // Which places, in words: "calls to the provider office". Equal keys are the same places.
  std::shared_ptr<const Bounds> bounds;
};
using Gates = std::vector<Gate>;

// Who asks.
struct Passenger {
  enum class Kind : std::uint8_t { kRun, kCall } kind = Kind::kCall;
  std::string run_id;
  std::string share;
  std::int64_t rank_us = 0;
  std::uint64_t tokens = 0;  // What a call is thought to cost, where tokens are counted.
};

class Places {
 public:
  // Somebody's place in line, and then their places; all is given back when it goes.
  class Turn {
   public:
    Turn() = default;
    Turn(Places& places, Line::Ticket ticket) : places_(&places), ticket_(ticket) {}
    Turn(Turn&& other) noexcept : places_(std::exchange(other.places_, nullptr)), ticket_(other.ticket_) {}
    Turn& operator=(Turn&& other) noexcept {
      std::swap(places_, other.places_);
      std::swap(ticket_, other.ticket_);
      return *this;
    }
    ~Turn() {
      if (places_ != nullptr) places_->leave(ticket_);
    }
    explicit operator bool() const { return places_ != nullptr; }
    bool has_come() const { return places_ != nullptr && places_->has_come(ticket_); }
    // What the call really cost.
    void settle(std::uint64_t tokens) {
      if (places_ != nullptr) places_->settle(ticket_, tokens);
    }

   private:
    Places* places_ = nullptr;
    Line::Ticket ticket_ = 0;
  };
  // Called on whatever thread made room, once, unless the turn came at once: it only passes the word on.
  using OnTurn = std::move_only_function<void()>;
  // Asks that look() be called after a time. Called on any thread.
  using Alarm = std::function<void(Duration)>;

  explicit Places(const Clock& clock) : clock_(clock) {}
  void set_alarm(Alarm alarm) { alarm_ = std::move(alarm); }  // Before the first turn.

  // A turn that has come, or will.
  Turn take(Passenger passenger, Gates gates, OnTurn on_turn);
  // Nothing where it would wait with `waiting_max` runs. A share that has less than its part of the line may wait all
  // the same, so that a full line shuts out nobody but those who fill it; then at most twice as many wait.
  std::optional<Turn> take(Passenger passenger, Gates gates, OnTurn on_turn, std::size_t waiting_max);
  // A turn that has come, also where there is no room.
  Turn enter(Passenger passenger, Gates gates);

  // Whose turns come: everybody's, calls' alone, or nobody's.
  enum class Service : std::uint8_t { kAll, kCalls, kNone };
  void serve(Service service);
  void look();

  std::size_t runs_waiting() const;
  std::size_t runs_at_work() const;
  // Where somebody waits, and how many queued runs there are of each share: the most first, at most `max` of each.
  struct LineFigures {
    std::string places;
    Bounds bounds;
    std::uint64_t taken = 0;
    std::uint64_t in_minute = 0;
    std::size_t waiting = 0;
  };
  struct Figures {
    std::vector<LineFigures> lines;
    std::vector<std::pair<std::string, std::size_t>> queued;
    std::size_t calls_waiting = 0;
    std::uint64_t model_calls = 0;  // That have their places.
  };
  Figures figures(std::size_t max) const;
  // How long a run waits until the next one's turn comes, about.
  Duration pace() const;
  // Says of a run that waits, or a call of which waits, for what.
  void describe(v1::Run& run) const;

 private:
  // The beginnings of the last minute, and what they cost: by time and ticket.
  using Window = std::map<std::pair<std::int64_t, Line::Ticket>, std::uint64_t>;
  struct State {
    Gate gate;
    std::uint64_t taken = 0;
    Line line;
    Window window;
    std::uint64_t window_tokens = 0;
    std::int64_t due_us = 0;  // When it is looked at again; 0: not for a time's sake.
  };
  struct Ticket {
    Passenger passenger;
    Gates gates;
    std::vector<std::int64_t> at_us;  // When it passed each of them; so many are behind it.
    OnTurn on_turn;
    bool waits() const { return at_us.size() < gates.size(); }
  };
  // What is to be said when nothing is locked any more.
  struct News {
    std::vector<OnTurn> turns;
    std::optional<Duration> alarm;
  };

  void leave(Line::Ticket id);
  bool has_come(Line::Ticket id) const;
  void settle(Line::Ticket id, std::uint64_t tokens);

  Turn admit(std::unique_lock<std::mutex> lock, Passenger passenger, Gates gates, OnTurn on_turn);
  bool is_line_full(const Passenger& passenger, const Gates& gates, std::size_t waiting_max);
  State& state_of(const Gate& gate);
  void forget_minutes(State& state);
  bool has_room(State& state, const Ticket& ticket);
  void pass(State& state, Line::Ticket id, Ticket& ticket);
  // Through as many gates as let it.
  void go_on(Line::Ticket id, Ticket& ticket, News& news);
  void serve(State& state, News& news);
  void close_if_idle(State& state);
  void count_waiting(Line::Ticket id, const Ticket& ticket, int by);
  void look_later(State& state, News& news);
  static void tell(News news, const Alarm& alarm);
  std::string words(const State& state) const;

  const Clock& clock_;
  Alarm alarm_;
  mutable std::mutex mutex_;  // Guards all below.
  Service service_ = Service::kAll;
  Line::Ticket last_ticket_ = 0;
  std::unordered_map<Line::Ticket, Ticket> tickets_;
  std::unordered_map<std::string, State> states_;                       // By gate.
  std::unordered_map<std::string, std::set<Line::Ticket>> waiting_of_;  // Tickets that wait, by run.
  std::unordered_map<std::string, std::size_t> runs_waiting_of_;        // By share.
  std::set<std::pair<std::int64_t, std::string>> due_;                  // Gates that are looked at again.
  std::size_t runs_waiting_ = 0;
  std::size_t runs_at_work_ = 0;
  std::int64_t served_at_us_ = 0;  // When a run's turn last came after a wait.
  std::int64_t pace_us_ = 0;       // A sliding mean; 0: not known.
  std::size_t sweep_at_ = 1'024;   // So many gates are looked through for those that nobody uses.
};

}  // namespace weft::engine
