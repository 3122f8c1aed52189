// The contents that runs read and write: inline, in a bounded cache, or in the journal's blobs.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "memory/journal/journal.h"
#include "runtime/run/contents.h"

namespace weft::history {

// A cache of recently read and written blobs, of all runs of one shard. Thread-safe; the reader outlives it.
class ContentCache {
 public:
  static constexpr std::size_t kBytesMax = std::size_t{32} << 20;

  explicit ContentCache(const memory::Reader& reader) : reader_(reader) {}

  std::shared_ptr<const std::string> find(const Digest& digest);          // Null where it is not cached.
  Result<std::shared_ptr<const std::string>> read(const Digest& digest);  // Blocks on the store where it is not cached.
  // A blob that is to be written: it is found for as long as anybody holds it, even where the cache has dropped it.
  void add(const Digest& digest, const std::shared_ptr<const std::string>& bytes);

 private:
  void remember(const Digest& digest, std::shared_ptr<const std::string> bytes);  // REQUIRES: the lock.

  struct Cached {
    std::shared_ptr<const std::string> bytes;
    std::list<Digest>::iterator use;
  };
  const memory::Reader& reader_;
  std::mutex mutex_;
  // Guarded by mutex_:
  std::map<Digest, Cached> cache_;
  std::list<Digest> uses_;  // Most recent first.
  std::size_t cached_bytes_ = 0;
  std::map<Digest, std::weak_ptr<const std::string>> written_;  // Staged or on their way to the disk.
};

// One run's contents, and the blobs that its next append carries: those of its own events and no others.
// Used by one thread at a time: the one that works on the run.
class ContentStore final : public run::Contents {
 public:
  explicit ContentStore(ContentCache& cache) : cache_(&cache) {}
  explicit ContentStore(const memory::Reader& reader)
      : own_(std::make_unique<ContentCache>(reader)), cache_(own_.get()) {}

  // Reading blocks on the store where a blob is not cached.
  Result<std::shared_ptr<const std::string>> bytes(const v1::Content& content) override;
  Result<v1::Content> put(std::string bytes) override;
  // The same with a lower bound for inline bytes, where an event may hold many contents.
  Result<v1::Content> put(std::string bytes, std::size_t inline_max);

  // From now on at most `bytes` are read and put, and nothing is read from the store: for threads on which nothing may
  // take long. Beyond that it refuses, and stays interrupted until the next bound() or unbound().
  void bound(std::size_t bytes) {
    left_ = bytes;
    interrupted_ = false;
  }
  void unbound() {
    left_.reset();
    interrupted_ = false;
  }
  bool interrupted() const { return interrupted_; }
  bool is_at_hand(const v1::Content& content) const;  // Reading it does not block.
  // Reads the content, and keeps it in memory until release().
  Status fetch(const v1::Content& content);
  void release() { fetched_.clear(); }

  // The event whose blobs were put since the last call was recorded: they belong to the next append.
  void keep() { kept_ = staged_.size(); }
  // The event was not recorded: its blobs are dropped.
  void drop() { staged_.resize(kept_); }
  // The blobs of the events recorded since the last call, for the append of these events.
  std::vector<memory::Blob> take_kept();

 private:
  Status charge(std::size_t bytes);

  std::unique_ptr<ContentCache> own_;  // Where it is not shared.
  ContentCache* cache_;
  std::vector<memory::Blob> staged_;
  std::size_t kept_ = 0;  // Of these, from the front.
  std::vector<std::shared_ptr<const std::string>> fetched_;
  std::optional<std::size_t> left_;
  bool interrupted_ = false;
};

// The error of a failed read: DATA_LOSS where the store does not have the thing (the reader says NOT_FOUND), otherwise
// UNAVAILABLE: it may be readable later.
Error not_read(Error cause);

// DATA_LOSS where its bytes are no digest.
Result<Digest> digest_of(const v1::Blob& blob);

// Bytes of a content from a store without cache: inline, or one read.
Result<std::shared_ptr<const std::string>> read_content(const v1::Content& content, const memory::Reader& reader);

}  // namespace weft::history
