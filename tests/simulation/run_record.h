// What one run has durably become, checked event by event: its chain of numbers and digests, its calls, and that every
// decision is the one that a fresh fold of the events before it takes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "memory/journal/journal.h"
#include "runtime/run/contents.h"
#include "runtime/run/run.h"
#include "weft/v1/event.pb.h"

namespace weft::simulation {

// Contents as a durable store has them.
class DurableContents final : public run::Contents {
 public:
  explicit DurableContents(const memory::Reader& store) : store_(store) {}
  Result<std::shared_ptr<const std::string>> bytes(const v1::Content& content) override;
  Result<v1::Content> put(std::string bytes) override;

 private:
  const memory::Reader& store_;
  std::map<std::string, std::shared_ptr<const std::string>> put_;
};

class RunRecord {
 public:
  RunRecord(std::shared_ptr<const workflows::Workflow> workflow, const run::ToolTable& tools,
            const memory::Reader& store);

  // Of a fork, what comes before its RunForked is its source's: decided, asked, paid and done by that one.
  enum class Origin : std::uint8_t { kOwn, kShared };
  // REQUIRES: `event` is durable.
  void take(const v1::Event& event, Origin origin = Origin::kOwn);
  // No attempt of an agent that began since then has waited until its timeout, which is minutes: nothing takes so long.
  void check_patience(Time calm_since);

  const std::string& id() const { return id_; }
  const std::string& request_id() const { return request_id_; }
  bool ended() const { return shadow_->ended(); }
  std::uint64_t last_seq() const { return events_.size(); }
  const std::vector<v1::Event>& events() const { return events_; }
  bool cancel_requested() const { return cancel_requested_; }
  bool paused() const { return paused_; }
  std::uint32_t retries() const { return retries_; }
  bool is_fork() const { return shadow_->identity().lineage() != id_; }
  // The model calls that have begun and have no answer, by path, attempt, turn and sending.
  std::vector<v1::Event> open_turns() const;
  const run::Run& run() const { return *shadow_; }
  bool clock_is_steady = true;  // Timers are held to their time.

 private:
  using Place = std::tuple<std::string, std::uint32_t, std::uint32_t>;                     // Path, attempt, turn.
  using CallPlace = std::tuple<std::string, std::uint32_t, std::uint32_t, std::uint32_t>;  // … and call.
  using TimerPlace = std::tuple<CallPlace, int>;
  struct ModelTurn {
    std::string request;
    std::uint32_t sending = 0;  // The last.
    bool answered = false;
    bool open = false;
  };
  enum class Call : std::uint8_t { kStarted, kSettled };

  void check_chain(const v1::Event& event);
  void check_decision(const v1::Event& event);
  void check_calls(const v1::Event& event);
  void check_said(const v1::Event& event);
  void check_past(const v1::Event& event);
  void check_held(const v1::Event& event, Origin origin);
  void fold_again();
  void keep_timers();
  void take_commands();
  std::string at(const v1::Event& event) const;

  std::shared_ptr<const workflows::Workflow> workflow_;
  const run::ToolTable& tools_;
  DurableContents contents_;
  std::unique_ptr<run::Run> shadow_;
  std::vector<v1::Event> events_;
  std::string id_;
  std::string request_id_;
  bool cancel_requested_ = false;
  bool paused_ = false;
  bool killed_ = false;
  std::size_t patient_until_ = 0;  // Events that check_patience() has seen.
  std::map<Place, ModelTurn> turns_;
  std::map<CallPlace, Call> effects_;  // Calls that may change the world.
  std::map<TimerPlace, std::int64_t> timers_due_us_;
  std::uint32_t retries_ = 0;
  std::set<std::string> succeeded_;                              // Paths of steps, elements and rounds.
  v1::ForkEffects fork_effects_ = v1::FORK_EFFECTS_UNSPECIFIED;  // Of a fork.
  std::string fork_model_;                                       // That answers it; empty: the workflow's.
  std::map<CallPlace, std::string> asked_;                       // Calls of a fork that wait to be allowed.
  std::set<std::string> allowed_;                                // Such calls, by instance and tool.
  std::map<std::uint64_t, std::string> signals_;                 // That no step has taken: names by number.
  std::set<std::string> signal_ids_;
  std::set<std::pair<std::string, std::uint32_t>> answered_;  // Questions by path and attempt.
};

// Whether the event is a decision of the core, and not an answer from outside.
bool is_decision(const v1::Event& event);
// Names of steps are unique in simulated workflows.
bool is_in_finally(const workflows::Workflow& workflow, std::string_view path);
// Without what the journal stamps on it, and without who the run is.
v1::Event bare(const v1::Event& event);

}  // namespace weft::simulation
