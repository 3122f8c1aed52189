// What the file tools do, without the JSON around it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/beneath.h"
#include "tools/call_time.h"
#include "tools/files.h"

namespace weft::tools {

struct ListedName {
  std::string name;  // Relative to the listed folder; UTF-8.
  NameKind kind = NameKind::kOther;
  std::uint64_t size = 0;  // Bytes; of files.
  bool escaped = false;    // The name is not UTF-8: shown with \xNN, and cannot be named in a call.
};

struct Listing {
  std::vector<ListedName> names;  // A folder's names before those in its folders; each folder by bytes.
  bool truncated = false;
};

inline constexpr int kListDepthMax = 8;
// `depth` 1 is the folder alone. Links are shown, not entered.
Result<Listing> list_folder(const View& view, const std::string& path, int depth, const FileLimits& limits,
                            const CallTime& time);

struct Excerpt {
  std::string text;           // UTF-8; the lines as they are, with their ends.
  std::uint64_t to_line = 0;  // The last line that `text` has something of; before the first where it is empty.
  std::optional<std::uint64_t> lines_total;  // Where the whole file was looked at.
  std::size_t bytes_replaced = 0;            // Bytes that were not UTF-8, now U+FFFD.
  bool truncated = false;                    // Not all of what was asked for.
};

// Lines `from_line` (from 1) to `from_line + lines - 1`. Refuses what is not text.
Result<Excerpt> read_lines(const View& view, const std::string& path, std::uint64_t from_line, std::uint64_t lines,
                           const FileLimits& limits, const CallTime& time);

struct Match {
  std::string path;
  std::uint64_t line = 0;
  std::string text;  // The line without its end, cut where it is long.
};

struct Matches {
  std::vector<Match> matches;  // By path, then line.
  std::size_t files_searched = 0;
  std::size_t files_skipped = 0;  // Too large, not text, not to be opened, or with a name that is not UTF-8.
  bool truncated = false;
};

// Lines in which `pattern` (RE2) is found, in one file or all beneath a folder. Links are not followed below `path`.
Result<Matches> search_files(const View& view, const std::string& path, const std::string& pattern,
                             const FileLimits& limits, const CallTime& time);

struct Appending {
  ToolStatus status = ToolStatus::kDone;
  std::string reason;     // Where not done.
  std::size_t bytes = 0;  // That were added.
};

// Adds one line, durably. Where the file's last line has no end, it gets one first.
Appending append_line(const View& view, const std::string& path, const std::string& line, const FileLimits& limits,
                      const CallTime& time);

// For a text that was cut somewhere: without the beginning of the character that the cut went through.
std::string_view without_cut_character(std::string_view text);

}  // namespace weft::tools
