// Replies whose response holds one message and nothing else.
#pragma once

#include <utility>

#include "runtime/engine/api.h"

namespace weft::engine {

// A reply for the value: it answers `reply` with a response that holds the value in `field`.
template <class Value, class Response>
Reply<Value> respond_with(Value* (Response::*field)(), Reply<Response> reply) {
  return [field, reply = std::move(reply)](Result<Value> value) mutable {
    if (!value) return reply(std::move(value).error());
    Response response;
    *(response.*field)() = *std::move(value);
    reply(std::move(response));
  };
}

template <class Response>
Reply<v1::Run> with_run(Reply<Response> reply) {
  return respond_with(&Response::mutable_run, std::move(reply));
}

template <class Response>
Reply<v1::Schedule> with_schedule(Reply<Response> reply) {
  return respond_with(&Response::mutable_schedule, std::move(reply));
}

}  // namespace weft::engine
