// Small files that are this user's alone: tokens.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace weft::server {

// The content. NOT_FOUND where there is none; PERMISSION_DENIED where it is another user's, or where others may read or
// write it; RESOURCE_EXHAUSTED over `bytes_max`. Never waits, whatever stands under the name; follows no link.
Result<std::string> read_private_file(const std::string& path, std::size_t bytes_max);
// Puts the content under the name, as a whole and durably, for this user alone (0600).
Status replace_private_file(const std::string& path, std::string_view content);

// Holds the lock of a folder while it lives, so that two processes change a file in it one after the other.
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& folder);
  FolderLock(FolderLock&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace weft::server
