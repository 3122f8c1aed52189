// Wait: answers when the run has ended or needs somebody, or with the run as it is when the time is over.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "runtime/server/services.h"

namespace weft::server {
namespace {

// A wait without any deadline is answered then; the caller asks again.
constexpr Duration kWaitMax{std::chrono::hours(1)};
// So long before the call's deadline the answer leaves, so that it arrives.
constexpr Duration kDeadlineMargin{200'000};

class WaitCall final : public Follower {
 public:
  WaitCall(Shared& shared, UnaryCall& call, engine::Reply<v1::RunsWaitResponse> done)
      : shared_(shared), call_(call), done_(std::move(done)) {}

  void start(const std::shared_ptr<WaitCall>& self, const v1::RunsWaitRequest& request) {
    self_ = self;
    Duration patience = std::min(kWaitMax, call_.until_deadline() - kDeadlineMargin);
    // Compared as milliseconds, since any 64-bit number may come.
    if (request.timeout_ms() > 0 && request.timeout_ms() < patience / std::chrono::milliseconds(1)) {
      patience = std::chrono::milliseconds(request.timeout_ms());
    }
    due_ = SystemClock().monotonic() + patience;
    if (auto status = follow(self, request); !status) {
      const std::lock_guard lock(mutex_);
      finish(status.error());
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
    shared_.followers.wake(this);
  }
  void on_rest() override {
    advanced_ = true;
    shared_.followers.wake(this);
  }
  void on_progress(const v1::Progress&) override {}

  void attend(Duration now) override {
    const std::lock_guard lock(mutex_);
    if (finished_) return;
    if (call_.is_over()) return finish(Error{Code::kCancelled, "the call ended before its run", {}});
    if (!advanced_.exchange(false) && now < due_) return;
    v1::RunsWaitResponse answer;
    if (const auto over = ended()) {
      *answer.mutable_run() = *over;
    } else {
      auto run = find_run(shared_.api, run_id_);
      if (!run) return finish(run.error());
      if (!history::is_at_rest(run->status()) && now < due_) return;
      *answer.mutable_run() = *std::move(run);
    }
    finish(std::move(answer));
  }

  void close() override {
    attend(SystemClock().monotonic());
    const std::lock_guard lock(mutex_);
    if (!finished_) finish(unavailable("the server is stopping"));
  }

 private:
  Status follow(const std::shared_ptr<WaitCall>& self, const v1::RunsWaitRequest& request) {
    if (request.timeout_ms() < 0) {
      return invalid_argument(fmt::format("timeout_ms is {}: not less than 0", request.timeout_ms()));
    }
    {
      const std::lock_guard lock(mutex_);
      run_id_ = request.run_id();
    }
    WEFT_RETURN_IF_ERROR(shared_.followers.add(self, call_.caller().share()));
    // Mostly the id is whole; reading the run for it would cost more than all that follows.
    Status watched = shared_.api.watch(request.run_id(), self);
    if (watched || watched.error().code != Code::kNotFound) return watched;
    WEFT_TRY(const v1::Run found, find_run(shared_.api, request.run_id()));
    {
      const std::lock_guard lock(mutex_);
      run_id_ = found.id();
    }
    return shared_.api.watch(found.id(), self);
  }

  std::shared_ptr<const v1::Run> ended() {
    const std::lock_guard lock(ended_mutex_);
    return ended_;
  }

  // REQUIRES: mutex_. The call is gone afterwards; whoever attends holds a reference of its own.
  void finish(Result<v1::RunsWaitResponse> answer) {
    if (finished_) return;
    finished_ = true;
    shared_.followers.remove(this);
    done_(std::move(answer));
    self_.reset();
  }

  Shared& shared_;
  UnaryCall& call_;  // Until `done_` is called.
  engine::Reply<v1::RunsWaitResponse> done_;
  Duration due_{};
  std::shared_ptr<WaitCall> self_;
  std::atomic<bool> advanced_{false};

  // Of its own, since mutex_ is held while the store is read, and who tells must not wait.
  std::mutex ended_mutex_;
  std::shared_ptr<const v1::Run> ended_;  // Guarded by ended_mutex_.

  std::mutex mutex_;
  std::string run_id_;     // Guarded by mutex_; as it was asked for, then whole.
  bool finished_ = false;  // Guarded by mutex_.
};

}  // namespace

void start_wait(Shared& shared, const v1::RunsWaitRequest& request, UnaryCall& call,
                engine::Reply<v1::RunsWaitResponse> done) {
  const auto wait = std::make_shared<WaitCall>(shared, call, std::move(done));
  wait->start(wait, request);
}

}  // namespace weft::server
