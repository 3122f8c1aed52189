// Answers that hold a run and nothing else.
#pragma once

#include <utility>

#include "runtime/engine/api.h"

namespace weft::engine {

// Told a run, tells `done` the response that holds it.
template <class Response>
Done<v1::Run> with_run(Done<Response> done) {
  return [done = std::move(done)](Result<v1::Run> run) mutable {
    if (!run) return done(std::move(run).error());
    Response response;
    *response.mutable_run() = *std::move(run);
    done(std::move(response));
  };
}

}  // namespace weft::engine
