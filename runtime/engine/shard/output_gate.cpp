#include "runtime/engine/shard/output_gate.h"

namespace weft::engine {

void OutputGate::when_durable(std::uint64_t seq, const run::CallKey& key, Task leave) {
  if (!closed_) gate_.push_back({seq, key, std::move(leave)});
}

void OutputGate::revoke(const run::CallKey& key) {
  std::erase_if(gate_, [&](const Gated& gated) { return gated.key == key; });
}

void OutputGate::answer_when_durable(std::uint64_t seq, Reply<v1::Run> reply) {
  if (closed_) return reply(*closed_);
  asking_.emplace_back(seq, std::move(reply));
}

bool OutputGate::opens_at(std::uint64_t durable_seq) const {
  return !gate_.empty() && gate_.front().seq <= durable_seq;
}

void OutputGate::open(std::uint64_t durable_seq) {
  while (opens_at(durable_seq)) {
    Task leave = std::move(gate_.front().leave);
    gate_.pop_front();
    leave();
  }
}

void OutputGate::answer(std::uint64_t durable_seq, const std::string& run_id, const v1::Run& summary) {
  if (submitted_ && durable_seq > 0) {
    v1::RunsSubmitResponse response;
    response.set_run_id(run_id);
    std::exchange(submitted_, {})(std::move(response));
  }
  std::erase_if(asking_, [&](auto& waiting) {
    if (waiting.first > durable_seq) return false;
    waiting.second(summary);
    return true;
  });
}

void OutputGate::refuse(const Error& why) {
  for (auto& [seq, reply] : std::exchange(asking_, {})) reply(why);
}

void OutputGate::close(const Error& why) {
  if (!closed_) closed_ = why;
  gate_.clear();
  if (submitted_) std::exchange(submitted_, {})(why);
  refuse(why);
}

}  // namespace weft::engine
