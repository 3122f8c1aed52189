#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"
#include "base/pattern.h"
#include "tools/file_work.h"

namespace weft::tools {
namespace {

// A file is searched in slices, so that the time is looked at between them. A line that is longer is searched in
// several, which overlap.
constexpr std::uint64_t kSliceUnits = 4'000'000;  // Of a Budget, about: 20 ms.
constexpr std::size_t kSliceBytesMin = 4 << 10;
constexpr std::size_t kSliceBytesMax = 64 << 10;
constexpr std::size_t kOverlapBytes = 1 << 10;
constexpr std::size_t kDepthMax = 64;       // Folders in folders; what is deeper is cut.
constexpr std::size_t kLineBytesMax = 500;  // Of a line that is shown.

// Those that stand before a newline.
void remove_carriage_returns(std::string& text) {
  std::size_t kept = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\r' || at + 1 == text.size() || text[at + 1] != '\n') text[kept++] = text[at];
  }
  text.resize(kept);
}

class Search {
 public:
  Search(const View& view, const Pattern& pattern, const FileLimits& limits, const CallTime& time)
      : view_(view), pattern_(pattern), limits_(limits), time_(time) {
    while (slice_ > kSliceBytesMin && pattern.cost(slice_) > kSliceUnits) slice_ /= 2;
  }

  void folder(const Descriptor& folder, const std::string& prefix, std::size_t depth);
  void file(const OpenFile& file, const std::string& path);
  Matches take() { return std::move(found_); }

 private:
  bool full() {
    if (found_.matches.size() < limits_.search_matches_max && found_.files_searched < limits_.search_files_max &&
        !time_.over()) {
      return false;
    }
    found_.truncated = true;
    return true;
  }
  bool load(const OpenFile& file);
  void look_into_lines(const std::string& path);
  std::size_t find(std::string_view text, std::size_t from);
  void add(const std::string& path, std::uint64_t line, std::string_view text);

  const View& view_;
  const Pattern& pattern_;
  const FileLimits& limits_;
  const CallTime& time_;
  Matches found_;
  std::string content_;  // Of the file at hand; kept for its memory.
  std::size_t slice_ = kSliceBytesMax;
};

void Search::folder(const Descriptor& folder, const std::string& prefix, std::size_t depth) {
  const auto names = view_.names(folder, time_);
  found_.truncated = found_.truncated || !names || !names->whole;
  if (!names) return;
  for (const Name& name : names->names) {
    if (full()) return;
    const std::string path = prefix + name.name;
    if (name.kind == NameKind::kFolder) {
      const auto inner = view_.folder_in(folder, name.name, path);
      // A folder that may not be entered is passed over; one too deep is cut.
      if (inner && depth < kDepthMax) this->folder(*inner, path + "/", depth + 1);
      if (depth >= kDepthMax) found_.truncated = true;
    } else if (name.kind == NameKind::kFile) {
      const auto inner = view_.file_in(folder, name.name, path);
      if (inner && is_utf8(path)) {
        file(*inner, path);
      } else {
        ++found_.files_skipped;
      }
    }
  }
}

// Reads the whole file where it is text that is small enough. Lines end with '\n' afterwards, not with "\r\n".
bool Search::load(const OpenFile& file) {
  if (file.size > limits_.search_file_bytes_max) return false;
  // One byte more shows a file that has grown.
  content_.resize(static_cast<std::size_t>(file.size) + 1);
  std::size_t size = 0;
  while (size < content_.size()) {
    if (time_.over()) return false;
    const ssize_t count = ::read(file.descriptor.number(), content_.data() + size, content_.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  content_.resize(size);
  if (content_.find('\0') != std::string::npos) return false;
  remove_carriage_returns(content_);
  return true;
}

void Search::file(const OpenFile& file, const std::string& path) {
  if (!load(file)) {
    ++found_.files_skipped;
    return;
  }
  ++found_.files_searched;
  look_into_lines(path);
}

// As Pattern::find(), slice by slice; npos also where the time is over.
std::size_t Search::find(std::string_view text, std::size_t from) {
  while (from < text.size() && !time_.over()) {
    std::size_t to = std::min(from + slice_, text.size());
    // Between lines, where one ends in the slice.
    const std::size_t line_end = to == text.size() ? std::string_view::npos : text.rfind('\n', to - 1);
    const bool within_line = to < text.size() && (line_end == std::string_view::npos || line_end < from);
    if (to < text.size() && !within_line) to = line_end + 1;
    const std::size_t hit = pattern_.find(text, from, to);
    if (hit != std::string_view::npos) return hit;
    from = within_line ? to - kOverlapBytes : to;
  }
  return std::string_view::npos;
}

void Search::look_into_lines(const std::string& path) {
  const std::string_view all = content_;
  std::uint64_t line = 1;
  std::size_t counted = 0;  // Up to here, newlines are in `line`.
  for (std::size_t at = 0; at < all.size();) {
    // The whole text at once finds the line quickly; the line alone then decides, since a match may span lines.
    const std::size_t start = find(all, at);
    if (time_.over()) found_.truncated = true;
    if (start >= all.size()) return;
    const std::size_t before = start == 0 ? std::string::npos : all.rfind('\n', start - 1);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    const std::size_t end = std::min(all.find('\n', start), all.size());
    line += static_cast<std::uint64_t>(std::count(all.begin() + static_cast<std::ptrdiff_t>(counted),
                                                  all.begin() + static_cast<std::ptrdiff_t>(begin), '\n'));
    counted = begin;
    const std::string_view alone = all.substr(begin, end - begin);
    if (find(alone, 0) != std::string_view::npos || (alone.empty() && pattern_.found_in(alone))) {
      if (full()) return;
      add(path, line, alone);
    }
    at = end + 1;
  }
}

void Search::add(const std::string& path, std::uint64_t line, std::string_view text) {
  std::size_t replaced = 0;
  const bool cut = text.size() > kLineBytesMax;
  std::string shown = as_utf8(cut ? without_cut_character(text.substr(0, kLineBytesMax)) : text, replaced);
  if (cut) shown += "…";
  found_.matches.push_back({path, line, std::move(shown)});
}

}  // namespace

Result<Matches> search_files(const View& view, const std::string& path, const std::string& pattern,
                             const FileLimits& limits, const CallTime& time) {
  WEFT_TRY(const Pattern compiled, Pattern::compile(pattern, Pattern::Lines::kEach));
  Search search(view, compiled, limits, time);
  const auto folder = view.folder(path);
  if (folder) {
    search.folder(*folder, path == "." ? "" : path + (path.ends_with('/') ? "" : "/"), 1);
    return search.take();
  }
  if (folder.error().code != Code::kFailedPrecondition) return Error(folder.error());
  WEFT_TRY(const OpenFile file, view.file(path));
  search.file(file, path);
  return search.take();
}

}  // namespace weft::tools
