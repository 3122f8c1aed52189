// A fork before it begins: the part of the source run's events that it shares, and whether they fit its workflow.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "memory/journal/journal.h"
#include "runtime/history/run_tools.h"
#include "weft/v1/event.pb.h"
#include "weft/v1/runs.pb.h"

namespace weft::history {

// Events of a source that one fork shares at most, in bytes.
inline constexpr std::size_t kForkBytesMax = std::size_t{64} << 20;

struct SharedPast {
  // The source's, from its submission on, and after the cut the results of calls that were then under way.
  std::vector<v1::Event> events;
  std::uint64_t source_seq = 0;  // The last one before the cut.
  std::string lineage;
  std::vector<Digest> blobs;  // That the events name.
  // The key generation that each repeated call of the source reached, where its earlier keys have no effect in force.
  std::vector<v1::KeyGeneration> generations;
};

// What `request` shares of `source`, each with what it goes by. Errors: NOT_FOUND where
// the source has nothing at the path; INVALID_ARGUMENT; RESOURCE_EXHAUSTED over kForkBytesMax; FAILED_PRECONDITION,
// with a detail `misfit` for each place, where what is shared does not fit the workflow, or was taken back by the
// source. Blocks on the store.
Result<SharedPast> share_past(const memory::Reader& reader, const memory::RunRow& source,
                              const v1::RunsForkRequest& request, const RunDefinition& of_source,
                              const RunDefinition& of_fork);

}  // namespace weft::history
