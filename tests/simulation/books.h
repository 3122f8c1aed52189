// What everybody outside of the engine knows: the disk what was written, the model's server what it was asked and what
// it counted, the tools what they did, the clients what they were told. Checks one against the other as it happens.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "attached.h"
#include "memory/journal/journal.h"
#include "run_record.h"
#include "runtime/model/message.h"
#include "tools/tool.h"

namespace weft::simulation {

class Books {
 public:
  using Say = std::function<void(const std::string&)>;  // Empty: nobody listens.
  Books(const run::ToolTable& tools, const memory::Reader& store, Say say)
      : tools_(tools), store_(store), say_(std::move(say)) {}

  void know(std::shared_ptr<const workflows::Workflow> workflow);
  void begins(Life life) { owner_ = life; }
  void clock_jumped() { steady_ = false; }
  void faults_stopped(Time at) { calm_since_ = at; }

  // The disk: what is durable now.
  void written(const memory::Append& append);
  // The model's server: a request left a life's process; then what was counted for it, as read off the wire.
  void model_asked(Life life, const std::string& request_sha256);
  void model_counted(const std::string& request_sha256, const std::string& request_id, const model::Usage& usage);
  // The tools: a call arrived; then what it did to the world.
  void tool_called(Life life, const tools::ToolRequest& request, tools::Effect effect);
  void tool_acted(Life life, const tools::ToolRequest& request);
  // A call was taken back: that of this key.
  void undone(const std::string& key) {
    undone_.insert(key);
    ++counts_.undone;
  }
  // The clients.
  void submit_acknowledged(const std::string& request_id, const std::string& run_id);
  void cancel_acknowledged(const std::string& run_id);
  void answer_acknowledged(const std::string& run_id, const run::CallKey& question, const std::string& value);
  void signal_acknowledged(const std::string& run_id, const std::string& signal_id);
  // Of a run of which `known_seq` events were durable when it was asked for.
  void pause_acknowledged(const std::string& run_id) const;
  void resume_acknowledged(const std::string& run_id, std::uint64_t known_seq) const;
  void retry_acknowledged(const std::string& run_id, std::uint64_t known_seq);
  void fork_asked(const std::string& request_id, std::uint64_t known_seq) { forks_.emplace(request_id, known_seq); }

  // Ids of runs that are on the disk and have not ended.
  std::vector<std::string> unfinished() const;
  // What somebody finds who looks for the call at this path in the world outside.
  bool was_done(const std::string& run_id, const std::string& path) const;
  const std::map<std::string, std::unique_ptr<RunRecord>>& runs() const { return runs_; }
  // Once every run has ended: the books are closed.
  void close();
  // Every time of the workflow's schedule from `from` to `until` has started a run.
  void check_schedule(const workflows::Schedule& schedule, Time from, Time until) const;

  struct Counts {
    std::uint64_t events = 0, model_calls = 0, lost_calls = 0, effects = 0, doubts = 0, acknowledged = 0;
    std::uint64_t verified = 0, undone = 0, retried = 0, forked = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  // Of a run's durable events; of no run, 0.
  std::ptrdiff_t count_of(const std::string& run_id, const std::function<bool(const v1::Event&)>& is_it) const;
  void read(RunRecord& run, const v1::Event& event);
  void check_usage(const v1::Event& event, const std::string& request_id, const v1::Usage& usage);
  void check_row(const RunRecord& run);
  void check_undone(const RunRecord& run) const;
  void check_shared(const RunRecord& fork, const v1::RunForked& forked) const;

  const run::ToolTable& tools_;
  const memory::Reader& store_;
  const Say say_;
  Life owner_ = 0;
  bool steady_ = true;
  std::optional<Time> calm_since_;
  Counts counts_;
  std::map<std::string, std::shared_ptr<const workflows::Workflow>> workflows_;  // By hash.
  std::map<std::string, std::unique_ptr<RunRecord>> runs_;

  using AtLife = std::pair<std::string, Life>;
  std::map<AtLife, std::int64_t> may_ask_;    // By request and life: intents that are durable, less what left.
  std::map<AtLife, std::int64_t> may_act_;    // By idempotency key and life.
  std::map<std::string, std::int64_t> owed_;  // By request: what was counted, less what is booked.
  struct Counted {
    model::Usage usage;
    bool booked = false;
  };
  std::map<std::string, Counted> counted_;  // By the provider's request id.

  // What one run did, or meant to do, under a key.
  struct Holder {
    bool of_owner = false;               // Done by the server that owned the store at that moment.
    std::string instance;                // Run, step without attempts, tool, arguments.
    bool settled = false;                // Recorded as done, or in doubt.
    bool failed = false;                 // Recorded as not done.
    std::vector<std::uint64_t> intents;  // That have not acted yet, by their order among all.
  };
  struct Act {
    std::uint64_t done = 0;
    std::map<std::string, Holder> holders;  // By run: a run and its forks have the same keys.
    // Whose intent it is that acts: the last one that has not.
    Holder& actor();
  };
  std::map<std::string, Act> acts_;                     // By idempotency key.
  std::map<std::string, std::uint64_t> instance_acts_;  // By instance.
  std::uint64_t intents_ = 0;
  std::set<std::string> undone_;                     // Keys of calls.
  std::map<std::string, std::uint64_t> forks_;       // What was durable of the source, by request id.
  std::map<std::string, std::string> acknowledged_;  // Runs by request id.
  std::set<std::string> cancelled_;
};

}  // namespace weft::simulation
