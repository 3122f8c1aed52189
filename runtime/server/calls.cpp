#include "runtime/server/calls.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/impl/codegen/proto_buffer_reader.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>

#include "runtime/server/server.h"
#include "runtime/server/status.h"

namespace weft::server {
namespace {

// Reads block on the store, so more of them than processors; a caller leaves one thread to others.
const PoolLimits kReads{"reads_waiting_max", 4, 3, 1'024, 768};
const PoolLimits kWork{"work_waiting_max", 4, 3, 64, 48};

// What Protocol Buffers said while this thread parsed; null: it does not parse.
thread_local std::string* parse_fault = nullptr;

void on_protobuf_log(google::protobuf::LogLevel level, const char* file, int line, const std::string& message) {
  if (parse_fault != nullptr) {
    *parse_fault = message;
  } else if (level >= google::protobuf::LOGLEVEL_ERROR) {
    spdlog::warn("{}:{}: {}", file, line, message);
  }
}

// "String field 'weft.v1.RunsGetRequest.run_id' contains invalid UTF-8 data …"
std::string field_of(const std::string& fault) {
  const std::size_t begin = fault.find('\'');
  const std::size_t end = begin == std::string::npos ? begin : fault.find('\'', begin + 1);
  return end == std::string::npos ? std::string() : fault.substr(begin + 1, end - begin - 1);
}

}  // namespace

Shared::Shared(engine::Api& api_in, Tokens& tokens_in, Duration stall_max_in)
    : api(api_in), tokens(tokens_in), stall_max(stall_max_in), outbox(held, stall_max_in), reads(kReads), work(kWork) {}

void Shared::close() {
  reads.close();
  work.close();
}

Status check_access(const Caller& caller, Access access, std::string_view method) {
  if (caller.way == Caller::Way::kSocket) return {};
  if (access == Access::kSocket) {
    return permission_denied(
        fmt::format("{} is answered on the socket beside the store alone, whatever token comes with it", method));
  }
  if (access != Access::kAll || caller.scope.reach == Scope::Reach::kAll) return {};
  return permission_denied(fmt::format("the token {} has the scope {}, which does not reach {}", caller.name,
                                       to_text(caller.scope), method));
}

Status check_submit(const engine::Api& api, const Caller& caller, const v1::RunsSubmitRequest& request) {
  if (caller.way == Caller::Way::kSocket || caller.scope.reach == Scope::Reach::kAll) return {};
  std::string workflow = request.workflow();
  if (!request.workflow_hash().empty()) {
    v1::WorkflowsGetRequest get;
    get.set_hash(request.workflow_hash());
    WEFT_TRY(const auto found, api.get_workflow(get));
    workflow = found.workflow().name();
  }
  if (caller.scope.may_submit(workflow)) return {};
  return permission_denied(fmt::format("the token {} has the scope {}, which does not reach the workflow {}",
                                       caller.name, to_text(caller.scope), workflow));
}

bool is_own(const Caller& caller, const v1::Run& run) {
  if (caller.way == Caller::Way::kSocket || caller.scope.reach == Scope::Reach::kAll) return true;
  return run.by_token() && run.by() == caller.name;
}

Result<v1::Run> find_run(const engine::Api& api, const std::string& key) {
  v1::RunsGetRequest get;
  get.set_run_id(key);
  WEFT_TRY(v1::RunsGetResponse found, api.get_run(get));
  return std::move(*found.mutable_run());
}

Status check_own_run(const engine::Api& api, const Caller& caller, std::string& run_id) {
  if (caller.way == Caller::Way::kSocket || caller.scope.reach == Scope::Reach::kAll) return {};
  const auto found = find_run(api, run_id);
  if (found && is_own(caller, *found)) {
    run_id = found->id();
    return {};
  }
  if (!found && found.error().code != Code::kNotFound && found.error().code != Code::kInvalidArgument)
    return found.error();
  return not_found(fmt::format("there is no run '{}' that the token {} started", run_id, caller.name));
}

void capture_parse_faults() {
  static std::once_flag once;
  std::call_once(once, [] { google::protobuf::SetLogHandler(on_protobuf_log); });
}

Status parse(grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message) {
  std::string fault;
  parse_fault = &fault;
  bool parsed = false;
  {
    grpc::ProtoBufferReader reader(&bytes);
    parsed = reader.status().ok() && message.ParseFromZeroCopyStream(&reader);
  }
  parse_fault = nullptr;
  if (parsed) return {};
  const std::string field = field_of(fault);
  if (!field.empty()) return invalid_argument(fmt::format("the field {} is not UTF-8", field)).with("field", field);
  return invalid_argument(fmt::format("the request is no {}", message.GetTypeName()));
}

Status UnaryCall::admit(Access access, std::string_view method, std::size_t request_bytes) {
  WEFT_TRY(caller_, caller_of(*context_, shared_.tokens));
  WEFT_RETURN_IF_ERROR(check_access(caller_, access, method));
  WEFT_TRY(request_hold_, shared_.held.take(caller_.share(), kRequestCopies * request_bytes));
  return {};
}

std::string UnaryCall::header(const char* name) const {
  const auto found = context_->client_metadata().find(name);
  if (found == context_->client_metadata().end()) return {};
  return {found->second.data(), found->second.size()};
}

Duration UnaryCall::until_deadline() const {
  constexpr Duration kNone{std::chrono::hours(24)};
  const auto deadline = context_->deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return kNone;
  return std::min(kNone, std::chrono::duration_cast<Duration>(deadline - std::chrono::system_clock::now()));
}

void UnaryCall::refuse(const Error& error) {
  request_hold_.shrink(0);
  Finish(to_grpc(error));
}

void UnaryCall::answer(const google::protobuf::MessageLite& message) {
  request_hold_.shrink(0);
  const std::size_t bytes = message.ByteSizeLong();
  if (bytes > kMessageBytesMax) {
    return refuse(resource_exhausted(fmt::format("the answer has {} bytes; a message holds at most {} (64 MiB)", bytes,
                                                 kMessageBytesMax))
                      .with("limit", "message_bytes_max"));
  }
  auto hold = shared_.held.take(caller_.share(), bytes);
  if (!hold) return refuse(hold.error());
  answer_hold_ = *std::move(hold);
  const grpc::Slice slice(bytes);
  message.SerializeWithCachedSizesToArray(const_cast<std::uint8_t*>(slice.begin()));
  *response_ = grpc::ByteBuffer(&slice, 1);
  if (bytes >= kCountedBytesMin) {
    in_outbox_ = true;
    shared_.outbox.add(context_);
  }
  Finish(grpc::Status::OK);
}

void UnaryCall::OnDone() {
  if (in_outbox_) shared_.outbox.remove(context_);
  delete this;
}

}  // namespace weft::server
