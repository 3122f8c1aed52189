// A store as of one moment, read as it is, for those who check whether it is right.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "memory/journal/reader.h"

namespace weft::memory {

// Reads only, takes no lock and blocks no writer; but the WAL cannot begin anew while an inspection lives. One thread
// at a time.
class Inspection {
 public:
  struct Run {
    std::int64_t key = 0;
    RunRow row;
  };

  // What is wrong with rows beside events.
  struct RowFindings {
    std::uint64_t orphans = 0;  // They go with a run, and that run is not there.
    std::uint64_t beyond = 0;   // No append can have written them: they are beyond the limits of rows.h.
  };

  // NOT_FOUND: there is no store.
  static Result<std::unique_ptr<Inspection>> open(const std::string& path);
  virtual ~Inspection() = default;

  // What SQLite itself finds wrong with the file, a sentence each, at most 100.
  virtual Result<std::vector<std::string>> structure() = 0;
  // By key, from the one after `after_key` on.
  virtual Result<std::vector<Run>> runs(std::int64_t after_key, std::size_t limit) = 0;
  virtual Status batches(std::int64_t run_key, const std::function<void(EventBatch batch)>& on_batch) = 0;
  virtual Status blobs(const std::function<void(const Digest& digest, std::string_view bytes)>& on_blob) = 0;
  // Whether the blob is kept for the run. A run that is older than these notes keeps all.
  virtual Result<bool> keeps(std::int64_t run_key, const Digest& digest) = 0;
  // The number of batches of runs that are not there.
  virtual Result<std::uint64_t> orphans() = 0;
  virtual Result<RowFindings> rows_beside() = 0;
  virtual Result<bool> has_workflow(const std::string& hash) = 0;
};

}  // namespace weft::memory
