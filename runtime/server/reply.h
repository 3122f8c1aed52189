// How a result becomes the answer of a call. Included by the files of services only.
#pragma once

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <utility>

#include "runtime/server/server.h"
#include "runtime/server/status.h"

namespace weft::server {

// Moves the result into `response`; an answer over kMessageBytesMax is refused in words, not cut off by the transport.
template <class T>
grpc::Status reply(Result<T> result, T* response) {
  if (!result) return to_grpc(result.error());
  const std::size_t bytes = result->ByteSizeLong();
  if (bytes > kMessageBytesMax) {
    return to_grpc(resource_exhausted(fmt::format("the answer has {} bytes; a message holds at most {} (64 MiB)", bytes,
                                                  kMessageBytesMax))
                       .with("limit", "message_bytes_max"));
  }
  *response = *std::move(result);
  return grpc::Status::OK;
}

// For calls that are answered at once.
template <class T>
grpc::ServerUnaryReactor* answered(grpc::CallbackServerContext* context, Result<T> result, T* response) {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(reply(std::move(result), response));
  return reactor;
}

// For calls that the engine answers on a thread of its own. gRPC keeps `reactor` and `response` until Finish.
template <class T>
engine::Done<T> answer_later(grpc::ServerUnaryReactor* reactor, T* response) {
  return [reactor, response](Result<T> result) { reactor->Finish(reply(std::move(result), response)); };
}

}  // namespace weft::server
