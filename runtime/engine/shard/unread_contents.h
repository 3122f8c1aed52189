// What a run that stands still, since a content that it needs cannot be read, could not take in. A failed read decides
// nothing: what a decision, an answer or a command lacks is asked for again, and until it is there the run records
// nothing but a cancel.
//
// Where the store does not have the content any more (DATA_LOSS), somebody has to put it back; a restart then goes on.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "runtime/run/command.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

struct ShardCore;
class ActiveRun;

// Of what is read again: after a growing delay; and what a run that cannot be read waits for, in words.
Duration next_read_delay(Duration delay);
std::string waits_for_read(const Error& cause);

// Loop only, but for note() and keeps_from_deciding(), which belong to the thread that has the run.
class UnreadContents {
 public:
  UnreadContents(ShardCore& core, ActiveRun& run) : core_(core), run_(run) {}  // Both outlive it.

  bool stands() const { return unread_ != nullptr; }     // The run stands still.
  const Error& cause() const { return unread_->cause; }  // REQUIRES: it does.
  bool keeps_from_deciding() const { return unread_ || noted_; }

  // A decision, or an answer, could not be taken; stop_if_noted() says so on the loop.
  void note(Error cause) { noted_ = std::move(cause); }
  void note(Error cause, v1::Event answer);
  void stop_if_noted();
  void stop(const Error& cause);    // The run stands still, if it does not yet.
  void keep(run::Command command);  // That could not be carried out. REQUIRES: stands().
  void read_again();                // Takes in what was kept, and goes on, unless it stands still again.

 private:
  struct Unread {
    Error cause;
    std::list<v1::Event> answers;        // That came meanwhile, in their order.
    std::vector<run::Command> commands;  // That could not be carried out.
  };
  void take_in(Unread& kept);

  ShardCore& core_;
  ActiveRun& run_;
  std::unique_ptr<Unread> unread_;
  Duration delay_{0};           // Before it is tried again; 0: the last time it could be read.
  std::optional<Error> noted_;  // Why the last decision, or these answers, could not be taken.
  std::list<v1::Event> not_taken_;
};

}  // namespace weft::engine
