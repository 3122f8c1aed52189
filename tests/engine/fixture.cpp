#include "fixture.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "runtime/model/catalog.h"

namespace weft::engine::testing {

void HeldJournal::hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void HeldJournal::release() {
  std::vector<std::pair<memory::Append, memory::OnDurable>> free;
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
    free = std::exchange(waiting_, {});
  }
  for (auto& [append, on_durable] : free) inner_->append(std::move(append), std::move(on_durable));
}

std::size_t HeldJournal::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

void HeldJournal::damage(const std::string& run) {
  const std::lock_guard lock(mutex_);
  damaged_ = run;
}

void HeldJournal::fail(Error cause, Written written) {
  const std::lock_guard lock(mutex_);
  failing_ = std::move(cause);
  written_ = written;
}

void HeldJournal::mend() {
  const std::lock_guard lock(mutex_);
  failing_.reset();
}

std::size_t HeldJournal::failed() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

std::size_t HeldJournal::appends() const {
  const std::lock_guard lock(mutex_);
  return appends_;
}

std::size_t HeldJournal::appends_alone() const {
  const std::lock_guard lock(mutex_);
  return appends_alone_;
}

void HeldJournal::append(memory::Append append, memory::OnDurable on_durable) {
  {
    const std::lock_guard lock(mutex_);
    ++appends_;
    appends_alone_ += append.alone ? 1 : 0;
    if (held_) {
      waiting_.emplace_back(std::move(append), std::move(on_durable));
      return;
    }
    const auto missing = missing_.find(append.run);
    const bool behind = missing != missing_.end() && append.first_seq > missing->second;
    if (failing_ || behind) {
      ++failed_;
      if (missing == missing_.end()) missing_[append.run] = append.first_seq;
      if (failing_ && written_ == Written::kLate)
        inner_->append(std::move(append), [](const Result<memory::Appended>&) {});
      on_durable(failing_.value_or(unavailable("an append before this one failed")));
      return;
    }
    if (missing != missing_.end()) missing_.erase(missing);
  }
  inner_->append(std::move(append), std::move(on_durable));
}

void HeldJournal::fail_schedules(std::optional<Error> cause) {
  const std::lock_guard lock(mutex_);
  failing_schedules_ = std::move(cause);
}

namespace {

// Lets a tool that the test keeps be owned by a toolbox.
class Borrowed final : public tools::Tool {
 public:
  explicit Borrowed(std::shared_ptr<tools::Tool> tool) : tool_(std::move(tool)) {}
  const tools::ToolSpec& spec() const override { return tool_->spec(); }
  bool is_instant() const override { return tool_->is_instant(); }
  tools::ToolReply run(const tools::ToolRequest& request, const tools::Cancelled& cancelled) override {
    return tool_->run(request, cancelled);
  }

 private:
  std::shared_ptr<tools::Tool> tool_;
};

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

World::World() : store_(memory::make_memory_journal()) {
  script("sim: 1\ncache: {delay: 0s}\nrules: [{reply: {echo: true}}]\n");
}

World::~World() { stop(); }

void World::script(const std::string& yaml) {
  workflows::Diagnostics diagnostics("script");
  const auto script = sim::Script::read(yaml, diagnostics);
  REQUIRE(script);
  auto provider = sim::Provider::start(script, {});
  REQUIRE(provider);
  provider_ = *std::move(provider);
}

void World::start() {
  EngineOptions options;
  options.config = config;
  if (way == Way::kUrl) options.config.model_url = provider_->base_url();
  model::Provider office;
  if (const auto* configured = config.catalog.provider("office")) office = *configured;
  office.name = "office";
  office.base_url = provider_->base_url();
  options.config.catalog.put(std::move(office));
  options.config.simulated = simulated;
  options.config.secrets = secrets;
  options.environment = [this](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  options.config.limits = limits;
  options.schedules = schedules;
  options.stuck_after = stuck_after;
  auto held = std::make_unique<HeldJournal>(store_);
  held_ = held.get();
  held_->change_snapshots(change_snapshot);
  if (prepare) std::exchange(prepare, nullptr)(*held_);
  EngineParts parts{std::move(held), std::make_unique<tools::Toolbox>(),
                    clock ? static_cast<Clock*>(clock.get()) : &system_, &entropy_};
  for (const auto& tool : tools) parts.tools->add(std::make_unique<Borrowed>(tool));
  auto engine = Engine::start(std::move(parts), std::move(options));
  if (!engine) FAIL(engine.error().message);
  engine_ = *std::move(engine);
}

void World::stop() { engine_.reset(); }

void World::apply(const std::string& yaml) {
  v1::WorkflowsApplyRequest request;
  request.mutable_bundle()->set_file("test.yaml");
  request.mutable_bundle()->set_text(yaml);
  std::promise<Result<v1::WorkflowsApplyResponse>> promise;
  engine_->apply(request, [&](Result<v1::WorkflowsApplyResponse> response) { promise.set_value(std::move(response)); });
  auto response = promise.get_future().get();
  if (!response) {
    std::string all = response.error().message;
    for (const Detail& detail : response.error().details) all += "\n" + detail.value;
    FAIL(all);
  }
}

Result<v1::RunsSubmitResponse> World::submit(v1::RunsSubmitRequest request) {
  std::promise<Result<v1::RunsSubmitResponse>> promise;
  engine_->submit(request, [&](Result<v1::RunsSubmitResponse> response) { promise.set_value(std::move(response)); });
  return promise.get_future().get();
}

std::string World::submit(const std::string& workflow, const std::string& input) {
  v1::RunsSubmitRequest request;
  request.set_workflow(workflow);
  request.set_input_json(input);
  auto response = submit(std::move(request));
  if (!response) FAIL(response.error().message);
  return response->run_id();
}

v1::Run World::get(const std::string& id) {
  v1::RunsGetRequest request;
  request.set_run_id(id);
  auto response = engine_->get_run(request);
  if (!response) FAIL(response.error().message);
  return response->run();
}

v1::Run World::rest(const std::string& id) {
  REQUIRE(eventually([&] { return history::is_at_rest(get(id).status()); }));
  return get(id);
}

Result<v1::RunsResolveResponse> World::resolve(const std::string& id, const std::string& path,
                                               v1::Resolution resolution, const std::string& output) {
  v1::RunsResolveRequest request;
  request.set_run_id(id);
  request.set_path(path);
  request.set_resolution(resolution);
  request.set_output_json(output);
  request.set_reason("asked the shop");
  std::promise<Result<v1::RunsResolveResponse>> promise;
  engine_->resolve(request, [&](Result<v1::RunsResolveResponse> response) { promise.set_value(std::move(response)); });
  return promise.get_future().get();
}

v1::Run World::wait(const std::string& id) {
  REQUIRE(eventually([&] { return get(id).ended_at_us() != 0; }));
  return get(id);
}

std::vector<v1::Event> World::events(const std::string& id) {
  auto events = engine_->events(id, 1, std::size_t{64} << 20);
  if (!events) FAIL(events.error().message);
  return *std::move(events);
}

}  // namespace weft::engine::testing
