#include "runtime/history/content_store.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::history {

Error not_read(Error cause) {
  cause.code = cause.code == Code::kNotFound ? Code::kDataLoss : Code::kUnavailable;
  return cause;
}

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

std::shared_ptr<const std::string> ContentCache::find(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  if (const auto cached = cache_.find(digest); cached != cache_.end()) {
    uses_.splice(uses_.begin(), uses_, cached->second.use);
    return cached->second.bytes;
  }
  const auto written = written_.find(digest);
  if (written == written_.end()) return nullptr;
  auto bytes = written->second.lock();
  if (!bytes) written_.erase(written);
  return bytes;
}

Result<std::shared_ptr<const std::string>> ContentCache::read(const Digest& digest) {
  if (auto found = find(digest)) return found;
  auto bytes = reader_.blob(digest);
  if (!bytes) return not_read(std::move(bytes).error());
  const std::lock_guard lock(mutex_);
  remember(digest, *bytes);
  return bytes;
}

void ContentCache::add(const Digest& digest, const std::shared_ptr<const std::string>& bytes) {
  const std::lock_guard lock(mutex_);
  std::erase_if(written_, [](const auto& entry) { return entry.second.expired(); });
  written_[digest] = bytes;
  remember(digest, bytes);
}

void ContentCache::remember(const Digest& digest, std::shared_ptr<const std::string> bytes) {
  if (bytes->size() > kBytesMax || cache_.contains(digest)) return;
  cached_bytes_ += bytes->size();
  uses_.push_front(digest);
  cache_[digest] = {std::move(bytes), uses_.begin()};
  while (cached_bytes_ > kBytesMax) {
    const auto oldest = cache_.find(uses_.back());
    cached_bytes_ -= oldest->second.bytes->size();
    cache_.erase(oldest);
    uses_.pop_back();
  }
}

Status ContentStore::charge(std::size_t bytes) {
  constexpr std::size_t kEachBytes = 64;  // What a content costs beside its bytes, about.
  if (!left_) return {};
  interrupted_ = interrupted_ || bytes + kEachBytes > *left_;
  if (interrupted_) return unavailable("this is done where it may take longer");
  *left_ -= bytes + kEachBytes;
  return {};
}

Result<std::shared_ptr<const std::string>> ContentStore::bytes(const v1::Content& content) {
  WEFT_RETURN_IF_ERROR(charge(content.has_blob() ? content.blob().size() : content.inline_().size()));
  if (!content.has_blob()) return std::make_shared<const std::string>(content.inline_());
  WEFT_TRY(const Digest digest, digest_of(content.blob()));
  if (!left_) return cache_->read(digest);
  if (auto found = cache_->find(digest)) return found;
  interrupted_ = true;
  return unavailable("this is read where that may take long");
}

bool ContentStore::is_at_hand(const v1::Content& content) const {
  if (!content.has_blob()) return true;
  const auto digest = digest_of(content.blob());
  return !digest || cache_->find(*digest) != nullptr;
}

Status ContentStore::fetch(const v1::Content& content) {
  if (!content.has_blob()) return {};
  WEFT_TRY(const Digest digest, digest_of(content.blob()));
  WEFT_TRY(auto bytes, cache_->read(digest));
  cache_->add(digest, bytes);
  fetched_.push_back(std::move(bytes));
  return {};
}

Result<v1::Content> ContentStore::put(std::string bytes) { return put(std::move(bytes), run::kInlineBytesMax); }

Result<v1::Content> ContentStore::put(std::string bytes, std::size_t inline_max) {
  WEFT_RETURN_IF_ERROR(charge(bytes.size()));
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
  cache_->add(digest, shared);
  staged_.push_back({digest, std::move(shared)});
  return content;
}

std::vector<memory::Blob> ContentStore::take_kept() {
  std::vector<memory::Blob> kept(std::make_move_iterator(staged_.begin()),
                                 std::make_move_iterator(staged_.begin() + static_cast<std::ptrdiff_t>(kept_)));
  staged_.erase(staged_.begin(), staged_.begin() + static_cast<std::ptrdiff_t>(kept_));
  kept_ = 0;
  return kept;
}

}  // namespace weft::history
