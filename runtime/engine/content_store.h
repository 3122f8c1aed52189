// The contents that one shard's runs read and write: inline, in a bounded cache, or in the journal's blobs.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "memory/journal.h"
#include "runtime/run/contents.h"

namespace weft::engine {

// Reading blocks on SQLite where a blob is not cached. Shard only; the reader outlives it.
class ContentStore final : public run::Contents {
 public:
  static constexpr std::size_t kCacheBytesMax = std::size_t{32} << 20;

  explicit ContentStore(const memory::Reader& reader) : reader_(reader) {}

  Result<std::shared_ptr<const std::string>> bytes(const v1::Content& content) override;
  Result<v1::Content> put(std::string bytes) override;
  // The same with a lower bound for inline bytes, where an event may hold many contents.
  Result<v1::Content> put(std::string bytes, std::size_t inline_max);

  // Blobs that were put since the last call; they go into the append of the events that name them.
  std::vector<memory::Blob> take_staged();

 private:
  void remember(const Digest& digest, std::shared_ptr<const std::string> bytes);

  struct Cached {
    std::shared_ptr<const std::string> bytes;
    std::list<Digest>::iterator use;
  };
  const memory::Reader& reader_;
  std::map<Digest, Cached> cache_;
  std::list<Digest> uses_;  // Most recent first.
  std::size_t cached_bytes_ = 0;
  std::map<Digest, std::weak_ptr<const std::string>> queued_;  // Staged or on their way to the disk.
  std::vector<memory::Blob> staged_;
};

// DATA_LOSS where it is none.
Result<Digest> digest_of(const v1::Blob& blob);

// Bytes of a content from a store without cache: inline, or one read.
Result<std::shared_ptr<const std::string>> read_content(const v1::Content& content, const memory::Reader& reader);

}  // namespace weft::engine
