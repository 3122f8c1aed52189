// One shard: a thread that owns some partitions' runs. It appends what happened, carries out what runs want, and holds
// back what leaves the process until it may: the gate.
//
//   event ──► admit: stamp, apply, add to the batch ──► decisions … commands … ──► flush: one append
//                                                                                    └─ durable ──► the gate opens
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/http.h"
#include "base/loop.h"
#include "memory/journal.h"
#include "runtime/engine/content_store.h"
#include "runtime/engine/conversations.h"
#include "runtime/engine/crashes.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/fork.h"
#include "runtime/engine/frozen.h"
#include "runtime/engine/hub.h"
#include "runtime/engine/order.h"
#include "runtime/engine/parked.h"
#include "runtime/engine/places.h"
#include "runtime/engine/registry.h"
#include "runtime/engine/routes.h"
#include "runtime/model/client.h"
#include "runtime/run/run.h"
#include "tools/http_tool.h"

namespace weft::engine {

// What every shard stands on; owned by the engine, outlives the shards.
struct ShardWorld {
  memory::Journal& journal;
  tools::Toolbox& tools;
  const run::ToolTable& tool_table;
  const Routes& routes;
  Hub& hub;
  Parked& parked;
  Frozen& frozen;
  Places& places;
  const Order& order;
  const tools::Secrets& secrets;
  Clock& clock;
  const EngineLimits& limits;
  memory::Epoch epoch = 0;
  std::atomic<std::size_t>& active_runs;
  std::atomic<std::size_t>& tool_calls;
};

inline constexpr std::size_t kBatchBytesMax = std::size_t{1} << 20;  // One batch of events holds about so much.
inline constexpr Duration kLook{60'000'000};  // A wall clock that is set forward is noticed within that.
inline Time time_at(std::int64_t us) { return Time(Duration(us)); }

v1::Event event_at(const run::CallKey& key);
bool makes_wait(const v1::Event& event);  // After these a run may stand still; most runs never see one.

struct Submission {
  std::string run_id;
  std::uint32_t partition = 0;
  std::shared_ptr<const workflows::Workflow> workflow;
  std::string input;              // Canonical JSON.
  v1::RunsSubmitRequest request;  // Labels, request id, traceparent.
  std::string request_digest;
  Places::Turn turn;
  std::int64_t scheduled_for_us = 0;  // Of the workflow's schedule; 0: it did not start it.
  Done<v1::RunsSubmitResponse> done;
};

// A fork that is to begin.
struct ForkStart {
  Submission submission;  // Its request names the labels and the request id.
  SharedPast past;
  v1::RunForked forked;
  bool own_input = false;  // `submission.input` is given; otherwise the source's stands.
};

class Shard {
 public:
  explicit Shard(ShardWorld world);
  ~Shard();  // Stops the thread; calls in flight are dropped, to be found by recovery.

  // Before start(): folds a run from its journal.
  // FAILED_PRECONDITION where `crashes` say that it is left alone.
  Status recover(const memory::RunRow& row, std::shared_ptr<const workflows::Workflow> workflow, Crashes* crashes);
  void start();  // Begins to serve; recovered runs go on.
  void stop();   // Ends the thread; the journal may call back until it is drained.

  Loop& loop() { return loop_; }

  // Thread-safe; they post to the shard.
  void submit(Submission submission);
  void begin(std::string run_id);  // Its turn has come.
  void after(Duration delay, Task task);
  void cancel(std::string run_id, v1::CancelRequested request, Done<v1::RunsCancelResponse> done);
  void resolve(std::string run_id, v1::RunsResolveRequest request, Done<v1::RunsResolveResponse> done);
  void answer_question(std::string run_id, v1::RunsAnswerRequest request, Done<v1::RunsAnswerResponse> done);
  void signal(std::string run_id, v1::RunsSignalRequest request, Done<v1::RunsSignalResponse> done);
  // RunPaused or RunResumed.
  void hold(std::string run_id, v1::Event event, Done<v1::Run> done);
  // `row` has ended, and is counted among the active runs already, as a fork is.
  void retry(memory::RunRow row, std::shared_ptr<const workflows::Workflow> workflow, std::string reason,
             Done<v1::Run> done);
  void fork(ForkStart start);

 private:
  using TimerKey = std::pair<run::CallKey, int>;
  struct Gated {
    std::uint64_t seq = 0;  // Leaves when this event is durable.
    run::CallKey key;
    Task leave;
  };
  struct ModelFlight {
    model::Client::CallId call = 0;  // 0: held by the gate.
    Places::Turn turn;
    Route route;
    std::optional<model::Price> price;
    std::uint64_t request_bytes = 0;
    std::uint64_t streamed_bytes = 0;
    std::int64_t sent_us = 0;
  };
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
  struct ToolFlight {
    std::shared_ptr<tools::Cancelled> cancelled;
    std::int64_t started_us = 0;
    std::string tool;
    tools::Effect effect = tools::Effect::kWrite;
    Places::Turn turn;
    HttpClient::CallId request = 0;  // 0: none of its own.
    Counted counted;
  };
  using OnReply = std::move_only_function<void(tools::HttpToolReply)>;
  // Equal calls of a tool that changes nothing, which are one request.
  struct SharedFlight {
    std::vector<std::pair<std::string, run::CallKey>> waiting;  // Runs and their calls.
  };
  // A call that waits for its turn.
  struct Queued {
    Places::Turn turn;
    run::Command command;
  };
  // What an attempt's past says of its timeout.
  struct Past {
    std::int64_t begun_us = 0;
    std::int64_t last_us = 0;      // Its last event, or from when on the run went on.
    std::int64_t in_queue_us = 0;  // How long its calls waited for their turn.
  };
  // Time in which an instance did not work, nor those around it; of the whole run where the path is empty.
  struct Pause {
    std::string path;
    std::int64_t at_us = 0;  // Its end.
    std::int64_t span_us = 0;
  };
  struct Active {
    std::string id;
    std::uint32_t partition = 0;
    std::unique_ptr<run::Run> run;
    v1::Run summary;  // As lists and answers show it: the tally of its events.
    Conversations conversations;
    std::string batch;  // Events that were applied and not yet handed to the journal.
    std::uint64_t batch_first = 0;
    std::vector<memory::EventBatch> batches_before;  // Full ones, of the same append.
    std::vector<Digest> shared_blobs;                // Of a fork's first append.
    std::string model;                               // That answers in place of the workflow's; empty: none does.
    std::vector<memory::Blob> blobs;  // Of the batch, where it is held back: no other run's append carries them.
    std::deque<memory::Append>
        unsettled;                      // Handed to the journal, or kept from it while frozen; not known to be durable.
    std::size_t appends_in_flight = 0;  // Of these, with the journal.
    bool frozen = false;                // An append failed: nothing leaves until it has been written.
    std::size_t frozen_bytes = 0;       // Taken of frozen_bytes_max.
    std::uint64_t durable_seq = 0;
    std::size_t at_once = 0;  // Tool calls whose results come before the loop turns again; the batch waits for them.
    bool created = false;     // Its row exists, or is on its way.
    bool reopened = false;    // Its row says that it has ended, which is true no more.
    bool begun = false;       // Otherwise it waits for its turn.
    Places::Turn turn;        // Of the run itself.
    std::map<run::CallKey, Queued> queued;  // Calls that wait for their turn.
    std::vector<run::Command> held;         // Those of a paused run, which go in line again when it is resumed.
    bool given_up = false;                  // Its events are not recorded any more.
    std::deque<Gated> gate;
    std::map<run::CallKey, ModelFlight> models;
    std::map<run::CallKey, ToolFlight> tools;
    std::map<TimerKey, Loop::TimerId> timers;
    std::map<run::CallKey, std::int64_t> stilled_us;   // Timeouts that stand still: how much of each is left.
    std::map<run::CallKey, std::int64_t> timeouts_us;  // When each that counts is due.
    std::size_t asked = 0;                             // Questions to `verify` tools on their way.
    bool may_wait = false;  // Something of it has waited, or been in doubt, or it was paused.
    bool rests = false;     // It is among the parked, since it waits for somebody's word.
    // Found by recover() for resume(): when attempts began, and when they stood still.
    std::map<std::string, Past> attempts;  // By path.
    std::vector<Pause> pauses;
    std::string request_digest;
    std::uint64_t got_on_seq = 0;    // The last event that shows that it got on.
    memory::Epoch epoch = 0;         // Of its last event; of a run that was folded.
    std::size_t unsaved_bytes = 0;   // Of events since the last snapshot.
    std::size_t snapshot_bytes = 0;  // Of that; 0: there is none.
    Done<v1::RunsSubmitResponse> submitted;
    // Told the run when what they asked for is durable.
    std::vector<std::pair<std::uint64_t, Done<v1::Run>>> asking;

    void note(const v1::Event& event);  // What is remembered of it beside the state.
  };

  // A run that waits and is not held in memory: it is folded again when something arrives for it.
  struct Sleeping {
    std::uint32_t partition = 0;
    std::shared_ptr<const workflows::Workflow> workflow;
    Loop::TimerId timer = 0;  // 0: it waits for no time.
    run::StartTimer due;      // The first time that it waits for.
    Duration at{0};           // When that is, of the clock that nobody sets.
    Places::Turn turn;        // Of one that has not begun.
  };

  // shard_steering.cpp: what people and programs say to a run.
  // Posts `act` with the run, woken where it sleeps; NOT_FOUND through `refuse` where it is not at work.
  void steer(std::string run_id, std::move_only_function<void(Active&)> act,
             std::move_only_function<void(Error)> refuse);
  // Admits the event, if it is expected, and tells `done` the run when that is durable.
  bool say(Active& active, v1::Event event, Done<v1::Run> done);
  // Tells `done` the run when all that it has become is durable. `active` may be gone afterwards.
  void tell(Active& active, Done<v1::Run> done);

  // shard_recovery.cpp: from what is stored of a run to the run at work, and the snapshots that make that short.
  struct Beside;
  struct Folding;
  template <class Archive>
  friend void keep(Archive& archive, Beside& beside);
  Result<std::unique_ptr<Active>> fold(const memory::RunRow& row,
                                       const std::shared_ptr<const workflows::Workflow>& workflow);
  std::string snapshot(const Active& active) const;  // Empty where none can be taken now.
  void consider_snapshot(Active& active, memory::Append& append);

  // shard.cpp: the life of a run.
  void admit(Active& active, v1::Event event);
  void admit(Active& active, v1::Event event, std::int64_t at_us);
  void trim(Active& active);  // Forgets conversations of agents that are not at work.
  void advance(Active& active);
  void flush(Active& active);
  void durable(const std::string& run_id, std::uint64_t seq, Result<memory::Appended> appended);
  void give_up(Active& active, const Error& error);
  // Before anything of the run leaves the process. Gives it up where the store has another owner.
  bool owns(Active& active);
  void forget(const std::string& run_id);
  // `stopped`: what kept calls under way from being answered, in words.
  void resume(Active& active, std::string_view stopped = "weft stopped");
  Active* find(const std::string& run_id);
  // Where nothing but somebody's word moves it: says so to whoever looks.
  void consider_rest(Active& active);
  void awaken(Active& active);
  void put_to_sleep(Active& active);
  void wake_at(const std::string& run_id, Sleeping& sleeping);
  Active* wake(const std::string& run_id);  // Null where it neither works nor sleeps here.
  // Timeouts count while their attempt works.
  void keep_timeouts(Active& active);
  void keep_timeout(Active& active, const run::CallKey& attempt, std::int64_t now_us);
  // Admits an answer from outside if it is still waited for, and everything that follows from it.
  void answer(const std::string& run_id, v1::Event event);

  // shard_frozen.cpp: appends, and runs that stand still because theirs failed.
  void hand_in(Active& active, memory::Append append);
  void send_append(Active& active, memory::Append append);
  bool keep(Active& active, std::size_t bytes);
  Error no_room_to_wait() const;
  void stand_still(Active& active, std::uint64_t seq, const Error& cause);
  void settle(Active& active);
  void probe_later();
  void probe();
  void thaw();
  void leave_frozen(Active& active);

  // shard_calls.cpp: commands into effects.
  void carry_out(Active& active, const run::Command& command);
  void call_model(Active& active, const run::ModelCall& command);
  void begin_model(Active& active, const run::ModelCall& command, Route route, Places::Turn turn);
  void send(const std::string& run_id, const run::CallKey& key, model::Call call);
  void model_outcome(const std::string& run_id, const run::CallKey& key, model::Outcome outcome);
  void model_closed(Active& active, const run::CallKey& key, ModelFlight& flight);
  static void give_back(ModelFlight& flight, const model::Outcome& outcome);
  // How long until it is due by the wall clock; where that was set back, by the time of the run's last event.
  Duration left(const Active& active, const run::StartTimer& timer) const;
  // When it is due of the clock that nobody sets; never, where it is a time of the wall clock's.
  Duration due_at(const Active& active, const run::StartTimer& timer) const;
  void start_timer(Active& active, const run::StartTimer& command);
  void look_later(Active& active, const run::StartTimer& command, Duration at);
  void fire(const std::string& run_id, const run::StartTimer& due);
  void drop(Active& active, const run::CallKey& key);
  // shard_tools.cpp: calls of tools.
  void call_tool(Active& active, const run::ToolCall& command);
  void begin_tool(Active& active, const run::ToolCall& command, Places::Turn turn);
  void run_tool(const std::string& run_id, const run::CallKey& key, tools::ToolRequest request);
  void run_pooled(tools::Tool& tool, std::shared_ptr<tools::Cancelled> cancelled, tools::ToolRequest request,
                  OnReply on_reply);
  // 0 where it has been answered at once.
  HttpClient::CallId request(const workflows::Tool& tool, const tools::ToolRequest& request, const std::string& id,
                             OnReply on_reply);
  void share_request(Active& active, const workflows::Tool& tool, const run::CallKey& key,
                     const tools::ToolRequest& request);
  void run_at_once(const std::string& run_id, Task tool);
  void tool_outcome(const std::string& run_id, const run::CallKey& key, tools::ToolReply reply);
  void drop_tools(Active& active, const run::CallKey& key);
  // shard_turns.cpp: runs and calls that wait for their turn.
  bool may_begin(Active& active);
  // A turn that has come; nothing where the call waits for it.
  std::optional<Places::Turn> take_turn(Active& active, const run::CallKey& key, const run::Command& command,
                                        Gates gates, std::uint64_t tokens = 0);
  void turn_comes(const std::string& run_id, const run::CallKey& key);
  void hold_queued(Active& active);
  bool waits(const Active& active, const run::CallKey& attempt) const;
  // Those of the step instance and of the groups around it.
  void keep_timeouts_around(Active& active, const std::string& path);

  void verify(Active& active, const run::VerifyCall& command);
  void verify_now(const std::string& run_id, const run::VerifyCall& command);

  void when_durable(Active& active, const run::CallKey& key, Task leave);
  static const std::string& model_of(const Active& active, workflows::StepId step);  // The step's, or the fork's.
  Result<std::shared_ptr<const model::Prefix>> prefix(const Active& active, workflows::StepId step, const Route& route);
  v1::Event model_ended(const run::CallKey& key, const ModelFlight& flight, model::Answer answer,
                        const model::Prefix& prefix);
  // A call whose answer will not come: booked by estimate.
  v1::Event lost_call(const run::CallKey& key, const ModelFlight& flight, std::string failure,
                      std::string message) const;
  std::optional<v1::Cost> cost(const ModelFlight& flight, const model::Usage& usage) const;

  ShardWorld world_;
  Loop loop_;
  HttpClient http_;
  model::Client client_;
  ContentStore contents_;
  std::unordered_map<std::string, std::unique_ptr<Active>> runs_;  // Loop only, as all below.
  std::map<std::string, Sleeping> sleeping_;
  std::map<std::string, std::weak_ptr<const model::Prefix>> prefixes_;
  std::set<std::string> frozen_;  // Runs.
  std::string probed_;            // The run whose append was last tried again.
  std::optional<Loop::TimerId> probe_timer_;
  Duration probe_delay_{};                      // Zero: the store was last seen to be written.
  std::map<std::string, SharedFlight> shared_;  // By workflow, tool and arguments.
  std::thread thread_;
};

}  // namespace weft::engine
