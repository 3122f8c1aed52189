// A service as a table of its methods: one line for each says who may call it, where its work is done, and what answers
// it; its path and its types follow from its request. Included by the files of services only.
//
// Requests arrive as bytes: who calls and what may be held for it is looked at before they are parsed, and a request
// that cannot be parsed is refused in words.
#pragma once

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/rpc_service_method.h>
#include <grpcpp/impl/service_type.h>

#include <deque>
#include <string>
#include <type_traits>
#include <utility>

#include "runtime/server/calls.h"
#include "runtime/server/rpc_path.h"
#include "runtime/server/status.h"

namespace weft::server {

struct Rule {
  Access access;
  Lane lane;
};

// Who answers or submits: on a port the token's name, whatever the request says.
template <class Request>
void set_by(const Caller& caller, Request& request) {
  if constexpr (requires { request.set_by_token(true); }) {
    const bool port = caller.way == Caller::Way::kPort;
    request.set_by_token(port);
    if (port) request.set_by(caller.name);
  }
}

// Whether the caller's scope reaches what the request names.
template <class Request>
Status check_reach(const engine::Api& api, const Caller& caller, Access access, Request& request) {
  if constexpr (std::is_same_v<Request, v1::RunsSubmitRequest>) return check_submit(api, caller, request);
  if constexpr (requires { request.mutable_run_id(); }) {
    if (access == Access::kOwnRun) return check_own_run(api, caller, *request.mutable_run_id());
  }
  return {};
}

// gRPC calls the answer's callback on the engine's threads; the call lives until it is answered.
template <class Response>
engine::Reply<Response> answer_of(UnaryCall* call) {
  return [call](Result<Response> result) {
    if (result) {
      call->answer(*result);
    } else {
      call->refuse(result.error());
    }
  };
}

class Methods : public grpc::Service {
 public:
  explicit Methods(Shared& shared) : shared_(shared) {}

 protected:
  // A method that `side()`, a Result of a pointer, answers later: `add(rule, engine, &engine::Api::METHOD)`.
  template <class Side, class Request, class Response, class Find>
  void add(Rule rule, Find side, void (Side::*method)(const Request&, engine::Reply<Response>)) {
    add_handler<Request, Response>(rule,
                                   [side, method](const Request& request, UnaryCall&, engine::Reply<Response> done) {
                                     auto found = side();
                                     if (!found) return done(std::move(found).error());
                                     ((*found)->*method)(request, std::move(done));
                                   });
  }
  // One that it answers at once.
  template <class Side, class Request, class Response, class Find>
  void add(Rule rule, Find side, Result<Response> (Side::*method)(const Request&) const) {
    add_reader<Request, Response>(rule, [side, method](const Request& request, UnaryCall&) -> Result<Response> {
      WEFT_TRY(const auto found, side());
      return (found->*method)(request);
    });
  }
  // One that `read(request, call)` answers at once.
  template <class Request, class Response, class Read>
  void add_reader(Rule rule, Read read) {
    add_handler<Request, Response>(rule, [read](const Request& request, UnaryCall& call, engine::Reply<Response> done) {
      done(read(request, call));
    });
  }
  // One that `handler(request, call, done)` answers with `done`, once, now or later.
  template <class Request, class Response, class Handler>
  void add_handler(Rule rule, Handler handler) {
    const std::string& path = keep_path(*Request::descriptor());
    const Row row{rule, std::string_view(path).substr(1)};
    AddMethod(new grpc::internal::RpcServiceMethod(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
    MarkMethodRawCallback(
        count_++, new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
                      [this, row, handler](grpc::CallbackServerContext* context, const grpc::ByteBuffer* request,
                                           grpc::ByteBuffer* response) {
                        // Ours to take: gRPC holds it until the call ends, and looks at it no more.
                        return begin<Request, Response>(row, handler, context, *const_cast<grpc::ByteBuffer*>(request),
                                                        response);
                      }));
  }
  // One that is answered with a stream: `start(context, request)` gives the call's reactor.
  template <class Request, class Response, class Start>
  void add_stream(Start start) {
    const std::string& path = keep_path(*Request::descriptor());
    AddMethod(new grpc::internal::RpcServiceMethod(path.c_str(), grpc::internal::RpcMethod::SERVER_STREAMING, nullptr));
    MarkMethodRawCallback(count_++, new grpc::internal::CallbackServerStreamingHandler<grpc::ByteBuffer, Response>(
                                        [start](grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
                                          return start(context, *request);
                                        }));
  }

  Shared& shared_;

 private:
  struct Row {
    Rule rule;
    std::string_view method;  // "weft.v1.Runs/Get", in paths_.
  };
  // gRPC keeps the pointer to a method's path.
  const std::string& keep_path(const google::protobuf::Descriptor& request) {
    return paths_.emplace_back(rpc_path(request));
  }

  template <class Request, class Response, class Handler>
  grpc::ServerUnaryReactor* begin(const Row& row, const Handler& handler, grpc::CallbackServerContext* context,
                                  grpc::ByteBuffer& sent, grpc::ByteBuffer* response) {
    auto* call = new UnaryCall(shared_, context, response);
    grpc::ByteBuffer bytes;
    bytes.Swap(&sent);
    if (Status admitted = call->admit(row.rule.access, row.method, bytes.Length()); !admitted) {
      call->refuse(admitted.error());
      return call;
    }
    auto work = [this, row, handler, call](grpc::ByteBuffer message) {
      Request request;
      Status fit = parse(message, request);
      message.Clear();
      if (fit) fit = check_reach(shared_.api, call->caller(), row.rule.access, request);
      if (!fit) return call->refuse(fit.error());
      set_by(call->caller(), request);
      handler(request, *call, answer_of<Response>(call));
    };
    // What a scope reaches is looked up in the store.
    const bool narrow = call->caller().scope.reach != Scope::Reach::kAll;
    const bool large = bytes.Length() > kAtOnceBytesMax;
    if (row.rule.lane == Lane::kAtOnce && !narrow && !large) {
      work(std::move(bytes));
      return call;
    }
    const Lane lane = large ? Lane::kLong : row.rule.lane == Lane::kAtOnce ? Lane::kReads : row.rule.lane;
    WorkPool::Job job = [work, call, bytes = std::move(bytes)](const Status& turn) mutable {
      if (!turn) return call->refuse(turn.error());
      if (call->is_over()) return call->refuse({Code::kCancelled, "the call ended before its turn came", {}});
      work(std::move(bytes));
    };
    if (Status queued = shared_.pool(lane).run(call->caller().share(), job); !queued) call->refuse(queued.error());
    return call;
  }

  std::deque<std::string> paths_;
  int count_ = 0;
};

}  // namespace weft::server
