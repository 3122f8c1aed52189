// Watch: what is stored from a sequence number on, then what happens, with progress beside it, until the run ends.
//
// The call reads events for itself, a page at a time, and writes the next message when gRPC has taken the last one: the
// client's pace, never the run's. Progress waits in a small queue and is dropped when that is full, or when its turn's
// result has been sent. A client that does not read holds one message, is cut off, and told where to go on.
//
// The store is read by the followers' thread alone; gRPC's threads write what has been read.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "runtime/server/services.h"

namespace weft::server {
namespace {

constexpr std::size_t kProgressMax = 64;
constexpr std::size_t kProgressBytesMax = std::size_t{16} << 10;
constexpr std::size_t kPageBytes = std::size_t{256} << 10;
// An event as it was read, and as gRPC holds it.
constexpr std::size_t kCopies = 2;
// A client that takes so long for one message is not read ahead for.
constexpr Duration kReadAheadMax{1'000'000};
// A client that was cut off has so long to take the reason.
constexpr Duration kFarewellMax{5'000'000};

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
  WatchCall(Shared& shared, grpc::CallbackServerContext* context) : shared_(shared), context_(context) {}

  void start(std::shared_ptr<WatchCall> self, const grpc::ByteBuffer& bytes) {
    self_ = std::move(self);
    if (Status begun = begin(bytes); !begun) fail(begun.error());
  }

  void on_advance(std::uint64_t durable_seq, std::shared_ptr<const v1::Run> ended) override {
    std::uint64_t known = durable_seq_.load();
    while (known < durable_seq && !durable_seq_.compare_exchange_weak(known, durable_seq)) {
    }
    if (ended != nullptr) ended_ = true;
    shared_.followers.wake(this);
  }

  void on_rest() override {
    rests_ = true;
    shared_.followers.wake(this);
  }

  void on_progress(const v1::Progress& progress) override {
    if (!wants_progress_) return;
    progress_.push(progress);
    shared_.followers.wake(this);
  }

  void attend(Duration now) override {
    const std::lock_guard lock(mutex_);
    if (finished_at_) {
      // The client still does not read: not even the status goes out.
      if (writing_ && now - *finished_at_ > std::min(kFarewellMax, shared_.stall_max)) context_->TryCancel();
    } else if (!writing_) {
      read_and_write();
    } else if (now - write_started_ > shared_.stall_max) {
      cut_off();
    } else if (now - write_started_ > kReadAheadMax) {
      forget_page();
    }
  }

  void close() override {
    const std::lock_guard lock(mutex_);
    if (finished_at_) return;
    // Who brought a run to its end and stops behind it still tells it.
    if (!ended_) return finish_resumable(unavailable("the server is stopping; watch again from next_seq"));
    if (!writing_) read_and_write();
  }

 private:
  Status begin(const grpc::ByteBuffer& bytes) {
    WEFT_TRY(caller_, caller_of(*context_, shared_.tokens));
    WEFT_RETURN_IF_ERROR(check_access(caller_, Access::kOwnRun, "weft.v1.Runs/Watch"));
    grpc::ByteBuffer sent(bytes);
    v1::RunsWatchRequest request;
    WEFT_RETURN_IF_ERROR(parse(sent, request));
    wants_progress_ = request.progress();
    next_seq_ = request.from_seq() == 0 ? 1 : request.from_seq();
    WEFT_RETURN_IF_ERROR(shared_.followers.add(self_, caller_.share()));
    WorkPool::Job job = [self = self_, id = request.run_id()](const Status& turn) {
      if (Status followed = turn ? self->follow(id) : turn; !followed) self->fail(followed.error());
    };
    return shared_.reads.run(caller_.share(), job);
  }

  Status follow(std::string id) {
    WEFT_RETURN_IF_ERROR(check_own_run(shared_.api, caller_, id));
    WEFT_TRY(const v1::Run found, find_run(shared_.api, id));
    {
      const std::lock_guard lock(mutex_);
      if (finished_at_) return {};
      run_id_ = found.id();
    }
    return shared_.api.watch(found.id(), weak_self());
  }

  std::shared_ptr<WatchCall> weak_self() {
    const std::lock_guard lock(mutex_);
    return self_;
  }

  void fail(const Error& error) {
    const std::lock_guard lock(mutex_);
    finish(to_grpc(error));
  }

  // The rest of the page is read again when the client goes on. REQUIRES: mutex_, a write under way.
  void forget_page() {
    page_.clear();
    hold_.shrink(kCopies * message_.ByteSizeLong());
  }

  // REQUIRES: mutex_, and no write under way.
  void read_and_write() {
    if (run_id_.empty()) return;
    const bool ended = ended_ || rests_;  // Before durable_seq_: it is all of it then.
    if (page_.empty() && next_seq_ <= durable_seq_ && !read_page()) return;
    if (write_what_is_there() || !ended) return;
    auto run = find_run(shared_.api, run_id_);
    if (!run) return finish(to_grpc(run.error()));
    *message_.mutable_ended() = *std::move(run);
    last_ = true;
    write();
  }

  // False where nothing can be written now: the call ends, or waits until there is room for its page.
  bool read_page() {
    hold_ = Hold();
    if (!shared_.held.fits(caller_.share(), kCopies * kPageBytes)) return false;  // Asked again at the next tick.
    auto page = shared_.api.events(run_id_, next_seq_, kPageBytes);
    if (page && page->empty())
      page = data_loss(fmt::format("run {}: event {} is not in the store", run_id_, next_seq_));
    if (!page) {
      finish(to_grpc(page.error()));
      return false;
    }
    std::size_t bytes = 0;
    for (const v1::Event& event : *page) bytes += event.ByteSizeLong();
    // A batch that is larger than a caller's share may go out all the same, when there is room for nearly all of it.
    auto hold = shared_.held.take(caller_.share(), std::min(kCopies * bytes, kHeldBytesOfCallerMax / 2));
    if (!hold) return false;
    hold_ = *std::move(hold);
    page_.assign(std::make_move_iterator(page->begin()), std::make_move_iterator(page->end()));
    return true;
  }

  // The next event of the page, else progress. REQUIRES: mutex_, and no write under way.
  bool write_what_is_there() {
    if (!page_.empty()) {
      *message_.mutable_event() = std::move(page_.front());
      page_.pop_front();
      next_seq_ = message_.event().seq() + 1;
      if (message_.event().has_model_call_ended() || message_.event().has_model_call_failed()) {
        progress_.drop_turn(message_.event());
      }
    } else if (next_seq_ > durable_seq_) {
      auto progress = progress_.pop();
      if (!progress) return false;
      *message_.mutable_progress() = *std::move(progress);
    } else {
      return false;
    }
    write();
    return true;
  }

  void write() {
    writing_ = true;
    write_started_ = clock_.monotonic();
    StartWrite(&message_);
  }

  void cut_off() {
    finish_resumable(resource_exhausted(fmt::format("cut off: nothing was read for {}; watch again from next_seq",
                                                    weft::to_text(shared_.stall_max)))
                         .with("limit", "watch_stall_max"));
  }

  void finish_resumable(Error error) {
    const std::string next = std::to_string(next_seq_);
    if (!finished_at_) context_->AddTrailingMetadata("next_seq", next);
    finish(to_grpc(std::move(error).with("next_seq", next)));
  }

  // REQUIRES: mutex_.
  void finish(const grpc::Status& status) {
    if (finished_at_) return;
    finished_at_ = clock_.monotonic();
    page_.clear();
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
    } else if (!write_what_is_there()) {
      shared_.followers.wake(this);
    }
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    finish(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    shared_.followers.remove(this);
    // Whoever attends to it now holds a reference of its own.
    std::shared_ptr<WatchCall> self;
    const std::lock_guard lock(mutex_);
    self = std::move(self_);
    writing_ = false;
    hold_ = Hold();
  }

  Shared& shared_;
  grpc::CallbackServerContext* const context_;
  const SystemClock clock_;
  Caller caller_;
  bool wants_progress_ = false;

  // Told by the engine.
  std::atomic<std::uint64_t> durable_seq_{0};
  std::atomic<bool> ended_{false};
  std::atomic<bool> rests_{false};
  ProgressQueue progress_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::shared_ptr<WatchCall> self_;
  std::string run_id_;             // Empty until it follows.
  std::deque<v1::Event> page_;     // Read and not yet sent.
  Hold hold_;                      // For the page, the message under way included.
  std::uint64_t next_seq_ = 1;     // The first event that is not on its way to the client.
  v1::RunsWatchResponse message_;  // gRPC's while writing_.
  bool writing_ = false;
  bool last_ = false;
  Duration write_started_{};
  std::optional<Duration> finished_at_;
};

}  // namespace

grpc::ServerWriteReactor<v1::RunsWatchResponse>* start_watch(Shared& shared, grpc::CallbackServerContext* context,
                                                             const grpc::ByteBuffer& request) {
  auto call = std::make_shared<WatchCall>(shared, context);
  call->start(call, request);
  return call.get();
}

}  // namespace weft::server
