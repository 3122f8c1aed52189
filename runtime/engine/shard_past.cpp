// Runs that go on after their end, and runs that begin with another one's past.
#include <fmt/format.h>

#include "runtime/engine/batch.h"
#include "runtime/engine/shard.h"
#include "runtime/engine/tally.h"

namespace weft::engine {

void Shard::retry(memory::RunRow row, std::shared_ptr<const workflows::Workflow> workflow, std::string reason,
                  Done<v1::Run> done) {
  loop_.post([this, row = std::move(row), workflow = std::move(workflow), reason = std::move(reason),
              done = std::move(done)]() mutable {
    if (const Active* ending = find(row.id); ending != nullptr && ending->run->ended()) {
      // Who asks has seen its end in the store before this shard was told that it is there.
      constexpr Duration kTold{1'000};
      loop_.after(kTold, [this, row = std::move(row), workflow = std::move(workflow), reason = std::move(reason),
                          done = std::move(done)]() mutable {
        retry(std::move(row), std::move(workflow), std::move(reason), std::move(done));
      });
      return;
    }
    --world_.active_runs;  // recover() counts it.
    if (find(row.id) != nullptr || sleeping_.contains(row.id))
      return done(failed_precondition(fmt::format("run {} has not ended", row.id)));
    if (Status recovered = recover(row, std::move(workflow), nullptr); !recovered)
      return done(std::move(recovered).error());
    Active& active = *find(row.id);
    if (Status may = active.run->may_retry(); !may) {
      forget(row.id);
      return done(std::move(may).error());
    }
    active.reopened = true;
    active.attempts.clear();
    active.pauses.clear();
    active.asking.emplace_back(active.run->last_seq() + 1, std::move(done));
    v1::Event event;
    event.mutable_run_retried()->set_reason(std::move(reason));
    admit(active, std::move(event));
    trim(active);
    advance(active);
  });
}

// The shared past, its own submission in front of it and the fork behind it, become durable in one append: a crash
// leaves the whole fork or none.
void Shard::fork(ForkStart start) {
  loop_.post([this, start = std::move(start)]() mutable {
    Submission& submission = start.submission;
    auto fresh = std::make_unique<Active>();
    fresh->id = submission.run_id;
    fresh->partition = submission.partition;
    fresh->request_digest = std::move(submission.request_digest);
    fresh->submitted = std::move(submission.done);
    fresh->model = start.forked.model();
    fresh->shared_blobs = std::move(start.past.blobs);
    fresh->run = std::make_unique<run::Run>(submission.workflow, world_.tool_table, contents_);

    v1::RunSubmitted& submitted = *start.past.events.front().mutable_run_submitted();
    submitted.mutable_identity()->set_run_id(submission.run_id);
    submitted.mutable_identity()->set_lineage(start.past.lineage);
    submitted.mutable_identity()->set_partition(submission.partition);
    submitted.mutable_identity()->set_request_id(submission.request.request_id());
    submitted.set_workflow(submission.workflow->name);
    submitted.set_workflow_hash(submission.workflow->hash);
    if (!submission.request.labels().empty()) *submitted.mutable_labels() = submission.request.labels();
    if (start.own_input) {
      auto input = contents_.put(std::move(submission.input));
      if (!input) {
        --world_.active_runs;
        return fresh->submitted(std::move(input).error());
      }
      *submitted.mutable_input_json() = *std::move(input);
    }
    Active& active = *(runs_[fresh->id] = std::move(fresh));
    for (v1::Event& event : start.past.events) {
      const std::int64_t at_us = event.at_us();
      admit(active, std::move(event), at_us);
      if (active.batch.size() < kBatchBytesMax) continue;
      active.batches_before.push_back({active.batch_first, active.run->last_seq(), std::exchange(active.batch, {})});
    }
    v1::Event forked;
    *forked.mutable_run_forked() = std::move(start.forked);
    admit(active, std::move(forked));
    active.turn =
        world_.places.enter(world_.order.passenger(active.summary), world_.order.gates_of_run(active.summary));
    active.begun = true;
    while (active.run->next()) {
      // The source handed it out; what the fork wants of it, outstanding() says.
    }
    active.run->take_up();
    resume(active, "the source was forked");
  });
}

}  // namespace weft::engine
