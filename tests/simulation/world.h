// One world that a seed makes: a workflow, clients, servers that crash or are overtaken, a disk, a network, tools; and
// the promises, checked at everything that happens.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attached.h"
#include "books.h"
#include "disk.h"
#include "model_server.h"
#include "runtime/engine/engine.h"
#include "shop_server.h"
#include "tool_server.h"
#include "verdict.h"
#include "workflow_text.h"

namespace weft::simulation {

enum class Voice : std::uint8_t { kSilent, kAloud };

// The power fails once, around one commit.
struct PowerCut {
  std::uint64_t commit = 0;  // From 1.
  enum class Moment : std::uint8_t { kBefore, kAfter } moment = Moment::kAfter;
};

struct WorldOptions {
  Voice voice = Voice::kSilent;
  // Calm: a small world without faults but the cut, for one cut at each of its commits.
  enum class Weather : std::uint8_t { kHarsh, kCalm } weather = Weather::kHarsh;
  std::optional<PowerCut> cut;
};

struct WorldCounts {
  std::uint64_t happened = 0, commits = 0, crashes = 0, overtaken = 0, left = 0, restored = 0, runs = 0,
                fingerprint = 0;
  Books::Counts books;
};

class World {
 public:
  World(std::uint64_t seed, WorldOptions options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Until every run has ended; a broken promise ends the program.
  WorldCounts run();

 private:
  struct Server {
    Life life = 0;
    std::unique_ptr<engine::Engine> engine;
  };
  // What is asked of an engine and not answered yet.
  struct Asked {
    const engine::Engine* engine = nullptr;
    std::string what;
  };
  struct Submission {
    std::string request_id;
    std::string run_id;  // Once acknowledged.
    bool cancels = false;
    bool kills = false;  // With its cancel.
    std::shared_ptr<engine::Watcher> watcher;
  };
  struct Fork {
    v1::RunsForkRequest request;
    bool over = false;  // Acknowledged, or refused for good.
  };
  class Onlooker;

  void plan_faults();
  void say(const std::string& what);
  Books::Say voice();

  // Servers.
  void start();
  void crash();         // The serving one, without a word.
  void hand_over();     // As after SIGTERM: it admits nothing more, its runs go on for a while, and it leaves in order.
  void be_overtaken();  // The serving one goes on for a while beside its successor, with a stale epoch.
  void restart_after(Duration delay);
  void end(std::unique_ptr<engine::Engine> engine);  // At once; whoever waits for it is told.
  void end_serving();
  void end_overtaken();
  // `take`, told once, and not that its request was dropped while the engine lives.
  template <class Response>
  engine::Reply<Response> once(const engine::Engine* engine, std::string what,
                               std::function<void(Result<Response>)> take);
  void await_replies();
  engine::Engine* reachable();

  // Clients.
  void apply();
  void apply_revision();
  void submit(std::size_t number);
  void cancel(std::size_t number);
  // Somebody pauses a run, and has it go on after a while.
  void pause_one();
  void resume(const std::string& run_id);
  std::size_t resume_paused();  // How many were.
  // Retries a run that ended, or forks one.
  void look_back(std::uint32_t patience);
  void retry(const std::string& run_id);
  void plan_fork(const RunRecord& source);
  void fork(std::size_t number);
  bool is_calm() const { return options_.weather == WorldOptions::Weather::kCalm; }
  bool content() const;  // Everything is acknowledged and every run has ended.

  // Says something to each run that waits for somebody; to how many places.
  std::size_t answer_questions();
  void answer(const std::string& run_id, const run::OpenWait& question);
  void send_signal(const std::string& run_id, const run::OpenWait& wait);
  // The schedule of the workflow starts nothing more.
  void end_schedule();
  void stop_faults();
  void settle();
  void run_on();
  // Who looks after the store once the faults have stopped: restarts a server whose runs wait for that. What else
  // waits for a person, here is the place to answer it.
  void operate();
  // Looks up in the world outside what became of each call in doubt, and says so; how many it has settled.
  std::size_t resolve_doubts();
  void check_standing();

  const std::uint64_t seed_;
  const WorldOptions options_;
  Schedule schedule_;
  Disk disk_;
  Books books_;
  DiskFaults disk_faults_;
  ModelFaults model_faults_;
  ToolFaults tool_faults_;
  engine::EngineLimits limits_;
  std::uint32_t shards_ = 1;
  ModelServer model_server_;
  ToolServer tool_server_;
  ShopServer shop_server_;
  Owner owner_;

  class Streets;
  std::unique_ptr<Streets> streets_;
  class WallClock;
  class Chance;
  std::unique_ptr<WallClock> clock_;
  std::unique_ptr<Chance> chance_;
  std::string yaml_;
  std::shared_ptr<const workflows::Workflow> workflow_;
  bool applied_ = false;
  bool revision_applied_ = false;  // Another definition, for forks.
  Time applied_at_{};
  bool schedule_ended_ = false;
  std::uint32_t visits_ = 0;
  bool was_at_rest_ = false;  // Every run that had not ended, when the schedule was last looked at.
  std::vector<Submission> submissions_;
  std::uint32_t looks_left_ = 0;
  std::map<std::string, std::uint32_t> retried_;  // By run.
  std::vector<Fork> forks_;
  std::optional<Server> serving_;
  std::vector<Server> overtaken_;
  std::map<std::uint64_t, Asked> asked_;
  std::uint64_t last_asked_ = 0;
  const engine::Engine* ending_ = nullptr;
  bool faults_ = true;
  Duration still_since_{0};  // The last event was written then, or the world has been calm since then.
  bool power_failed_ = false;
  std::uint64_t commits_ = 0;
  std::vector<std::uint64_t> cut_at_;       // Commits after which the power fails.
  std::vector<std::uint64_t> overtake_at_;  // Commits after which another server claims the store.
  bool overtake_now_ = false;
  WorldCounts counts_;
};

template <class Response>
engine::Reply<Response> World::once(const engine::Engine* engine, std::string what,
                                    std::function<void(Result<Response>)> take) {
  const std::uint64_t number = ++last_asked_;
  asked_[number] = {engine, what};
  return [this, number, engine, what = std::move(what), take = std::move(take)](Result<Response> response) {
    const bool dropped = !response && response.error().message == engine::kDropped;
    if (dropped && ending_ != engine)
      broken(Promise::kReply, what + " is dropped without an answer, and the server lives");
    if (asked_.erase(number) == 0) broken(Promise::kReply, what + " is answered twice");
    take(std::move(response));
  };
}

}  // namespace weft::simulation
