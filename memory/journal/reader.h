// What a journal holds, as it is read: runs, events, contents, workflows, schedules, rows beside events.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "memory/journal/claims.h"
#include "memory/journal/rows.h"

namespace weft::memory {

// One run as lists show it. `summary` is opaque (a serialised message of proto/weft/v1).
struct RunRow {
  std::string id;
  std::uint32_t partition = 0;
  std::string workflow;       // Its name.
  std::string workflow_hash;  // Hex.
  int status = 0;
  bool ended = false;
  Time submitted_at;
  std::optional<Time> ended_at;
  std::uint64_t last_seq = 0;  // The number of its last durable event; set by the journal.
  std::vector<std::pair<std::string, std::string>> labels;
  std::string request_id;      // Empty: none.
  std::string request_digest;  // Of the submission's payload. Compared when the same request id comes again.
  std::string summary;
};

struct WorkflowRow {
  std::string hash;  // Hex.
  std::string name;
  std::uint64_t version = 0;  // Rises by one for each new content under a name; set by the journal.
  Time applied_at;
  std::string bundle;   // Opaque: the files as they were sent.
  std::string summary;  // Opaque.
};

// What is kept of a schedule; `state` is opaque.
struct ScheduleRow {
  std::string name;
  std::string state;
  Epoch epoch = 0;  // Of partition 0, whose owner keeps the schedules. For put_schedule(); a reader leaves it 0.
};

struct EventBatch {
  std::uint64_t first_seq = 0;
  std::uint64_t last_seq = 0;
  std::string events;  // Opaque: the events in their order.
};

// The state of a run as of one of its events; opaque. It saves reading the events before that one, and says nothing
// that they do not say: a snapshot may be lost.
struct Snapshot {
  std::uint64_t seq = 0;
  std::string bytes;
};

// A part of a blob, and the size of the whole.
struct BlobPiece {
  std::string bytes;
  std::uint64_t size = 0;
};

struct RunFilter {
  std::string workflow{};                                     // Empty: any.
  std::vector<int> statuses{};                                // Empty: any.
  std::vector<std::pair<std::string, std::string>> labels{};  // All must match.
  std::optional<Time> since{};                                // Submitted at this time or later.
  std::optional<bool> ended{};
};

struct RunPage {
  std::vector<RunRow> rows;  // Newest first.
  std::string next;          // For the `after` of the next page; empty at the end.
};

// The run that was submitted last, where a run is named.
inline constexpr std::string_view kLatestRun = "@latest";

// Reads from any thread, and sees what is durable. What comes back is a copy, or shared and immutable.
class Reader {
 public:
  virtual ~Reader() = default;
  // `key` is a whole id, a prefix that one id alone has, or kLatestRun. NOT_FOUND: there is no such run.
  // INVALID_ARGUMENT: several ids begin so; the message names two.
  virtual Result<RunRow> run(std::string_view key) const = 0;
  virtual Result<RunPage> runs(const RunFilter& filter, std::size_t limit, std::string_view after) const = 0;
  // The batches that hold the events from `from_seq` on: at most about `bytes_max`, but at least one batch if there is
  // one. NOT_FOUND: there is no such run.
  virtual Result<std::vector<EventBatch>> events(std::string_view run, std::uint64_t from_seq,
                                                 std::size_t bytes_max) const = 0;
  virtual Result<std::shared_ptr<const std::string>> blob(const Digest& digest) const = 0;
  // At most `bytes_max` bytes of a blob from `offset` on, for a run that was written with it; NOT_FOUND for any other
  // run. `run` is a whole id.
  virtual Result<BlobPiece> blob_piece(std::string_view run, const Digest& digest, std::uint64_t offset,
                                       std::size_t bytes_max) const = 0;
  virtual Result<WorkflowRow> workflow_by_hash(std::string_view hash) const = 0;
  virtual Result<WorkflowRow> workflow_by_name(std::string_view name) const = 0;  // The version that was applied last.
  // The last applied version of each name, by name, without its bundle.
  virtual Result<std::vector<WorkflowRow>> workflows(std::size_t limit, std::string_view after_name) const = 0;
  virtual Result<std::vector<ScheduleRow>> schedules() const = 0;  // All of them, by name.
  // The row's value. None: there is no such row.
  virtual Result<std::optional<std::string>> row(std::string_view kind, std::string_view key) const = 0;
  // Rows of a kind whose keys begin with `key_prefix` (empty: all of the kind), by key, from the one behind the key
  // `after` on. A page holds at most `limit` rows, and is bounded by kRowsPageMax and kRowsPageBytesMax besides.
  virtual Result<RowPage> rows(std::string_view kind, std::string_view key_prefix, std::size_t limit,
                               std::string_view after) const = 0;
};

}  // namespace weft::memory
