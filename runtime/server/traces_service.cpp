#include <algorithm>

#include "runtime/server/reply.h"
#include "runtime/server/services.h"

namespace weft::server {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// Sends one content piece by piece, at the client's pace. Owns itself until gRPC is done.
class ContentCall final : public grpc::ServerWriteReactor<v1::TracesGetContentResponse> {
 public:
  explicit ContentCall(std::shared_ptr<const std::string> bytes) : bytes_(std::move(bytes)) { send(); }
  explicit ContentCall(const Error& error) { Finish(to_grpc(error)); }

 private:
  void send() {
    if (offset_ >= bytes_->size()) {
      Finish(grpc::Status::OK);
      return;
    }
    const std::size_t count = std::min(kPieceBytes, bytes_->size() - offset_);
    piece_.set_bytes(bytes_->data() + offset_, count);
    offset_ += count;
    StartWrite(&piece_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      send();
    } else {
      Finish(grpc::Status::CANCELLED);
    }
  }
  void OnDone() override { delete this; }

  std::shared_ptr<const std::string> bytes_;
  std::size_t offset_ = 0;
  v1::TracesGetContentResponse piece_;
};

Result<std::shared_ptr<const std::string>> find_content(const engine::Api& api,
                                                        const v1::TracesGetContentRequest& request) {
  if (request.sha256().size() != 32) {
    return invalid_argument(fmt::format("a content's name is its SHA-256: 32 bytes, not {}", request.sha256().size()));
  }
  if (!request.run_id().empty()) {
    v1::RunsGetRequest run;
    run.set_run_id(request.run_id());
    WEFT_TRY(const auto found, api.get_run(run));
  }
  return api.content(request.sha256());
}

}  // namespace

grpc::ServerUnaryReactor* TracesService::Get(grpc::CallbackServerContext* context, const v1::TracesGetRequest* request,
                                             v1::TracesGetResponse* response) {
  return answered(context, api_.get_trace(*request), response);
}

grpc::ServerUnaryReactor* TracesService::Replay(grpc::CallbackServerContext* context,
                                                const v1::TracesReplayRequest* request,
                                                v1::TracesReplayResponse* response) {
  return answered(context, api_.replay(*request), response);
}

grpc::ServerWriteReactor<v1::TracesGetContentResponse>* TracesService::GetContent(
    grpc::CallbackServerContext*, const v1::TracesGetContentRequest* request) {
  auto bytes = find_content(api_, *request);
  if (!bytes) return new ContentCall(bytes.error());
  return new ContentCall(*std::move(bytes));
}

}  // namespace weft::server
