// Watch: what is stored from a sequence number on, then what happens, with progress beside it, until the run ends.
//
// The call reads events for itself, a page at a time, and writes the next message when gRPC has taken the last one: the
// client's pace, never the run's. Progress waits in a small queue and is dropped when that is full, or when its turn's
// result has been sent. A client that does not read is cut off, and told where to go on.
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/server/reply.h"
#include "runtime/server/services.h"

namespace weft::server {
namespace {

constexpr std::size_t kProgressMax = 64;
constexpr std::size_t kProgressBytesMax = std::size_t{64} << 10;

bool same_turn(const v1::Progress& a, const v1::Progress& b) {
  return a.path() == b.path() && a.attempt() == b.attempt() && a.turn() == b.turn();
}

// Text that waits to be sent. Thread-safe.
class ProgressQueue {
 public:
  // Drops it where there is no room: it may be lost.
  void push(const v1::Progress& progress) {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = progress.text().size() + progress.reasoning().size();
    if (bytes_ + bytes > kProgressBytesMax) return;
    if (!items_.empty() && same_turn(items_.back(), progress)) {
      items_.back().mutable_text()->append(progress.text());
      items_.back().mutable_reasoning()->append(progress.reasoning());
    } else {
      if (items_.size() >= kProgressMax) return;
      items_.push_back(progress);
    }
    bytes_ += bytes;
  }
  std::optional<v1::Progress> pop() {
    const std::lock_guard lock(mutex_);
    if (items_.empty()) return std::nullopt;
    v1::Progress first = std::move(items_.front());
    items_.pop_front();
    bytes_ -= first.text().size() + first.reasoning().size();
    return first;
  }
  // The turn's result is there: what it said on the way is of no use any more.
  void drop_turn(const v1::Event& ended) {
    const std::lock_guard lock(mutex_);
    std::erase_if(items_, [&](const v1::Progress& item) {
      const bool gone = item.path() == ended.path() && item.attempt() == ended.attempt() && item.turn() == ended.turn();
      if (gone) bytes_ -= item.text().size() + item.reasoning().size();
      return gone;
    });
  }

 private:
  std::mutex mutex_;
  std::deque<v1::Progress> items_;
  std::size_t bytes_ = 0;
};

class WatchCall final : public grpc::ServerWriteReactor<v1::RunsWatchResponse>, public Follower {
 public:
  WatchCall(engine::Api& api, Followers& followers, Duration stall_max, grpc::CallbackServerContext* context)
      : api_(api), followers_(followers), stall_max_(stall_max), context_(context) {}

  void start(std::shared_ptr<WatchCall> self, const v1::RunsWatchRequest& request) {
    self_ = std::move(self);
    wants_progress_ = request.progress();
    next_seq_ = request.from_seq() == 0 ? 1 : request.from_seq();
    if (auto status = follow(request); !status) {
      const std::lock_guard lock(mutex_);
      finish(to_grpc(status.error()));
    }
  }

  void on_advance(std::uint64_t durable_seq, std::shared_ptr<const v1::Run> ended) override {
    std::uint64_t known = durable_seq_.load();
    while (known < durable_seq && !durable_seq_.compare_exchange_weak(known, durable_seq)) {
    }
    if (ended != nullptr) ended_ = true;
    followers_.wake(this);
  }

  void on_rest() override {
    rests_ = true;
    followers_.wake(this);
  }

  void on_progress(const v1::Progress& progress) override {
    if (!wants_progress_) return;
    progress_.push(progress);
    followers_.wake(this);
  }

  void attend(Duration now) override {
    const std::lock_guard lock(mutex_);
    if (finished_at_) {
      // The client still does not read: not even the status goes out.
      if (writing_ && now - *finished_at_ > stall_max_) context_->TryCancel();
    } else if (!writing_) {
      write_next();
    } else if (now - write_started_ > stall_max_) {
      cut_off();
    }
  }

  void close() override {
    const std::lock_guard lock(mutex_);
    if (finished_at_) return;
    // Who brought a run to its end and stops behind it still tells it.
    if (!ended_) return finish_resumable(unavailable("the server is stopping; watch again from next_seq"));
    if (!writing_) write_next();
  }

 private:
  Status follow(const v1::RunsWatchRequest& request) {
    v1::RunsGetRequest get;
    get.set_run_id(request.run_id());
    WEFT_TRY(auto found, api_.get_run(get));
    run_id_ = found.run().id();
    WEFT_RETURN_IF_ERROR(followers_.add(self_));
    return api_.watch(run_id_, self_);
  }

  // REQUIRES: the lock, and no write under way.
  void write_next() {
    const bool ended = ended_ || rests_;  // Before durable_seq_: it is all of it then.
    if (page_.empty() && next_seq_ <= durable_seq_) {
      auto page = api_.events(run_id_, next_seq_, engine::kTracePageBytes);
      if (!page) return finish(to_grpc(page.error()));
      if (page->empty()) {
        return finish(to_grpc(data_loss(fmt::format("run {}: event {} is not in the store", run_id_, next_seq_))));
      }
      page_.assign(std::make_move_iterator(page->begin()), std::make_move_iterator(page->end()));
    }
    if (!page_.empty()) {
      *message_.mutable_event() = std::move(page_.front());
      page_.pop_front();
      next_seq_ = message_.event().seq() + 1;
      if (message_.event().has_model_call_ended() || message_.event().has_model_call_failed()) {
        progress_.drop_turn(message_.event());
      }
      return write();
    }
    if (auto progress = progress_.pop()) {
      *message_.mutable_progress() = *std::move(progress);
      return write();
    }
    if (!ended) return;
    v1::RunsGetRequest get;
    get.set_run_id(run_id_);
    auto run = api_.get_run(get);
    if (!run) return finish(to_grpc(run.error()));
    *message_.mutable_ended() = std::move(*run->mutable_run());
    last_ = true;
    write();
  }

  void write() {
    writing_ = true;
    write_started_ = clock_.monotonic();
    StartWrite(&message_);
  }

  void cut_off() {
    finish_resumable(resource_exhausted(fmt::format("cut off: nothing was read for {}; watch again from next_seq",
                                                    to_text(stall_max_)))
                         .with("limit", "watch_stall_max"));
  }

  void finish_resumable(Error error) {
    const std::string next = std::to_string(next_seq_);
    context_->AddTrailingMetadata("next_seq", next);
    finish(to_grpc(std::move(error).with("next_seq", next)));
  }

  void finish(const grpc::Status& status) {
    finished_at_ = clock_.monotonic();
    Finish(status);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (finished_at_) return;
    if (!ok) {
      finish(grpc::Status::CANCELLED);
    } else if (last_) {
      finish(grpc::Status::OK);
    } else {
      write_next();
    }
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    if (!finished_at_) finish(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    followers_.remove(this);
    // Whoever attends to it now holds a reference of its own.
    const auto self = std::move(self_);
    const std::lock_guard lock(mutex_);
    writing_ = false;
  }

  engine::Api& api_;
  Followers& followers_;
  const Duration stall_max_;
  grpc::CallbackServerContext* const context_;
  const SystemClock clock_;
  std::string run_id_;
  bool wants_progress_ = false;
  std::shared_ptr<WatchCall> self_;

  // Told by the engine.
  std::atomic<std::uint64_t> durable_seq_{0};
  std::atomic<bool> ended_{false};
  std::atomic<bool> rests_{false};
  ProgressQueue progress_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::deque<v1::Event> page_;     // Read and not yet sent.
  std::uint64_t next_seq_ = 1;     // The first event that is not on its way to the client.
  v1::RunsWatchResponse message_;  // gRPC's while writing_.
  bool writing_ = false;
  bool last_ = false;
  Duration write_started_{};
  std::optional<Duration> finished_at_;
};

}  // namespace

grpc::ServerWriteReactor<v1::RunsWatchResponse>* start_watch(engine::Api& api, Followers& followers, Duration stall_max,
                                                             grpc::CallbackServerContext* context,
                                                             const v1::RunsWatchRequest& request) {
  auto call = std::make_shared<WatchCall>(api, followers, stall_max, context);
  call->start(call, request);
  return call.get();
}

}  // namespace weft::server
