// Answers that hold one message and nothing else.
#pragma once

#include <utility>

#include "runtime/engine/api.h"

namespace weft::engine {

// Told a value, tells `done` the response that holds it in `field`.
template <class Value, class Response>
Done<Value> held_in(Value* (Response::*field)(), Done<Response> done) {
  return [field, done = std::move(done)](Result<Value> value) mutable {
    if (!value) return done(std::move(value).error());
    Response response;
    *(response.*field)() = *std::move(value);
    done(std::move(response));
  };
}

template <class Response>
Done<v1::Run> with_run(Done<Response> done) {
  return held_in(&Response::mutable_run, std::move(done));
}

template <class Response>
Done<v1::Schedule> with_schedule(Done<Response> done) {
  return held_in(&Response::mutable_schedule, std::move(done));
}

}  // namespace weft::engine
