// Where a run finds the bytes that its events name. Content is addressed by its hash, so reading and putting are pure:
// the same history gives the same contents.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "weft/v1/value.pb.h"

namespace weft::run {

inline constexpr std::size_t kInlineBytesMax = std::size_t{16} << 10;  // Longer ones live in blobs.
inline constexpr std::size_t kValueBytesMax = std::size_t{16} << 20;

class Contents {
 public:
  virtual ~Contents() = default;
  // The bytes; DATA_LOSS where a blob is gone or is not what it was, another code where the store cannot be read now.
  virtual Result<std::shared_ptr<const std::string>> bytes(const v1::Content& content) = 0;
  // Inline up to kInlineBytesMax, else by hash, kept until the event that names it is durable.
  // RESOURCE_EXHAUSTED over kValueBytesMax.
  virtual Result<v1::Content> put(std::string bytes) = 0;
};

}  // namespace weft::run
