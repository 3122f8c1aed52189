// What every call goes through: who calls, what the caller's scope reaches, what the server may hold for it, and which
// thread does the work. A service is a table of its methods (methods.h); nothing of this is said twice.
#pragma once

#include <google/protobuf/message_lite.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "runtime/engine/api.h"
#include "runtime/server/caller.h"
#include "runtime/server/followers.h"
#include "runtime/server/held_bytes.h"
#include "runtime/server/outbox.h"
#include "runtime/server/work_pool.h"

namespace weft::server {

// Who may make a call.
enum class Access : std::uint8_t {
  kSocket,  // The owner of the socket alone.
  kAll,     // The socket, and tokens of scope `all`.
  kSubmit,  // These, and `submit` for its workflows.
  kOwnRun,  // These, and `submit` for a run that it started.
  kList,    // These; `submit` sees the runs that it started.
};

// Where the work of a call is done.
enum class Lane : std::uint8_t {
  kAtOnce,  // On gRPC's thread: it is handed over, or a row is read. A large request goes to kLong.
  kReads,   // Reads of milliseconds.
  kLong,    // What may take as long as a file or a run is large.
};

// A request over this is parsed and checked on the pool, whatever its lane.
inline constexpr std::size_t kAtOnceBytesMax = std::size_t{64} << 10;

// What calls share. Thread-safe.
struct Shared {
  Shared(engine::Api& api_in, Tokens& tokens_in, Duration stall_max_in);
  WorkPool& pool(Lane lane) { return lane == Lane::kLong ? work : reads; }
  void close();

  engine::Api& api;
  Tokens& tokens;
  const Duration stall_max;
  HeldBytes held;
  Outbox outbox;
  Followers followers;
  WorkPool reads;
  WorkPool work;
};

// Whether the caller may make this call at all; `method` is its full name, for the sentence.
Status check_access(const Caller& caller, Access access, std::string_view method);
// Whether it may submit that: a name, or a version by its hash.
Status check_submit(const engine::Api& api, const Caller& caller, const v1::RunsSubmitRequest& request);
// By a whole id, a unique beginning of one, or @latest.
Result<v1::Run> find_run(const engine::Api& api, const std::string& key);
// Whether the run is the caller's, for a token that reads its own alone; `run_id` becomes the whole id. NOT_FOUND as
// for a run that is not there.
Status check_own_run(const engine::Api& api, const Caller& caller, std::string& run_id);
bool is_own(const Caller& caller, const v1::Run& run);

// Parses a request. INVALID_ARGUMENT names the field that is no UTF-8 where that is the fault.
Status parse(grpc::ByteBuffer& bytes, google::protobuf::MessageLite& message);
// Once, before the first server: what Protocol Buffers says about foreign bytes becomes part of the refusal, and no
// line on stderr.
void capture_parse_faults();

// A call with one answer. Owns itself until gRPC is done.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(Shared& shared, grpc::CallbackServerContext* context, grpc::ByteBuffer* response)
      : shared_(shared), context_(context), response_(response) {}

  // Takes what the request needs. Before anything else of the following.
  Status admit(Access access, std::string_view method, std::size_t request_bytes);
  const Caller& caller() const { return caller_; }
  std::string header(const char* name) const;
  bool is_over() const { return context_->IsCancelled(); }  // Cancelled, or its deadline has passed.
  Duration until_deadline() const;                          // Of a call without one: a day.

  // Exactly one of them, once.
  void refuse(const Error& error);
  void answer(const google::protobuf::MessageLite& message);

 private:
  void OnDone() override;

  Shared& shared_;
  grpc::CallbackServerContext* const context_;
  grpc::ByteBuffer* const response_;  // gRPC's, until Finish.
  Caller caller_;
  Hold request_hold_, answer_hold_;
  bool in_outbox_ = false;
};

}  // namespace weft::server
