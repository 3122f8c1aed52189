// GetContent: a content of a run, piece by piece. A piece is read when the one before it has been taken, so a client
// that does not read makes the server hold one piece, and is cut off.
#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "runtime/server/services.h"

namespace weft::server {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{256} << 10;
// One piece as it was read, and as gRPC holds it.
constexpr std::size_t kHeldForStream = 2 * kPieceBytes;
// A client that was cut off has so long to take the reason.
constexpr Duration kFarewellMax{5'000'000};

class ContentCall final : public grpc::ServerWriteReactor<v1::TracesGetContentResponse>, public Follower {
 public:
  ContentCall(Shared& shared, grpc::CallbackServerContext* context) : shared_(shared), context_(context) {}

  void start(std::shared_ptr<ContentCall> self, const grpc::ByteBuffer& bytes) {
    self_ = std::move(self);
    if (Status begun = begin(bytes); !begun) {
      const std::lock_guard lock(mutex_);
      finish(to_grpc(begun.error()));
    }
  }

  void on_advance(std::uint64_t, std::shared_ptr<const v1::Run>) override {}
  void on_rest() override {}
  void on_progress(const v1::Progress&) override {}

  void attend(Duration now) override {
    const std::lock_guard lock(mutex_);
    if (finished_at_) {
      if (writing_ && now - *finished_at_ > std::min(kFarewellMax, shared_.stall_max)) context_->TryCancel();
    } else if (writing_ && now - write_started_ > shared_.stall_max) {
      finish(
          to_grpc(resource_exhausted(fmt::format("cut off: nothing was read for {}", weft::to_text(shared_.stall_max)))
                      .with("limit", "watch_stall_max")));
    }
  }

  void close() override {
    const std::lock_guard lock(mutex_);
    finish(to_grpc(unavailable("the server is stopping")));
  }

 private:
  Status begin(const grpc::ByteBuffer& bytes) {
    WEFT_TRY(caller_, caller_of(*context_, shared_.tokens));
    WEFT_RETURN_IF_ERROR(check_access(caller_, Access::kOwnRun, "weft.v1.Traces/GetContent"));
    grpc::ByteBuffer request(bytes);
    WEFT_RETURN_IF_ERROR(parse(request, request_));
    WEFT_TRY(hold_, shared_.held.take(caller_.share(), kHeldForStream));
    WEFT_RETURN_IF_ERROR(shared_.followers.add(self_, caller_.share()));
    return read_later(self_);
  }

  // On a thread of the pool, since it reads the store.
  Status read_later(const std::shared_ptr<ContentCall>& self) {
    WorkPool::Job job = [self](const Status& turn) {
      if (turn) return self->read();
      const std::lock_guard lock(self->mutex_);
      self->finish(to_grpc(turn.error()));
    };
    return shared_.reads.run(caller_.share(), job);
  }

  void read() {
    const std::lock_guard lock(mutex_);
    if (finished_at_) return;
    if (offset_ == 0) {
      Status own = check_own_run(shared_.api, caller_, *request_.mutable_run_id());
      if (!own) return finish(to_grpc(own.error()));
    }
    auto piece = shared_.api.content_piece(request_.run_id(), request_.sha256(), offset_, kPieceBytes);
    if (!piece) return finish(to_grpc(piece.error()));
    if (piece->bytes.empty()) return finish(grpc::Status::OK);
    offset_ += piece->bytes.size();
    size_ = piece->size;
    message_.set_bytes(std::move(piece->bytes));
    writing_ = true;
    write_started_ = SystemClock().monotonic();
    StartWrite(&message_);
  }

  // REQUIRES: mutex_.
  void finish(const grpc::Status& status) {
    if (finished_at_) return;
    finished_at_ = SystemClock().monotonic();
    Finish(status);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (finished_at_) return;
    if (!ok) return finish(grpc::Status::CANCELLED);
    if (offset_ >= size_) return finish(grpc::Status::OK);
    if (Status queued = read_later(self_); !queued) finish(to_grpc(queued.error()));
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    finish(grpc::Status::CANCELLED);
  }

  void OnDone() override {
    shared_.followers.remove(this);
    // Whoever attends to it now holds a reference of its own.
    const auto self = std::move(self_);
    const std::lock_guard lock(mutex_);
    writing_ = false;
    hold_.shrink(0);
  }

  Shared& shared_;
  grpc::CallbackServerContext* const context_;
  std::shared_ptr<ContentCall> self_;
  Caller caller_;
  Hold hold_;

  // Guarded by mutex_.
  std::mutex mutex_;
  v1::TracesGetContentRequest request_;
  std::uint64_t offset_ = 0;              // Of what has been read.
  std::uint64_t size_ = 0;                // Of the content, once something has been read.
  v1::TracesGetContentResponse message_;  // gRPC's while writing_.
  bool writing_ = false;
  Duration write_started_{};
  std::optional<Duration> finished_at_;
};

}  // namespace

grpc::ServerWriteReactor<v1::TracesGetContentResponse>* start_content(Shared& shared,
                                                                      grpc::CallbackServerContext* context,
                                                                      const grpc::ByteBuffer& request) {
  auto call = std::make_shared<ContentCall>(shared, context);
  call->start(call, request);
  return call.get();
}

}  // namespace weft::server
