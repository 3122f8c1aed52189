#include "tests/server/fake_api.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

namespace weft::server {

void FakeApi::add_run(const std::string& id) {
  const std::lock_guard lock(mutex_);
  runs_[id].run.set_id(id);
  runs_[id].run.set_status(v1::RUN_STATUS_RUNNING);
}

void FakeApi::append(const std::string& id, std::size_t bytes) {
  v1::Event event;
  event.mutable_step_ended()->mutable_result()->mutable_output_json()->set_inline_(std::string(bytes, 'x'));
  append(id, std::move(event));
}

void FakeApi::append(const std::string& id, v1::Event event) {
  {
    const std::lock_guard lock(mutex_);
    auto& run = runs_.at(id);
    event.set_seq(run.events.size() + 1);
    run.run.set_last_seq(event.seq());
    run.events.push_back(std::move(event));
  }
  tell(id);
}

void FakeApi::end(const std::string& id, v1::RunStatus status) {
  v1::Event event;
  event.mutable_run_ended()->set_status(status);
  {
    const std::lock_guard lock(mutex_);
    runs_.at(id).run.set_status(status);
  }
  append(id, std::move(event));
}

void FakeApi::set_status(const std::string& id, v1::RunStatus status) {
  {
    const std::lock_guard lock(mutex_);
    runs_.at(id).run.set_status(status);
  }
  tell(id);
}

void FakeApi::progress(const std::string& id, const v1::Progress& progress) {
  std::vector<std::weak_ptr<engine::Watcher>> watchers;
  {
    const std::lock_guard lock(mutex_);
    watchers = runs_.at(id).watchers;
  }
  for (const auto& weak : watchers) {
    if (const auto watcher = weak.lock()) watcher->on_progress(progress);
  }
}

std::string FakeApi::add_content(const std::string& run, std::string bytes) {
  const std::lock_guard lock(mutex_);
  const Digest digest = sha256(bytes);
  content_runs_[std::string(view(digest))] = run;
  contents_[std::string(view(digest))] = std::make_shared<const std::string>(std::move(bytes));
  return std::string(view(digest));
}

std::size_t FakeApi::watchers(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(runs_.at(id).watchers, [](const auto& weak) { return !weak.expired(); }));
}

void FakeApi::wait_for_watchers(const std::string& id, std::size_t count) {
  const auto living = [&] { return watchers(id); };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (living() != count && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  REQUIRE(living() == count);
}

v1::RunsSubmitRequest FakeApi::last_submission() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

void FakeApi::tell(const std::string& id) {
  std::vector<std::weak_ptr<engine::Watcher>> watchers;
  std::uint64_t seq = 0;
  bool rests = false;
  std::shared_ptr<const v1::Run> ended;
  {
    const std::lock_guard lock(mutex_);
    const auto& run = runs_.at(id);
    watchers = run.watchers;
    seq = run.events.size();
    if (run.run.status() >= v1::RUN_STATUS_SUCCEEDED) ended = std::make_shared<v1::Run>(run.run);
    rests = !ended && history::is_at_rest(run.run.status());
  }
  for (const auto& weak : watchers) {
    const auto watcher = weak.lock();
    if (watcher) watcher->on_advance(seq, ended);
    if (watcher && rests) watcher->on_rest();
  }
}

v1::RunsAnswerRequest FakeApi::last_answer() const {
  const std::lock_guard lock(mutex_);
  return last_answer_;
}

// A version's hash is its name and "-1".
Result<v1::WorkflowsGetResponse> FakeApi::get_workflow(const v1::WorkflowsGetRequest& request) const {
  if (request.hash().ends_with("-1")) {
    v1::WorkflowsGetResponse response;
    response.mutable_workflow()->set_name(request.hash().substr(0, request.hash().size() - 2));
    return response;
  }
  return not_found("there is no workflow \"" + request.name() + "\"");
}

Result<v1::WorkflowsListResponse> FakeApi::list_workflows(const v1::WorkflowsListRequest&) const {
  v1::WorkflowsListResponse response;
  response.add_workflows()->set_name("hello");
  return response;
}

Result<v1::RunsGetResponse> FakeApi::get_run(const v1::RunsGetRequest& request) const {
  ++reads_;
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find(request.run_id());
  if (found == runs_.end()) return not_found("there is no run \"" + request.run_id() + "\"");
  v1::RunsGetResponse response;
  *response.mutable_run() = found->second.run;
  return response;
}

Result<v1::RunsListResponse> FakeApi::list_runs(const v1::RunsListRequest&) const {
  const std::lock_guard lock(mutex_);
  v1::RunsListResponse response;
  for (const auto& [id, run] : runs_) *response.add_runs() = run.run;
  return response;
}

Result<v1::TracesGetResponse> FakeApi::get_trace(const v1::TracesGetRequest& request) const {
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find(request.run_id());
  if (found == runs_.end()) return not_found("there is no run \"" + request.run_id() + "\"");
  v1::TracesGetResponse response;
  *response.mutable_run() = found->second.run;
  for (const auto& event : found->second.events) *response.add_events() = event;
  return response;
}

Result<std::vector<v1::Event>> FakeApi::events(std::string_view run_id, std::uint64_t from_seq,
                                               std::size_t bytes_max) const {
  const std::lock_guard lock(mutex_);
  std::vector<v1::Event> page;
  std::size_t bytes = 0;
  for (const auto& event : runs_.find(run_id)->second.events) {
    if (event.seq() < from_seq) continue;
    page.push_back(event);
    bytes += event.ByteSizeLong();
    if (bytes >= bytes_max) break;
  }
  return page;
}

Result<std::shared_ptr<const std::string>> FakeApi::content(std::string_view sha256) const {
  const std::lock_guard lock(mutex_);
  const auto found = contents_.find(sha256);
  if (found == contents_.end()) return not_found("there is no such content");
  return found->second;
}

Result<memory::BlobPiece> FakeApi::content_piece(std::string_view run_id, std::string_view sha256, std::uint64_t offset,
                                                 std::size_t bytes_max) const {
  if (run_id.empty()) return invalid_argument("a content belongs to a run");
  const std::lock_guard lock(mutex_);
  const auto found = contents_.find(sha256);
  if (found == contents_.end() || content_runs_.find(sha256)->second != run_id)
    return not_found("the run has no such content");
  return memory::BlobPiece{offset < found->second->size() ? found->second->substr(offset, bytes_max) : "",
                           found->second->size()};
}

void FakeApi::be_long() const {
  ++long_calls_;
  ++long_begun_;
  while (long_held_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  --long_calls_;
}

Result<v1::WorkflowsCheckResponse> FakeApi::check(const v1::WorkflowsCheckRequest& request) const {
  be_long();
  v1::WorkflowsCheckResponse response;
  auto* diagnostic = response.add_diagnostics();
  diagnostic->set_file(request.bundle().file());
  diagnostic->set_line(3);
  return response;
}

void FakeApi::apply(const v1::WorkflowsApplyRequest&, engine::Reply<v1::WorkflowsApplyResponse> done) {
  be_long();
  done(invalid_argument("flow.yaml has 1 error").with("flow.yaml:3:7", "unknown key \"stpes\""));
}

void FakeApi::answer(const v1::RunsAnswerRequest& request, engine::Reply<v1::RunsAnswerResponse> done) {
  const std::lock_guard lock(mutex_);
  last_answer_ = request;
  done(v1::RunsAnswerResponse());
}

void FakeApi::submit(const v1::RunsSubmitRequest& request, engine::Reply<v1::RunsSubmitResponse> done) {
  {
    const std::lock_guard lock(mutex_);
    last_ = request;
    if (request.by_token()) {
      auto& run = runs_["run-1"].run;
      run.set_id("run-1");
      run.set_status(v1::RUN_STATUS_RUNNING);
      run.set_by(request.by());
      run.set_by_token(true);
    }
  }
  if (request.workflow() == "let-go") return;
  // As an engine answers: on a thread of its own.
  std::thread([done = std::move(done)]() mutable {
    v1::RunsSubmitResponse response;
    response.set_run_id("run-1");
    done(std::move(response));
  }).join();
}

void FakeApi::cancel(const v1::RunsCancelRequest& request, engine::Reply<v1::RunsCancelResponse> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!runs_.contains(request.run_id())) return done(not_found("there is no such run"));
  }
  end(request.run_id(), v1::RUN_STATUS_CANCELLED);
  v1::RunsCancelResponse response;
  response.mutable_run()->set_id(request.run_id());
  response.mutable_run()->set_status(v1::RUN_STATUS_CANCELLED);
  done(std::move(response));
}

void FakeApi::resolve(const v1::RunsResolveRequest& request, engine::Reply<v1::RunsResolveResponse> done) {
  done(failed_precondition("nothing is in doubt at \"" + request.path() + "\""));
}

Status FakeApi::watch(std::string_view run_id, std::weak_ptr<engine::Watcher> watcher) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = runs_.find(run_id);
    if (found == runs_.end()) return not_found("there is no such run");
    found->second.watchers.push_back(std::move(watcher));
  }
  tell(std::string(run_id));
  return {};
}

}  // namespace weft::server
