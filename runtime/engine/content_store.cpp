#include "runtime/engine/content_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::engine {

Result<Digest> digest_of(const v1::Blob& blob) {
  Digest digest;
  if (blob.sha256().size() != digest.size()) return data_loss("an event names a blob by something that is no SHA-256");
  std::ranges::copy(blob.sha256(), digest.begin());
  return digest;
}

Result<std::shared_ptr<const std::string>> read_content(const v1::Content& content, const memory::Reader& reader) {
  if (!content.has_blob()) return std::make_shared<const std::string>(content.inline_());
  WEFT_TRY(const Digest digest, digest_of(content.blob()));
  return reader.blob(digest);
}

Result<std::shared_ptr<const std::string>> ContentStore::bytes(const v1::Content& content) {
  if (!content.has_blob()) return std::make_shared<const std::string>(content.inline_());
  WEFT_TRY(const Digest digest, digest_of(content.blob()));
  if (const auto cached = cache_.find(digest); cached != cache_.end()) {
    uses_.splice(uses_.begin(), uses_, cached->second.use);
    return cached->second.bytes;
  }
  if (const auto queued = queued_.find(digest); queued != queued_.end()) {
    if (auto bytes = queued->second.lock()) return bytes;
    queued_.erase(queued);
  }
  WEFT_TRY(std::shared_ptr<const std::string> bytes, reader_.blob(digest));
  remember(digest, bytes);
  return bytes;
}

Result<v1::Content> ContentStore::put(std::string bytes) { return put(std::move(bytes), run::kInlineBytesMax); }

Result<v1::Content> ContentStore::put(std::string bytes, std::size_t inline_max) {
  v1::Content content;
  if (bytes.size() <= inline_max) {
    content.set_inline_(std::move(bytes));
    return content;
  }
  if (bytes.size() > run::kValueBytesMax) {
    return resource_exhausted(fmt::format("a value has {} bytes; the limit is {}", bytes.size(), run::kValueBytesMax))
        .with("limit", "value_bytes_max");
  }
  const Digest digest = sha256(bytes);
  content.mutable_blob()->set_sha256(std::string(view(digest)));
  content.mutable_blob()->set_size(bytes.size());
  auto shared = std::make_shared<const std::string>(std::move(bytes));
  std::erase_if(queued_, [](const auto& entry) { return entry.second.expired(); });
  queued_[digest] = shared;
  remember(digest, shared);
  staged_.push_back({digest, std::move(shared)});
  return content;
}

std::vector<memory::Blob> ContentStore::take_staged() { return std::exchange(staged_, {}); }

void ContentStore::remember(const Digest& digest, std::shared_ptr<const std::string> bytes) {
  if (bytes->size() > kCacheBytesMax || cache_.contains(digest)) return;
  cached_bytes_ += bytes->size();
  uses_.push_front(digest);
  cache_[digest] = {std::move(bytes), uses_.begin()};
  while (cached_bytes_ > kCacheBytesMax) {
    const auto oldest = cache_.find(uses_.back());
    cached_bytes_ -= oldest->second.bytes->size();
    cache_.erase(oldest);
    uses_.pop_back();
  }
}

}  // namespace weft::engine
