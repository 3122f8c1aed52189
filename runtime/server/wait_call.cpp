// Wait: answers when the run has ended or needs somebody, or with the run as it is when the time is over.
#include <algorithm>
#include <atomic>
#include <mutex>

#include "runtime/server/reply.h"
#include "runtime/server/services.h"

namespace weft::server {
namespace {

// A wait without any deadline is answered then; the caller asks again.
constexpr Duration kWaitMax{std::chrono::hours(1)};
// So long before the call's deadline the answer leaves, so that it arrives.
constexpr Duration kDeadlineMargin{200'000};

Duration until(std::chrono::system_clock::time_point deadline) {
  if (deadline == std::chrono::system_clock::time_point::max()) return kWaitMax;
  return std::chrono::duration_cast<Duration>(deadline - std::chrono::system_clock::now());
}

class WaitCall final : public grpc::ServerUnaryReactor, public Follower {
 public:
  WaitCall(engine::Api& api, Followers& followers, v1::RunsWaitResponse* response)
      : api_(api), followers_(followers), response_(response) {}

  void start(std::shared_ptr<WaitCall> self, grpc::CallbackServerContext* context, const v1::RunsWaitRequest& request) {
    self_ = std::move(self);
    Duration patience = std::min(kWaitMax, until(context->deadline()) - kDeadlineMargin);
    // Compared as milliseconds, since any 64-bit number may come.
    if (request.timeout_ms() > 0 && request.timeout_ms() < patience / std::chrono::milliseconds(1)) {
      patience = std::chrono::milliseconds(request.timeout_ms());
    }
    due_ = SystemClock().monotonic() + patience;
    if (auto status = follow(request); !status) {
      const std::lock_guard lock(mutex_);
      finish(to_grpc(status.error()));
    }
  }

  void on_advance(std::uint64_t, std::shared_ptr<const v1::Run> ended) override {
    if (!ended)
      return;  // A run that has begun rests only when it has ended; reading it at each step would cost more than it.
    {
      const std::lock_guard lock(ended_mutex_);
      ended_ = std::move(ended);
    }
    advanced_ = true;
    followers_.wake(this);
  }
  void on_rest() override {
    advanced_ = true;
    followers_.wake(this);
  }
  void on_progress(const v1::Progress&) override {}

  void attend(Duration now) override {
    const std::lock_guard lock(mutex_);
    if (finished_ || (!advanced_.exchange(false) && now < due_)) return;
    v1::RunsWaitResponse answer;
    if (const auto over = ended()) {
      *answer.mutable_run() = *over;
    } else {
      v1::RunsGetRequest get;
      get.set_run_id(run_id_);
      auto run = api_.get_run(get);
      if (!run) return finish(to_grpc(run.error()));
      if (!engine::is_at_rest(run->run().status()) && now < due_) return;
      *answer.mutable_run() = std::move(*run->mutable_run());
    }
    finish(reply(Result<v1::RunsWaitResponse>(std::move(answer)), response_));
  }

  void close() override {
    attend(SystemClock().monotonic());
    const std::lock_guard lock(mutex_);
    if (!finished_) finish(to_grpc(unavailable("the server is stopping")));
  }

 private:
  Status follow(const v1::RunsWaitRequest& request) {
    if (request.timeout_ms() < 0) {
      return invalid_argument(fmt::format("timeout_ms is {}: not less than 0", request.timeout_ms()));
    }
    run_id_ = request.run_id();
    WEFT_RETURN_IF_ERROR(followers_.add(self_));
    // Mostly the id is whole; reading the run for it would cost more than all that follows.
    Status watched = api_.watch(run_id_, self_);
    if (watched || watched.error().code != Code::kNotFound) return watched;
    v1::RunsGetRequest get;
    get.set_run_id(request.run_id());
    WEFT_TRY(auto found, api_.get_run(get));
    {
      const std::lock_guard lock(mutex_);
      run_id_ = found.run().id();
    }
    return api_.watch(found.run().id(), self_);
  }

  std::shared_ptr<const v1::Run> ended() {
    const std::lock_guard lock(ended_mutex_);
    return ended_;
  }

  void finish(const grpc::Status& status) {
    finished_ = true;
    Finish(status);
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    if (!finished_) finish(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    followers_.remove(this);
    const auto self = std::move(self_);
    const std::lock_guard lock(mutex_);
  }

  engine::Api& api_;
  Followers& followers_;
  v1::RunsWaitResponse* const response_;  // gRPC's, until Finish.
  Duration due_{};
  std::shared_ptr<WaitCall> self_;
  std::atomic<bool> advanced_{false};

  // Of its own, since mutex_ is held while the store is read, and who tells must not wait.
  std::mutex ended_mutex_;
  std::shared_ptr<const v1::Run> ended_;  // Guarded by ended_mutex_.

  std::mutex mutex_;
  std::string run_id_;     // Guarded by mutex_ once it follows; as it was asked for, then whole.
  bool finished_ = false;  // Guarded by mutex_.
};

}  // namespace

grpc::ServerUnaryReactor* start_wait(engine::Api& api, Followers& followers, grpc::CallbackServerContext* context,
                                     const v1::RunsWaitRequest& request, v1::RunsWaitResponse* response) {
  auto call = std::make_shared<WaitCall>(api, followers, response);
  call->start(call, context, request);
  return call.get();
}

}  // namespace weft::server
