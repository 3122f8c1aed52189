#include "tools/fence.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/bytes.h"

namespace weft::tools {
namespace {

constexpr std::size_t kFoldersKnownMax = 256;  // Of the hidden folders whose links are remembered.
// A file system's times come from a clock that ticks, on some by the hundredth of a second.
constexpr Duration kTick{20'000};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, lower, lower); }

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

// NAME of NAME.db.
std::string stem_of(const std::string& path) {
  const std::size_t dot = path.find_last_of('.');
  const std::size_t name = path.find_last_of('/') + 1;
  return dot == std::string::npos || dot <= name ? path : path.substr(0, dot);
}

Time changed_at(const struct stat& status) {
  const auto since = std::chrono::seconds(status.st_ctim.tv_sec) + std::chrono::nanoseconds(status.st_ctim.tv_nsec);
  return Time(std::chrono::duration_cast<Duration>(since));
}

// Goes through a folder and those in it, and keeps the files that have more than one name. False: there are too many.
bool find_links(const std::string& folder, std::size_t& seen, std::vector<Inode>& found) {
  std::vector<std::string> pending{folder};
  while (!pending.empty()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(path.c_str()), ::closedir);
    if (stream == nullptr) continue;
    while (const dirent* entry = ::readdir(stream.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (++seen > Fence::kHiddenFilesMax) return false;
      struct stat status = {};
      if (::fstatat(::dirfd(stream.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (S_ISREG(status.st_mode) && status.st_nlink > 1) found.push_back(Inode::of(status));
      const bool packed = path == folder && name == "objects";
      if (S_ISDIR(status.st_mode) && !packed) pending.push_back(path + "/" + entry->d_name);
    }
  }
  return true;
}

}  // namespace

bool is_hidden(std::string_view name) {
  return std::ranges::any_of(kHiddenNames, [&](std::string_view hidden) { return same_name(name, hidden); });
}

bool Closed::has(const Inode& inode) const { return std::ranges::binary_search(inodes_, inode); }

bool Closed::may_have(ino_t number) const {
  return std::ranges::any_of(inodes_, [&](const Inode& inode) { return inode.number == number; });
}

bool Closed::has(const Inode& folder, std::string_view name) const {
  return std::ranges::any_of(names_, [&](const NameRule& rule) {
    if (rule.folder != folder || name.size() < rule.name.size()) return false;
    return same_name(rule.begins ? name.substr(0, rule.name.size()) : name, rule.name);
  });
}

void Closed::add(const std::string& path, bool begins) {
  struct stat status = {};
  // Where it is a link, the link and what it leads to.
  if (::lstat(path.c_str(), &status) == 0) inodes_.push_back(Inode::of(status));
  if (::stat(path.c_str(), &status) == 0) inodes_.push_back(Inode::of(status));
  if (::stat(folder_of(path).c_str(), &status) == 0) names_.push_back({Inode::of(status), name_of(path), begins});
}

Closed Fence::now() const {
  constexpr bool kAlone = false;
  constexpr bool kBegins = true;
  Closed closed;
  for (const std::string& path : paths_.files) closed.add(path, kAlone);
  for (const std::string& path : paths_.folders) closed.add(path, kAlone);
  for (const std::string& path : paths_.stores) {
    closed.add(path, kBegins);
    for (const char* suffix : {"-wal", "-shm", "-journal", ".lock"}) closed.add(path + suffix, kAlone);
    for (const char* suffix : {".sock", ".token"}) closed.add(stem_of(path) + suffix, kBegins);
    closed.add(stem_of(path) + ".tokens", kAlone);
  }
  std::ranges::sort(closed.inodes_);
  return closed;
}

const Fence::Links& Fence::links_in(const std::string& hidden, Time changed) const {
  const SystemClock clock;
  const auto known = links_.find(hidden);
  if (known != links_.end() && clock.monotonic() - known->second.at < kLinksAge &&
      changed + kTick < known->second.begun) {
    return known->second;
  }
  if (links_.size() >= kFoldersKnownMax) links_.clear();
  Links links;
  links.begun = clock.now();
  struct stat status = {};
  if (::stat(hidden.c_str(), &status) == 0) {
    std::size_t seen = 0;
    links.inodes.push_back(Inode::of(status));
    if (S_ISDIR(status.st_mode)) links.whole = find_links(hidden, seen, links.inodes);
    std::ranges::sort(links.inodes);
  }
  links.at = clock.monotonic();
  return links_.insert_or_assign(hidden, std::move(links)).first->second;
}

Status Fence::check_links(const std::string& place, const struct stat& status, std::string_view shown) const {
  const Inode inode = Inode::of(status);
  // A further name of a file, and another place for one, change the time of its status.
  const Time changed = changed_at(status);
  const std::lock_guard lock(mutex_);
  for (std::string folder = folder_of(place);; folder = folder_of(folder)) {
    for (const std::string_view name : kHiddenNames) {
      const std::string hidden = fmt::format("{}/{}", folder == "/" ? "" : folder, name);
      const Links& links = links_in(hidden, changed);
      if (std::ranges::binary_search(links.inodes, inode)) {
        return permission_denied(
            fmt::format("'{}' is a hard link to a file of {}, which these tools leave alone", printable(shown), name));
      }
      if (!links.whole) {
        return permission_denied(fmt::format(
            "'{}' is a hard link, and '{}' holds more than {} files, so whether it leads there is not known: "
            "make a copy of it",
            printable(shown), printable(hidden), kHiddenFilesMax));
      }
    }
    if (folder == "/" || folder == ".") return {};
  }
}

}  // namespace weft::tools
