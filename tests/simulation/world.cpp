#include "world.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "verdict.h"
#include "workflows/loader.h"
#include "workflows/path.h"

namespace weft::simulation {
namespace {

constexpr std::uint64_t kHappeningsMax = 400'000;  // Of one world: more is a circle.
constexpr std::uint64_t kSqliteEvery = 8;          // Of so many seeds one has the SQLite store.
constexpr Duration kSecond{1'000'000};
constexpr Duration kTimesMax = kSecond * 300;  // All times of a workflow's schedule have come by then.
// More than the longest wait of a workflow, and less than what a clock jumps by.
constexpr Duration kStillMax = kSecond * 900;

const engine::Config& config() {
  static const engine::Config kConfig = [] {
    engine::Config made;
    made.model_url = "http://model.simulated/v1";
    made.simulated = true;
    return made;
  }();
  return kConfig;
}

// The workflow of this text. The last two are kept: one text often makes many worlds in a row.
std::shared_ptr<const workflows::Workflow> checked(const std::string& yaml) {
  static std::deque<std::pair<std::string, std::shared_ptr<const workflows::Workflow>>> known;
  for (const auto& [text, workflow] : known) {
    if (text == yaml) return workflow;
  }
  const workflows::Loaded loaded = workflows::load({"simulated.yaml", yaml, {}}, known_world());
  if (!loaded.workflow) {
    std::string why;
    for (const auto& diagnostic : loaded.diagnostics) why += workflows::to_text(diagnostic) + "\n";
    broken(Promise::kOwnCheck, fmt::format("the checker refuses a workflow:\n{}\n{}", why, yaml));
  }
  known.emplace_front(yaml, loaded.workflow);
  if (known.size() > 2) known.pop_back();
  return loaded.workflow;
}

}  // namespace

// Jumps, as a wall clock may.
class World::WallClock final : public Clock {
 public:
  explicit WallClock(const Schedule& schedule) : schedule_(schedule) {}
  Time now() const override {
    ++attached().work;
    return Time(Duration(1'790'000'000'000'000) + schedule_.now() + ahead);
  }
  Duration monotonic() const override { return schedule_.now(); }
  Duration ahead{0};

 private:
  const Schedule& schedule_;
};

// Where requests go by their addresses.
class World::Streets final : public Network {
 public:
  Streets(ModelServer& models, ShopServer& shop) : models_(models), shop_(shop) {}
  std::vector<Step> request(Life life, const HttpRequest& request) override {
    return ShopServer::is_meant(request) ? shop_.request(life, request) : models_.request(life, request);
  }

 private:
  ModelServer& models_;
  ShopServer& shop_;
};

class World::Chance final : public Entropy {
 public:
  explicit Chance(Schedule& schedule) : schedule_(schedule) {}
  std::uint64_t next() override { return schedule_.random.next(); }

 private:
  Schedule& schedule_;
};

// What is watched is durable.
class World::Onlooker final : public engine::Watcher {
 public:
  Onlooker(const Books& books, std::string run_id) : books_(books), run_id_(std::move(run_id)) {}
  void on_advance(std::uint64_t durable_seq, std::shared_ptr<const v1::Run> ended) override {
    const auto run = books_.runs().find(run_id_);
    const bool known = run != books_.runs().end() && run->second->last_seq() >= durable_seq;
    if (!known || (ended && !run->second->ended()))
      broken(Promise::kAcknowledged,
             fmt::format("a watcher of run {} is shown event {} before it is durable", run_id_, durable_seq));
  }
  void on_rest() override {}
  void on_progress(const v1::Progress&) override {}

 private:
  const Books& books_;
  const std::string run_id_;
};

World::World(std::uint64_t seed, WorldOptions options)
    : seed_(seed),
      options_(options),
      schedule_(seed),
      disk_(seed % kSqliteEvery == 3 ? Disk::Kind::kSqlite : Disk::Kind::kMemory, schedule_.random),
      books_(known_tools(), disk_.store(), voice()),
      model_server_(schedule_, books_, model_faults_, voice()),
      tool_server_(schedule_, books_, tool_faults_, voice()),
      shop_server_(schedule_, books_, tool_faults_, voice()),
      owner_(schedule_.new_owner()),
      streets_(std::make_unique<Streets>(model_server_, shop_server_)),
      clock_(std::make_unique<WallClock>(schedule_)),
      chance_(std::make_unique<Chance>(schedule_)) {
  attached() = {&schedule_, streets_.get(), 0, 0};
  yaml_ = workflow_text("simulated", is_calm() ? Size::kSmall : Size::kUsual, schedule_.random);
  say(yaml_);
  // Snapshots all the time, now and then, or as in life: never of runs as short as these.
  constexpr std::size_t kSnapshotAfterBytes[] = {1, 3'000, std::size_t{256} << 10};
  limits_.snapshot_after_bytes = kSnapshotAfterBytes[seed % std::size(kSnapshotAfterBytes)];
  // What waits is put to sleep at once, in some worlds.
  if (seed % 2 == 0) limits_.idle_bytes_max = 0;
  workflow_ = checked(yaml_);
  books_.know(workflow_);
  plan_faults();
}

World::~World() {
  end_overtaken();
  end_serving();
  attached() = {};
}

Books::Say World::voice() {
  if (options_.voice == Voice::kSilent) return nullptr;
  return [this](const std::string& what) { say(what); };
}

void World::say(const std::string& what) {
  if (options_.voice == Voice::kSilent) return;
  const double seconds = static_cast<double>(schedule_.now().count()) / 1e6;
  fmt::print("{:11.6f} {}\n", seconds, what);
}

// Each seed has its own mixture: of some kinds many, of others none, so that rare meetings of two kinds happen.
void World::plan_faults() {
  Random& random = schedule_.random;
  const auto some = [&](std::uint32_t percent_max) { return random.one_in(2) ? random.below(percent_max + 1) : 0; };
  submissions_.resize(is_calm() ? 1 : 1 + random.below(3));
  for (std::size_t i = 0; i < submissions_.size(); ++i) {
    submissions_[i].request_id = fmt::format("request-{}", i);
    submissions_[i].cancels = random.one_in(is_calm() ? 8 : 5);
    submissions_[i].kills = submissions_[i].cancels && random.one_in(4);
  }
  // Queues that are nearly always full, in some worlds.
  if (random.one_in(3)) limits_.model_calls_max = 1 + random.below(2);
  if (random.one_in(3)) limits_.tool_calls_max = 1 + random.below(2);
  if (random.one_in(3)) shards_ = 2 + random.below(2);
  if (is_calm()) return;
  disk_faults_ = {some(20), some(10), some(2), some(2), some(12)};
  model_faults_ = {some(30), some(30), some(20)};
  tool_faults_ = {some(25), some(20), some(30), some(20)};
  if (random.one_in(6)) limits_.runs_at_work_max = 1;
  for (std::uint32_t i = random.below(4); i > 0; --i) cut_at_.push_back(1 + random.below(40));
  for (std::uint32_t i = random.below(3); i > 0; --i) overtake_at_.push_back(1 + random.below(40));
  for (std::uint32_t i = random.below(3); i > 0; --i) {
    schedule_.after(owner_, schedule_.between(0, 120'000'000), [this] {
      if (faults_) crash();
    });
  }
  for (std::uint32_t i = random.one_in(4) ? 1 + random.below(2) : 0; i > 0; --i) {
    schedule_.after(owner_, schedule_.between(0, 60'000'000), [this] { hand_over(); });
  }
  for (std::uint32_t i = disk_.has_sqlite() ? random.below(5) : 0; i > 0; --i) {
    schedule_.after(owner_, schedule_.between(0, 20'000'000), [this] {
      if (faults_) disk_.fail_soon();
    });
  }
  for (std::uint32_t i = disk_.has_sqlite() ? random.below(6) : 0; i > 0; --i) {
    schedule_.after(owner_, schedule_.between(0, 20'000'000), [this] {
      if (faults_) disk_.deny_a_sync();
    });
  }
  if (random.one_in(3)) {
    books_.clock_jumped();
    for (std::uint32_t i = 1 + random.below(3); i > 0; --i) {
      schedule_.after(owner_, schedule_.between(0, 60'000'000), [this] {
        clock_->ahead += Duration(static_cast<std::int64_t>(schedule_.random.below(7'200)) * 1'000'000 - 3'600'000'000);
        say(fmt::format("the clock jumps to {} s ahead", clock_->ahead.count() / 1'000'000));
      });
    }
  }
}

void World::start() {
  Server server;
  server.life = disk_.epoch() + 1;
  attached().life = server.life;
  books_.begins(server.life);
  say(fmt::format("life {} begins", server.life));
  DiskJournal::Power power{
      [this] {
        const bool cut =
            options_.cut && options_.cut->moment == PowerCut::Moment::kBefore && commits_ + 1 == options_.cut->commit;
        power_failed_ = power_failed_ || (cut && counts_.crashes == 0);
        return !power_failed_;
      },
      [this, life = server.life] {
        ++commits_;
        if (!serving_ || serving_->life != life || !faults_) return;
        const bool cut =
            options_.cut && options_.cut->moment == PowerCut::Moment::kAfter && commits_ == options_.cut->commit;
        power_failed_ = power_failed_ || cut || std::ranges::find(cut_at_, commits_) != cut_at_.end();
        overtake_now_ = overtake_now_ || std::ranges::find(overtake_at_, commits_) != overtake_at_.end();
      }};
  engine::EngineParts parts;
  parts.journal = std::make_unique<DiskJournal>(disk_, books_, schedule_, disk_faults_, std::move(power));
  parts.tools = toolbox(tool_server_, server.life);
  parts.clock = clock_.get();
  parts.entropy = chance_.get();
  engine::EngineOptions options;
  options.config = config();
  options.config.limits = limits_;
  options.shards = shards_;
  options.environment = [](const std::string&) { return std::optional<std::string>(); };
  auto engine = engine::Engine::start(std::move(parts), std::move(options));
  if (!engine && disk_.failed()) return;
  if (!engine) broken(Promise::kEnds, "the engine does not start: " + engine.error().message);
  server.engine = *std::move(engine);
  serving_ = std::move(server);
}

void World::crash() {
  if (!serving_ && !disk_.failed()) return;
  say(fmt::format("life {} ends: the power fails", disk_.epoch()));
  ++counts_.crashes;
  end_serving();
  if (disk_.has_sqlite()) end_overtaken();  // The power of the machine, not of one process.
  disk_.lose_power(books_);
  restart_after(schedule_.between(1'000, schedule_.random.one_in(4) ? 100'000'000 : 5'000'000));
}

void World::hand_over() {
  if (!serving_ || !faults_) return;
  say(fmt::format("life {} is told to end", serving_->life));
  serving_->engine->drain(Duration{0});
  schedule_.after(owner_, schedule_.between(0, 30'000'000), [this, life = serving_->life] {
    if (!serving_ || serving_->life != life) return;
    say(fmt::format("life {} leaves", life));
    ++counts_.left;
    end_serving();
    restart_after(schedule_.between(1'000, 5'000'000));
  });
}

void World::restart_after(Duration delay) {
  schedule_.after(owner_, delay, [this] {
    if (!serving_) start();
  });
}

void World::be_overtaken() {
  if (!serving_) return;
  say(fmt::format("life {} is overtaken", serving_->life));
  ++counts_.overtaken;
  const Life life = serving_->life;
  overtaken_.push_back(std::move(*serving_));
  serving_.reset();
  start();
  schedule_.after(owner_, schedule_.between(1'000, 60'000'000), [this, life] {
    const auto old = std::ranges::find(overtaken_, life, &Server::life);
    if (old == overtaken_.end()) return;
    Server server = std::move(*old);
    overtaken_.erase(old);
    end(std::move(server.engine));
  });
}

void World::end(std::unique_ptr<engine::Engine> engine) {
  const engine::Engine* const ended = engine.get();
  ending_ = ended;
  engine.reset();
  ending_ = nullptr;
  for (const auto& [number, asked] : asked_) {
    if (asked.engine == ended) broken(Promise::kReply, asked.what + " is not answered, though its server has ended");
  }
}

void World::end_serving() {
  if (!serving_) return;
  Server server = std::move(*serving_);
  serving_.reset();
  end(std::move(server.engine));
}

void World::end_overtaken() {
  for (Server& server : std::exchange(overtaken_, {})) end(std::move(server.engine));
}

// Once all is calm, nobody waits for long.
void World::await_replies() {
  const Duration until = schedule_.now() + kSecond * 120;
  while (!asked_.empty() && schedule_.now() < until && schedule_.run_next()) {
  }
  if (!asked_.empty()) broken(Promise::kReply, asked_.begin()->second.what + " is never answered");
}

// Clients do not know which server is the one that owns the store.
engine::Engine* World::reachable() {
  if (!overtaken_.empty() && schedule_.random.one_in(4)) return overtaken_.back().engine.get();
  return serving_ ? serving_->engine.get() : nullptr;
}

void World::apply() {
  const auto again = [this](Duration delay) {
    schedule_.after(owner_, delay, [this] {
      if (!applied_) apply();
    });
  };
  again(kSecond * 3);
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  v1::WorkflowsApplyRequest request;
  request.mutable_bundle()->set_file("simulated.yaml");
  request.mutable_bundle()->set_text(yaml_);
  engine->apply(request, once<v1::WorkflowsApplyResponse>(
                             engine, "an apply", [this](Result<v1::WorkflowsApplyResponse> response) {
                               if (!response || applied_) return;
                               if (!disk_.store().workflow_by_hash(response->workflow().hash()))
                                 broken(Promise::kAcknowledged, "a workflow is acknowledged and is not durable");
                               applied_ = true;
                               applied_at_ = clock_->now();
                               if (looks_left_ > 0 && schedule_.random.one_in(2)) apply_revision();
                               for (std::size_t i = 0; i < submissions_.size(); ++i) {
                                 schedule_.after(owner_, schedule_.between(0, 5'000'000), [this, i] { submit(i); });
                               }
                             }));
}

void World::apply_revision() {
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  const std::string yaml = revised(yaml_, "revised");
  books_.know(checked(yaml));
  v1::WorkflowsApplyRequest request;
  request.mutable_bundle()->set_file("revised.yaml");
  request.mutable_bundle()->set_text(yaml);
  engine->apply(request, once<v1::WorkflowsApplyResponse>(engine, "an apply",
                                                          [this](const Result<v1::WorkflowsApplyResponse>& response) {
                                                            revision_applied_ = revision_applied_ || response;
                                                          }));
}

void World::submit(std::size_t number) {
  Submission& submission = submissions_[number];
  // Who gets no answer asks again; who got one does so now and then.
  if (submission.run_id.empty() || schedule_.random.one_in(3)) {
    schedule_.after(owner_, schedule_.between(500'000, 8'000'000), [this, number] { submit(number); });
  }
  engine::Engine* engine = reachable();
  if (engine == nullptr) return;
  v1::RunsSubmitRequest request;
  request.set_workflow("simulated");
  request.set_request_id(submission.request_id);
  engine->submit(
      request,
      once<v1::RunsSubmitResponse>(
          engine, fmt::format("submission {}", number),
          [this, number, engine](Result<v1::RunsSubmitResponse> response) {
            Submission& answered = submissions_[number];
            say(fmt::format("submission {}: {}", number, response ? response->run_id() : response.error().message));
            if (!response) return;
            books_.submit_acknowledged(answered.request_id, response->run_id());
            const bool first = answered.run_id.empty();
            answered.run_id = response->run_id();
            if (first && answered.cancels)
              schedule_.after(owner_, schedule_.between(0, 20'000'000), [this, number] { cancel(number); });
            answered.watcher = std::make_shared<Onlooker>(books_, answered.run_id);
            (void)engine->watch(answered.run_id, answered.watcher);
          }));
}

void World::cancel(std::size_t number) {
  engine::Engine* engine = reachable();
  const std::string& run_id = submissions_[number].run_id;
  if (engine == nullptr || schedule_.random.one_in(3))
    schedule_.after(owner_, schedule_.between(0, 3'000'000), [this, number] { cancel(number); });
  if (engine == nullptr) return;
  say(fmt::format("run {} is to be cancelled", run_id));
  v1::RunsCancelRequest request;
  request.set_run_id(run_id);
  request.set_kill(submissions_[number].kills);
  engine->cancel(request, once<v1::RunsCancelResponse>(engine, "a cancel of run " + run_id,
                                                       [this, run_id](Result<v1::RunsCancelResponse> response) {
                                                         if (response) books_.cancel_acknowledged(run_id);
                                                       }));
}

bool World::content() const {
  return applied_ && looks_left_ == 0 && books_.unfinished().empty() &&
         std::ranges::all_of(forks_, [](const Fork& one) { return one.over; }) &&
         (!workflow_->schedule || schedule_ended_) &&
         std::ranges::none_of(submissions_, [](const Submission& one) { return one.run_id.empty(); });
}

void World::stop_faults() {
  say("the faults stop");
  faults_ = false;
  still_since_ = schedule_.now();
  disk_faults_ = {};
  model_faults_ = {};
  tool_faults_ = {};
  disk_.fail_no_more();
  books_.faults_stopped(clock_->now());
  end_overtaken();
  if (!serving_) start();
  constexpr int kVisits = 14;  // A minute apart: the last comes before a world counts as still.
  for (int visit = 1; visit <= kVisits; ++visit)
    schedule_.after(owner_, kSecond * 60 * visit, [this] { answer_questions(); });
  if (!workflow_->schedule) return;
  // When all of its times have come.
  schedule_.after(owner_, std::max(kSecond, kTimesMax - schedule_.now()), [this] { end_schedule(); });
}

void World::end_schedule() {
  static constexpr Duration kAgain = kSecond * 30;
  const auto again = [this] {
    schedule_.after(owner_, kAgain, [this] {
      if (!schedule_ended_) end_schedule();
    });
  };
  if (!serving_ || !applied_) return again();
  v1::SchedulesGetRequest get;
  get.set_workflow("simulated");
  const auto now = serving_->engine->get_schedule(get);
  if (!now || now->schedule().state().waiting_us_size() > 0) {
    // What waits for the end of the run before it begins after that; nobody lets that run wait for ever.
    if (was_at_rest_) operate();
    was_at_rest_ = !books_.unfinished().empty() && std::ranges::all_of(books_.unfinished(), [this](const auto& id) {
      v1::RunsGetRequest request;
      request.set_run_id(id);
      const auto run = serving_->engine->get_run(request);
      return run && history::is_at_rest(run->run().status());
    });
    return again();
  }
  v1::SchedulesPauseRequest request;
  request.set_workflow("simulated");
  serving_->engine->pause_schedule(
      request, once<v1::SchedulesPauseResponse>(serving_->engine.get(), "a pause of the schedule",
                                                [this](const Result<v1::SchedulesPauseResponse>& paused) {
                                                  if (paused) schedule_ended_ = true;
                                                }));
  again();
}

// Until nothing is left to happen, or nothing is left to be wished. What somebody has just asked for may still begin a
// run anew.
void World::settle() {
  for (;;) {
    run_on();
    if (!content() || faults_) return;
    await_replies();
    if (content()) return;
  }
}

void World::run_on() {
  std::uint64_t written = books_.counts().events;
  while (!(content() && !faults_) && schedule_.run_next()) {
    if (std::exchange(power_failed_, false) || disk_.failed()) crash();
    if (std::exchange(overtake_now_, false)) be_overtaken();
    if (disk_.take_denied() && faults_ && schedule_.random.one_in(2)) {
      // What was acknowledged after it must be durable all the same.
      schedule_.after(owner_, schedule_.between(100, 20'000), [this] {
        if (faults_) crash();
      });
    }
    if (std::exchange(written, books_.counts().events) != books_.counts().events) still_since_ = schedule_.now();
    if (!faults_ && schedule_.now() > still_since_ + kStillMax)
      broken(Promise::kEnds, "nothing has happened to any run for a quarter of an hour, though nothing is wrong");
    if (schedule_.happened() > kHappeningsMax) broken(Promise::kEnds, "the world goes round in a circle");
  }
}

// What stands still says why.
void World::check_standing() {
  for (const std::string& id : books_.unfinished()) {
    v1::RunsGetRequest request;
    request.set_run_id(id);
    const auto run = serving_->engine->get_run(request);
    if (!run) broken(Promise::kAcknowledged, fmt::format("run {} cannot be read: {}", id, run.error().message));
    if (!history::is_at_rest(run->run().status()) || run->run().waits_for().empty())
      broken(Promise::kEnds, fmt::format("run {} stands still as {} and does not say why", id,
                                         v1::RunStatus_Name(run->run().status())));
    say(fmt::format("run {} waits for {}", id, run->run().waits_for()));
  }
}

void World::operate() {
  // A run that waits for a restart hears nobody.
  constexpr std::uint32_t kRestartsEvery = 4;
  if (resolve_doubts() + answer_questions() + resume_paused() > 0 && ++visits_ % kRestartsEvery != 0) return;
  say("the operator restarts the server");
  end_serving();
  start();
}

WorldCounts World::run() {
  start();
  schedule_.after(owner_, Duration{0}, [this] { apply(); });
  for (int visit = 0; visit < 3; ++visit) {
    schedule_.after(owner_, schedule_.between(5'000'000, 120'000'000), [this] { resolve_doubts(); });
    schedule_.after(owner_, schedule_.between(5'000'000, 120'000'000), [this] { answer_questions(); });
  }
  for (std::uint32_t pauses = schedule_.random.below(is_calm() ? 2 : 4); pauses > 0; --pauses)
    schedule_.after(owner_, schedule_.between(0, is_calm() ? 10'000'000 : 100'000'000), [this] { pause_one(); });
  looks_left_ = schedule_.random.below(is_calm() ? 2 : 3);
  for (std::uint32_t look = 0; look < looks_left_; ++look)
    schedule_.after(owner_, kSecond * (2 + schedule_.random.below(is_calm() ? 20 : 120)), [this] { look_back(4); });
  if (is_calm() && !options_.cut) {
    stop_faults();
  } else {
    schedule_.after(owner_, is_calm() ? kSecond * 600 : schedule_.between(2'000'000, 150'000'000),
                    [this] { stop_faults(); });
  }
  settle();
  // A doubt may follow from the settling of another one, and a restart from that.
  constexpr int kVisitsMax = 150;
  for (int visit = 0; visit < kVisitsMax && !content(); ++visit) {
    check_standing();
    operate();
    still_since_ = schedule_.now();
    settle();
  }
  if (!content()) {
    const auto unfinished = books_.unfinished();
    check_standing();
    broken(Promise::kEnds, unfinished.empty() ? "a submission is never answered"
                                              : fmt::format("run {} does not end, though nothing is wrong any more",
                                                            unfinished.front()));
  }
  books_.close();
  using On = workflows::Schedule;
  const auto& on = workflow_->schedule;
  const bool all_start = on && on->catch_up == On::CatchUp::kAll &&
                         (on->overlap == On::Overlap::kAllow || on->overlap == On::Overlap::kQueue);
  if (all_start && clock_->ahead == Duration(0)) books_.check_schedule(*on, applied_at_, clock_->now());
  counts_.happened = schedule_.happened();
  counts_.commits = commits_;
  counts_.runs = books_.runs().size();
  counts_.fingerprint = schedule_.fingerprint();
  counts_.books = books_.counts();
  counts_.restored = disk_.restored();
  return counts_;
}

}  // namespace weft::simulation
