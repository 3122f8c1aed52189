// Opening what lies beneath one folder, and nothing else: the kernel resolves the path, so no race and no link gets
// out.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tools/call_time.h"
#include "tools/fence.h"

namespace weft::tools {

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

class View;

// The folder beneath which tools work.
//
// Invariants:
//  1. Whatever is opened was beneath the root when the kernel resolved it; links are followed where they stay beneath.
//  2. Files are regular files of a file system that holds files; nothing blocks: a FIFO or a device is refused in
//  words.
//  3. What the fence closes is not opened, by whatever name, link or hard link: a descriptor that cannot read (O_PATH)
//     is looked at first, and the file is opened through it.
//  4. What is appended to has one name.
// Thread-safe. Errors name the path as the caller gave it.
class Root {
 public:
  // FAILED_PRECONDITION where `path` is no folder that can be opened, UNIMPLEMENTED where the kernel has no openat2.
  static Result<Root> open(const std::string& path, ClosedPaths closed = {});

  // For one call of a tool: what is closed counts as of now. Outlived by the root.
  View view() const;

 private:
  friend class View;
  Root(Descriptor descriptor, ClosedPaths closed)
      : descriptor_(std::move(descriptor)), fence_(std::make_unique<Fence>(std::move(closed))) {}

  Descriptor descriptor_;
  std::unique_ptr<Fence> fence_;
};

// What one call of a tool sees of the root.
class View {
 public:
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
  struct Names {
    std::vector<Name> names;
    bool whole = true;  // Otherwise the time was over.
  };
  Result<Names> names(const Descriptor& folder, const CallTime& time) const;
  // One of these names in that folder, links not followed. `shown` is how an error calls it.
  Result<OpenFile> file_in(const Descriptor& folder, const std::string& name, std::string_view shown) const;
  Result<Descriptor> folder_in(const Descriptor& folder, const std::string& name, std::string_view shown) const;

 private:
  friend class Root;
  enum class Want : std::uint8_t { kRead, kAppend, kFolder };
  View(const Root& root, Closed closed) : root_(root), closed_(std::move(closed)) {}
  Result<OpenFile> open_visible(const std::string& path, Want want) const;
  Result<OpenFile> open_again(const Descriptor& found, std::string_view shown, Want want) const;
  Status check_place(const Descriptor& found, std::string_view shown) const;
  Status check_inode(const Descriptor& found, const struct stat& status, std::string_view shown, Want want) const;

  const Root& root_;
  const Closed closed_;
};

}  // namespace weft::tools
