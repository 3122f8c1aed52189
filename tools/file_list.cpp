#include <fcntl.h>
#include <sys/stat.h>

#include <deque>

#include "base/bytes.h"
#include "tools/file_work.h"

namespace weft::tools {
namespace {

// A folder whose names are still to be listed: its path beneath the listed one, empty or with '/' at its end.
struct Pending {
  std::string prefix;
  int depth = 1;
};

ListedName listed(const Descriptor& folder, const Name& name, const std::string& prefix) {
  ListedName entry;
  const std::string path = prefix + name.name;
  entry.escaped = !is_utf8(path);
  entry.name = entry.escaped ? printable(path) : path;
  entry.kind = name.kind;
  struct stat status = {};
  if (name.kind == NameKind::kFile &&
      ::fstatat(folder.number(), name.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    entry.size = static_cast<std::uint64_t>(status.st_size);
  }
  return entry;
}

}  // namespace

Result<Listing> list_folder(const View& view, const std::string& path, int depth, const FileLimits& limits,
                            const CallTime& time) {
  Listing listing;
  // Level by level, so that what is cut off is what lies deepest. Each that waits is one that was listed, so they are
  // few.
  std::deque<Pending> pending{{"", 1}};
  for (; !pending.empty(); pending.pop_front()) {
    const Pending next = pending.front();
    const auto folder = view.folder(next.prefix.empty() ? path : path + "/" + next.prefix);
    if (!folder && next.prefix.empty()) return Error(folder.error());
    // One beneath it that may not be entered, or is gone, was listed all the same.
    if (!folder) continue;
    WEFT_TRY(const View::Names names, view.names(*folder, time));
    listing.truncated = listing.truncated || !names.whole;
    for (const Name& name : names.names) {
      if (listing.names.size() >= limits.list_entries_max || time.over()) {
        listing.truncated = true;
        return listing;
      }
      listing.names.push_back(listed(*folder, name, next.prefix));
      if (name.kind == NameKind::kFolder && next.depth < depth) {
        pending.push_back({next.prefix + name.name + "/", next.depth + 1});
      }
    }
  }
  return listing;
}

}  // namespace weft::tools
