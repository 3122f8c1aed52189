// The run's side of the journal: hands it the appends of the recorder, and does what follows when more of the run is
// durable, or nothing more of it can be.
#pragma once

#include <string>

#include "runtime/engine/shard/run_recorder.h"

namespace weft::engine {

struct ShardCore;
class ActiveRun;

// Loop only, but for snapshot(), which belongs to the thread that has the run.
class RunJournal final : public RunRecorder::Owner {
 public:
  RunJournal(ShardCore& core, ActiveRun& run) : core_(core), run_(run) {}  // Both outlive it.

  void send(memory::Append append) override;
  bool is_lent() const override;
  void when_not_lent(Task task) override;
  void post(Task task) override;
  const v1::Run& summary_to_tell() override;
  std::string snapshot() override;
  bool owns() override;
  void became_durable() override;
  void stall_changed() override;
  void let_go() override;
  void lost(const Error& why) override;

 private:
  ShardCore& core_;
  ActiveRun& run_;
};

}  // namespace weft::engine
