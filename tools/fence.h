// What the file tools leave alone though it lies beneath their root: the repository's folder, weft's own files, and
// whatever is the same file as one of these under another name.
#pragma once

#include <sys/stat.h>

#include <compare>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace weft::tools {

// Neither listed, searched, read nor written wherever they stand, in upper case or lower: the repository's folder (its
// hooks are programs), the store (other runs' contents) and the configuration (it says where keys are sent).
inline constexpr std::string_view kHiddenNames[] = {".git", ".weft", "weft.yaml"};
bool is_hidden(std::string_view name);

// What the engine stands on, by absolute paths. What stands there counts when a tool looks: it may be made later.
struct ClosedPaths {
  std::vector<std::string> files;
  std::vector<std::string> folders;  // With all that is in them.
  // Databases: the files beside them whose names begin with theirs too, and those that begin with NAME.sock or
  // NAME.token of NAME.db. SQLite's locks are lost when any descriptor of these files is closed, so none is ever
  // opened.
  std::vector<std::string> stores;
};

// A file or folder, whatever its name.
struct Inode {
  dev_t device = 0;
  ino_t number = 0;
  static Inode of(const struct stat& status) { return {status.st_dev, status.st_ino}; }
  auto operator<=>(const Inode&) const = default;
};

// What is closed at one moment. Immutable.
class Closed {
 public:
  bool has(const Inode& inode) const;
  // Whether one has this number, on whatever device.
  bool may_have(ino_t number) const;
  // A name in an open folder, also one that is not there yet.
  bool has(const Inode& folder, std::string_view name) const;

 private:
  friend class Fence;
  struct NameRule {
    Inode folder;
    std::string name;
    bool begins = false;  // Those that begin with `name` too.
  };
  void add(const std::string& path, bool begins);

  std::vector<Inode> inodes_;  // Sorted.
  std::vector<NameRule> names_;
};

// Thread-safe.
class Fence {
 public:
  explicit Fence(ClosedPaths paths) : paths_(std::move(paths)) {}

  // A few dozen system calls: asked once for each call of a tool.
  Closed now() const;

  // For a file with more than one hard link, which stands at `place` (absolute): OK where none of them is known to be
  // in a hidden folder beside it or above it. Those are looked through at most once in kLinksAge, and again for a file
  // that was linked or renamed since then. The contents of a repository (`.git/objects`) are not: they are packed, and
  // clones of one machine share them.
  static constexpr std::size_t kHiddenFilesMax = 20'000;
  static constexpr Duration kLinksAge{1'000'000};
  Status check_links(const std::string& place, const struct stat& status, std::string_view shown) const;

 private:
  // The files in a hidden folder that have further names.
  struct Links {
    std::vector<Inode> inodes;
    bool whole = true;
    Duration at{};
    Time begun{};
  };
  // Looked through after `changed`. REQUIRES: mutex_ is held.
  const Links& links_in(const std::string& hidden, Time changed) const;

  const ClosedPaths paths_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, Links> links_;  // By path; guarded by mutex_.
};

}  // namespace weft::tools
