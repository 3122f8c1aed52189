#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/bytes.h"
#include "tools/file_work.h"

namespace weft::tools {
namespace {

// How much of a file is looked at to find the lines asked for, and to count the others.
constexpr std::uint64_t kScanBytesMax = std::uint64_t{64} << 20;
constexpr std::size_t kPieceBytes = 64 << 10;

// Goes through a file's bytes once and keeps those of the lines that were asked for.
class LineReader {
 public:
  LineReader(std::uint64_t from_line, std::uint64_t lines, std::size_t bytes_max)
      : from_(from_line),
        end_(lines > UINT64_MAX - from_line ? UINT64_MAX : from_line + lines),
        bytes_max_(bytes_max) {}

  void take(std::string_view piece) {
    while (!piece.empty()) {
      const std::size_t newline = piece.find('\n');
      const std::size_t size = newline == std::string_view::npos ? piece.size() : newline + 1;
      keep(piece.substr(0, size));
      in_line_ = newline == std::string_view::npos;
      if (!in_line_) ++line_;
      piece.remove_prefix(size);
    }
  }

  // The number of whole and begun lines so far.
  std::uint64_t lines() const { return line_ - 1 + (in_line_ ? 1 : 0); }
  bool has_all() const { return line_ >= end_; }
  bool cut() const { return cut_; }
  std::uint64_t last_kept() const { return last_kept_; }
  const std::string& text() const { return text_; }

 private:
  void keep(std::string_view part) {
    if (line_ < from_ || line_ >= end_ || cut_) return;
    const std::size_t room = bytes_max_ - text_.size();
    cut_ = part.size() > room;
    const std::string_view kept = part.substr(0, room);
    if (kept.empty()) return;
    text_ += kept;
    last_kept_ = line_;
  }

  const std::uint64_t from_;
  const std::uint64_t end_;  // The line after the last one asked for.
  const std::size_t bytes_max_;
  std::string text_;
  std::uint64_t line_ = 1;
  std::uint64_t last_kept_ = 0;
  bool in_line_ = false;
  bool cut_ = false;
};

// A text that was cut ends with a whole line where it has one, else with a whole character.
std::string_view tidy_end(std::string_view text, std::uint64_t& last_line) {
  const std::size_t newline = text.find_last_of('\n');
  if (newline == std::string_view::npos) return without_cut_character(text);
  if (newline + 1 < text.size()) --last_line;
  return text.substr(0, newline + 1);
}

}  // namespace

std::string_view without_cut_character(std::string_view text) {
  // At most three bytes of a character that goes on behind the cut.
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const std::size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? text.substr(0, text.size() - back) : text;
  }
  return text;
}

Result<Excerpt> read_lines(const View& view, const std::string& path, std::uint64_t from_line, std::uint64_t lines,
                           const FileLimits& limits, const CallTime& time) {
  WEFT_TRY(const OpenFile file, view.file(path));
  LineReader reader(from_line, lines, limits.read_bytes_max);
  std::string piece(kPieceBytes, '\0');
  std::uint64_t scanned = 0;
  bool whole = false;
  while (scanned < kScanBytesMax && !time.over()) {
    const ssize_t size = ::read(file.descriptor.number(), piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0)
      return failed_precondition(fmt::format("'{}' cannot be read: {}", printable(path), std::strerror(errno)));
    whole = size == 0;
    if (whole) break;
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(size));
    if (const std::size_t nul = bytes.find('\0'); nul != std::string_view::npos) {
      return failed_precondition(
          fmt::format("'{}' is not text: byte {} of its {} is NUL", printable(path), scanned + nul + 1, file.size));
    }
    reader.take(bytes);
    scanned += bytes.size();
  }
  Excerpt excerpt;
  excerpt.truncated = reader.cut() || (!whole && !reader.has_all());
  std::uint64_t last_line = reader.last_kept();
  const std::string_view text =
      excerpt.truncated ? tidy_end(reader.text(), last_line) : std::string_view(reader.text());
  excerpt.text = as_utf8(text, excerpt.bytes_replaced);
  excerpt.to_line = text.empty() ? from_line - 1 : last_line;
  if (whole) excerpt.lines_total = reader.lines();
  return excerpt;
}

}  // namespace weft::tools
