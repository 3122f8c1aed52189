// Where an event belongs: the step instance, attempt, turn and call of its key.
#pragma once

#include "runtime/run/command.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

inline v1::Event event_at(const run::CallKey& key) {
  v1::Event event;
  event.set_path(key.path);
  event.set_attempt(key.attempt);
  event.set_turn(key.turn);
  event.set_call(key.call);
  return event;
}

}  // namespace weft::engine
