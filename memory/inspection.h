// One moment of a store, looked through whole: rows as they are, for whoever says whether they are right.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "memory/journal.h"

namespace weft::memory {

// Reads only; takes no lock and blocks no writer, whose WAL cannot begin anew until this is gone. One thread at a time.
class Inspection {
 public:
  struct Run {
    std::int64_t key = 0;
    RunRow row;
  };

  // NOT_FOUND where there is no store.
  static Result<std::unique_ptr<Inspection>> open(const std::string& path);
  virtual ~Inspection() = default;

  // What SQLite itself finds wrong with the file, a sentence each, at most 100.
  virtual Result<std::vector<std::string>> structure() = 0;
  // By key, from the one after `after_key` on.
  virtual Result<std::vector<Run>> runs(std::int64_t after_key, std::size_t limit) = 0;
  virtual Status batches(std::int64_t run_key, const std::function<void(EventBatch batch)>& on_batch) = 0;
  virtual Status blobs(const std::function<void(const Digest& digest, std::string_view bytes)>& on_blob) = 0;
  // Whether the blob is kept for the run. A run from before that was noted keeps all.
  virtual Result<bool> keeps(std::int64_t run_key, const Digest& digest) = 0;
  // Batches of runs that are not there.
  virtual Result<std::uint64_t> orphans() = 0;
  virtual Result<bool> has_workflow(const std::string& hash) = 0;
};

}  // namespace weft::memory
