#include <fmt/format.h>
#include <re2/re2.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/bytes.h"
#include "tools/file_work.h"

namespace weft::tools {
namespace {

constexpr std::int64_t kPatternMemoryMax = 8 << 20;  // Bytes; RE2 refuses patterns that need more.
constexpr std::size_t kPatternBytesMax = 4'096;
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
  Search(const RE2& pattern, const FileLimits& limits, const CallTime& time)
      : pattern_(pattern), limits_(limits), time_(time) {}

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

  const RE2& pattern_;
  const FileLimits& limits_;
  const CallTime& time_;
  Matches found_;
  std::string content_;  // Of the file at hand; kept for its memory.
};

void Search::folder(const Descriptor& folder, const std::string& prefix, std::size_t depth) {
  const auto names = Root::names(folder);
  if (!names) {
    found_.truncated = true;
    return;
  }
  for (const Name& name : *names) {
    if (full()) return;
    const std::string path = prefix + name.name;
    if (name.kind == NameKind::kFolder) {
      const auto inner = Root::folder_in(folder, name.name, path);
      // A folder that may not be entered is passed over; one too deep is cut.
      if (inner && depth < kDepthMax) this->folder(*inner, path + "/", depth + 1);
      if (depth >= kDepthMax) found_.truncated = true;
    } else if (name.kind == NameKind::kFile) {
      const auto inner = Root::file_in(folder, name.name, path);
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

void Search::look_into_lines(const std::string& path) {
  const re2::StringPiece all(content_);
  std::uint64_t line = 1;
  std::size_t counted = 0;  // Up to here, newlines are in `line`.
  for (std::size_t at = 0; at < content_.size();) {
    if (time_.over()) {
      found_.truncated = true;
      return;
    }
    // The whole text at once finds the line quickly; the line alone then decides, since a match may span lines.
    re2::StringPiece hit;
    if (!pattern_.Match(all, at, content_.size(), RE2::UNANCHORED, &hit, 1)) return;
    const std::size_t start = static_cast<std::size_t>(hit.data() - content_.data());
    if (start >= content_.size()) return;
    const std::size_t before = start == 0 ? std::string::npos : content_.rfind('\n', start - 1);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    const std::size_t end = std::min(content_.find('\n', start), content_.size());
    line += static_cast<std::uint64_t>(std::count(content_.begin() + static_cast<std::ptrdiff_t>(counted),
                                                  content_.begin() + static_cast<std::ptrdiff_t>(begin), '\n'));
    counted = begin;
    const re2::StringPiece alone(content_.data() + begin, end - begin);
    if (RE2::PartialMatch(alone, pattern_)) {
      if (full()) return;
      std::size_t replaced = 0;
      const std::string_view shown(alone.data(), alone.size());
      const bool cut = shown.size() > kLineBytesMax;
      std::string text = as_utf8(cut ? without_cut_character(shown.substr(0, kLineBytesMax)) : shown, replaced);
      if (cut) text += "…";
      found_.matches.push_back({path, line, std::move(text)});
    }
    at = end + 1;
  }
}

}  // namespace

Result<Matches> search_files(const Root& root, const std::string& path, const std::string& pattern,
                             const FileLimits& limits, const CallTime& time) {
  if (pattern.size() > kPatternBytesMax) {
    return invalid_argument(fmt::format("a pattern has at most {} bytes", kPatternBytesMax));
  }
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemoryMax);
  const RE2 compiled("(?m)" + pattern, options);
  if (!compiled.ok()) {
    return invalid_argument(fmt::format("the pattern is not a regular expression of RE2: {}", compiled.error()));
  }
  Search search(compiled, limits, time);
  const auto folder = root.folder(path);
  if (folder) {
    search.folder(*folder, path == "." ? "" : path + (path.ends_with('/') ? "" : "/"), 1);
    return search.take();
  }
  if (folder.error().code != Code::kFailedPrecondition) return Error(folder.error());
  WEFT_TRY(const OpenFile file, root.file(path));
  search.file(file, path);
  return search.take();
}

}  // namespace weft::tools
