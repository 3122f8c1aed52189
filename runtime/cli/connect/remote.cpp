// A server as a Target.
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>
#include <grpcpp/impl/codegen/rpc_method.h>

#include <charconv>
#include <mutex>

#include "runtime/cli/connect/remote_channel.h"
#include "runtime/cli/connect/target.h"
#include "runtime/server/rpc_path.h"
#include "weft/v1/runs.grpc.pb.h"
#include "weft/v1/traces.grpc.pb.h"

namespace weft::cli {
namespace {

// A call that has not been answered by then will not be.
constexpr std::chrono::seconds kAnswerMax(60);
constexpr std::chrono::hours kCareMax(6);
// One Wait; a longer one is asked again.
constexpr std::int64_t kWaitPieceMs = 30'000;

class Remote final : public Target {
 public:
  Remote(const std::string& address, const std::string& token, Patience patience)
      : address_(address),
        token_(token),
        answer_max_(patience == Patience::kCare ? kCareMax : kAnswerMax),
        channel_(channel_to(address)),
        runs_(v1::Runs::NewStub(channel_)),
        traces_(v1::Traces::NewStub(channel_)) {}

  Result<v1::RunsWaitResponse> wait(const v1::RunsWaitRequest& request) override {
    v1::RunsWaitRequest piece = request;
    std::int64_t left_ms = request.timeout_ms();
    while (true) {
      piece.set_timeout_ms(left_ms == 0 ? kWaitPieceMs : std::min(left_ms, kWaitPieceMs));
      v1::RunsWaitResponse response;
      WEFT_RETURN_IF_ERROR(send(piece, response));
      const v1::RunStatus status = response.run().status();
      if (!is_under_way(status)) return response;
      if (left_ms == 0) continue;
      left_ms -= piece.timeout_ms();
      if (left_ms <= 0) return response;
    }
  }

  Status watch(const v1::RunsWatchRequest& request, const OnMessage& on_message) override {
    v1::RunsWatchRequest rest = request;
    while (true) {
      const Status status = watch_once(rest, on_message);
      // A watch that was too slow is cut off, with the position to go on from.
      if (status || status.error().code != Code::kResourceExhausted || next_seq(status.error()) == 0) return status;
      rest.set_from_seq(next_seq(status.error()));
    }
  }

  Result<std::string> content(const std::string& run_id, const std::string& sha256) override {
    grpc::ClientContext context;
    give_token(context, token_);
    v1::TracesGetContentRequest request;
    request.set_run_id(run_id);
    request.set_sha256(sha256);
    auto reader = traces_->GetContent(&context, request);
    std::string bytes;
    for (v1::TracesGetContentResponse piece; reader->Read(&piece);) bytes += piece.bytes();
    const grpc::Status status = reader->Finish();
    if (!status.ok()) return error(status);
    return bytes;
  }

  void interrupt() override {
    const std::lock_guard lock(mutex_);
    interrupted_ = true;
    if (watching_ != nullptr) watching_->TryCancel();
  }

 private:
  Status watch_once(const v1::RunsWatchRequest& request, const OnMessage& on_message) {
    grpc::ClientContext context;
    give_token(context, token_);
    {
      const std::lock_guard lock(mutex_);
      watching_ = &context;
      if (interrupted_) context.TryCancel();
    }
    auto reader = runs_->Watch(&context, request);
    bool stopped = false;
    for (v1::RunsWatchResponse message; !stopped && reader->Read(&message);) {
      stopped = on_message(message) == Go::kStop;
    }
    if (stopped) context.TryCancel();
    const grpc::Status status = reader->Finish();
    const std::lock_guard lock(mutex_);
    watching_ = nullptr;
    if (stopped || status.ok()) return {};
    return error(status);
  }

  static std::uint64_t next_seq(const Error& error) {
    std::uint64_t seq = 0;
    for (const Detail& detail : error.details) {
      if (detail.key != "next_seq") continue;
      std::from_chars(detail.value.data(), detail.value.data() + detail.value.size(), seq);
    }
    return seq;
  }

  Status send(const google::protobuf::Message& request, google::protobuf::Message& response) override {
    using google::protobuf::MessageLite;
    grpc::ClientContext context;
    give_token(context, token_);
    context.set_deadline(std::chrono::system_clock::now() + answer_max_);
    const std::string path = server::rpc_path(*request.GetDescriptor());
    const grpc::internal::RpcMethod method(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    const grpc::Status status = grpc::internal::BlockingUnaryCall<MessageLite, MessageLite>(
        channel_.get(), method, &context, request, &response);
    if (!status.ok()) return error(status);
    return {};
  }

  Error error(const grpc::Status& status) const { return error_of(status, address_); }

  const std::string address_;
  const std::string token_;
  const std::chrono::seconds answer_max_;
  const std::shared_ptr<grpc::Channel> channel_;
  // For what is answered with a stream.
  const std::unique_ptr<v1::Runs::Stub> runs_;
  const std::unique_ptr<v1::Traces::Stub> traces_;
  std::mutex mutex_;
  grpc::ClientContext* watching_ = nullptr;  // Guarded by mutex_.
  bool interrupted_ = false;                 // Guarded by mutex_.
};

}  // namespace

std::unique_ptr<Target> connect(const std::string& address, const std::string& token, Patience patience) {
  return std::make_unique<Remote>(address, token, patience);
}

}  // namespace weft::cli
