// What tests of journals share: a store of each kind, appends as short as they can be written, and their answers.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "memory/journal/journal.h"
#include "memory/journal/sqlite_store.h"

namespace weft::memory::test {

// A folder of its own, gone with it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "weft-test-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

using Names = std::vector<std::string>;

inline Time at_second(std::int64_t seconds) { return Time(std::chrono::seconds(seconds)); }

// The first events of a run, which create it.
inline Append first_append(const std::string& run, Epoch epoch, std::int64_t submitted_s = 1) {
  Append append;
  append.run = run;
  append.partition = 7;
  append.epoch = epoch;
  append.first_seq = append.last_seq = 1;
  append.events = "e1 of " + run;
  append.create = RunRow{};
  append.create->id = run;
  append.create->partition = append.partition;
  append.create->workflow = "review";
  append.create->workflow_hash = "c0ffee";
  append.create->submitted_at = at_second(submitted_s);
  append.create->summary = "summary of " + run;
  return append;
}

// Events that follow.
inline Append next_append(const std::string& run, Epoch epoch, std::uint64_t first, std::uint64_t last) {
  Append append;
  append.run = run;
  append.partition = 7;
  append.epoch = epoch;
  append.first_seq = first;
  append.last_seq = last;
  append.events = "e" + std::to_string(first) + " of " + run;
  return append;
}

// The same append for a run of another partition.
inline Append in_partition(std::uint32_t partition, Append append) {
  append.partition = partition;
  if (append.create) append.create->partition = partition;
  return append;
}

// The same append with one more row beside its events.
inline Append with_row(Append append, const std::string& kind, const std::string& key, const std::string& value) {
  append.rows.push_back({kind, key, value});
  return append;
}

// Claims every partition; the epoch of all of them.
inline Epoch claim_all(Journal& journal) {
  const auto claims = journal.claim(all_partitions());
  WEFT_CHECK(claims && claims->size() == kPartitions, "a new owner claims every partition");
  return claims->front().epoch;
}

// Appends and waits for the answer.
inline Result<Appended> append_now(Journal& journal, Append append) {
  Result<Appended> answer = internal("no answer came");
  journal.append(std::move(append), [&](Result<Appended> result) { answer = std::move(result); });
  journal.drain();
  return answer;
}

// For what a test only builds upon.
inline void must_append(Journal& journal, Append append) {
  const auto answer = append_now(journal, std::move(append));
  WEFT_CHECK(answer, answer.error().message);
}

// Empty where it was written; else the code's name.
inline std::string outcome(const Result<Appended>& result) {
  return result ? std::string() : std::string(code_name(result.error().code));
}

inline std::vector<std::string> ids(const std::vector<RunRow>& rows) {
  std::vector<std::string> names;
  for (const RunRow& row : rows) names.push_back(row.id);
  return names;
}

// Of a page of rows.
inline std::vector<std::string> keys(const Result<RowPage>& page) {
  std::vector<std::string> found;
  if (!page) return {"error: " + page.error().message};
  for (const Row& row : page->rows) found.push_back(row.key);
  return found;
}

inline std::vector<std::string> texts(const Result<std::vector<EventBatch>>& batches) {
  std::vector<std::string> events;
  if (!batches) return {"error: " + batches.error().message};
  for (const EventBatch& batch : *batches) events.push_back(batch.events);
  return events;
}

struct SqliteStore {
  TemporaryFolder folder;
  std::unique_ptr<Journal> journal = open_sqlite({folder / "weft.db"}).value();
};

struct MemoryStore {
  std::unique_ptr<Journal> journal = make_memory_journal();
};

// A store with one owner.
template <class Store>
struct Owned : Store {
  Journal& journal = *Store::journal;
  Epoch epoch = claim_all(journal);

  std::string append(Append append) { return outcome(append_now(journal, std::move(append))); }
  std::string create(const std::string& run, std::int64_t submitted_s = 1) {
    return append(first_append(run, epoch, submitted_s));
  }
};

}  // namespace weft::memory::test
