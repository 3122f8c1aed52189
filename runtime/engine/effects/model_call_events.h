// How a model call is recorded: its intent, its answer, its failure, and what it cost. Pure, but for long contents,
// which are put into the run's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/engine/routing/router.h"
#include "runtime/engine/shard/load_run.h"
#include "runtime/model/catalog.h"
#include "runtime/model/client.h"
#include "runtime/model/prefix.h"
#include "weft/v1/event.pb.h"

namespace weft::engine {

// What is known of a call beside its key.
struct ModelCallFacts {
  Route route;
  std::optional<model::Price> price;
  std::uint64_t request_bytes = 0;
  std::uint64_t streamed_bytes = 0;
};

// The intent. `model` is what the workflow or the fork names; `output_max` is in tokens.
v1::Event model_call_started(const run::CallKey& key, const ModelCallFacts& facts,
                             const model::Conversation& conversation, const std::string& model,
                             std::uint64_t output_max);
// ModelCallFailed "too_large" where a part of the answer is longer than a run takes.
v1::Event model_call_ended(LoadedRun& loaded, const run::CallKey& key, const ModelCallFacts& facts,
                           model::Answer answer);
// What nobody counted and may be billed is booked by estimate.
v1::Event model_call_failed(LoadedRun& loaded, const run::CallKey& key, const ModelCallFacts& facts,
                            model::Failure failure);
// A call whose answer will not come: booked by estimate.
v1::Event model_call_lost(const run::CallKey& key, const ModelCallFacts& facts, std::string failure,
                          std::string message);

std::uint64_t tokens_in(const model::Usage& usage);
// A token is about four bytes of English or code; an estimate, and marked as one wherever it is shown.
std::uint64_t tokens_in(std::uint64_t bytes);

}  // namespace weft::engine
