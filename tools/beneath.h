// Opening what lies beneath one folder, and nothing else: the kernel resolves the path, so no race and no link gets
// out.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace weft::tools {

// Folders that the tools neither list, search, read nor write: the repository's own (its hooks are programs) and the
// store (other runs' contents).
inline constexpr std::string_view kHiddenNames[] = {".git", ".weft"};
bool is_hidden(std::string_view name);

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();

  int number() const { return number_; }

 private:
  int number_;
};

// A regular file that is open, and its size when it was opened.
struct OpenFile {
  Descriptor descriptor;
  std::uint64_t size = 0;
};

enum class NameKind : std::uint8_t { kFile, kFolder, kLink, kOther };

struct Name {
  std::string name;  // As the folder holds it: any bytes but '/' and NUL.
  NameKind kind = NameKind::kOther;
};

// The folder beneath which tools work.
//
// Invariants:
//  1. Whatever is opened was beneath the root when the kernel resolved it; links are followed where they stay beneath.
//  2. Files are regular files; nothing blocks: a FIFO or a device is refused in words.
//  3. Nothing in or beneath a hidden folder is opened, by whatever link.
// Thread-safe. Errors name the path as the caller gave it.
class Root {
 public:
  // FAILED_PRECONDITION where `path` is no folder that can be opened, UNIMPLEMENTED where the kernel has no openat2.
  static Result<Root> open(const std::string& path);

  Result<OpenFile> file(const std::string& path) const;
  Result<Descriptor> folder(const std::string& path) const;
  struct Appendable {
    OpenFile file;
    bool created = false;
  };
  // For appending; made where there is none (0644).
  Result<Appendable> file_to_append(const std::string& path) const;

  // What lies in an open folder, by the bytes of its names, without what is hidden. RESOURCE_EXHAUSTED over kNamesMax.
  static constexpr std::size_t kNamesMax = 500'000;
  static Result<std::vector<Name>> names(const Descriptor& folder);
  // One name in an open folder, links not followed. `shown` is how an error calls it.
  static Result<OpenFile> file_in(const Descriptor& folder, const std::string& name, std::string_view shown);
  static Result<Descriptor> folder_in(const Descriptor& folder, const std::string& name, std::string_view shown);

 private:
  explicit Root(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  Result<Descriptor> open_visible(const std::string& path, int flags) const;
  Status check_visible(const Descriptor& opened, std::string_view path) const;

  Descriptor descriptor_;
};

}  // namespace weft::tools
