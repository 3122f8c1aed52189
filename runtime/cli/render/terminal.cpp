#include "runtime/cli/render/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/json.h"
#include "runtime/cli/render/json_view.h"

namespace weft::cli {
namespace {

bool is_utf8_locale(const engine::Getenv& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    auto value = environment(name);
    if (!value || value->empty()) continue;
    std::ranges::transform(*value, value->begin(), [](unsigned char c) { return std::tolower(c); });
    return value->find("utf-8") != std::string::npos || value->find("utf8") != std::string::npos;
  }
  return false;
}

Look look_of(int descriptor, Terminal::Colours colours, const engine::Getenv& environment) {
  Look look;
  const auto no_color = environment("NO_COLOR");
  look.unicode = is_utf8_locale(environment);
  look.colour = colours == Terminal::Colours::kWhereShown && !(no_color && !no_color->empty()) &&
                environment("TERM") != "dumb" && ::isatty(descriptor) == 1;
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) look.width = size.ws_col;
  return look;
}

// A sentence of several lines: those after the first are set in, so that none looks like a line of ours.
std::string set_in(const std::string& text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    result += text[at];
    if (text[at] == '\n' && text.compare(at + 1, 2, "  ") != 0) result += "  ";
  }
  return result;
}

}  // namespace

std::string paint(const Look& look, Colour colour, std::string_view text) {
  static constexpr std::string_view kCodes[] = {"", "\x1b[2m", "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[33m"};
  if (!look.colour || colour == Colour::kPlain) return std::string(text);
  return std::string(kCodes[std::to_underlying(colour)]) + std::string(text) + "\x1b[0m";
}

Terminal::Terminal(Format format, Colours colours, const engine::Getenv& environment)
    : format_(format),
      out_is_tty_(::isatty(STDOUT_FILENO) == 1),
      err_is_tty_(::isatty(STDERR_FILENO) == 1),
      out_look_(look_of(STDOUT_FILENO, colours, environment)),
      err_look_(look_of(STDERR_FILENO, colours, environment)) {}

void Terminal::write(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      if (descriptor == STDOUT_FILENO) out_closed_ = true;
      // A pipe that its reader closed is silent; anything else is a loss.
      if (descriptor == STDOUT_FILENO && errno != EPIPE) output_lost_ = true;
      return;
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

void Terminal::out(std::string_view text) {
  clear_transient();
  if (out_closed_) return;
  if (!is_text() && out_is_tty_) return write(STDOUT_FILENO, shown_json(text));
  write(STDOUT_FILENO, text);
}

void Terminal::out_line(std::string_view text) {
  std::string line(text);
  line += '\n';
  out(line);
}

void Terminal::err_line(std::string_view text) {
  clear_transient();
  std::string line(text);
  line += '\n';
  write(STDERR_FILENO, line);
}

void Terminal::error(const Error& error) {
  if (!is_text()) return err_line(to_text(error_json(error)));
  err_line(paint(err_look_, Colour::kRed, "error: ") + set_in(printable_lines(error.message)));
}

std::string Terminal::shown(const std::string& text) const { return out_is_tty_ ? printable_lines(text) : text; }

void Terminal::transient(std::string_view text) {
  if (!err_is_tty_) return;
  write(STDERR_FILENO, "\r\x1b[K" + clip(text, err_look_.width - 1, err_look_.unicode));
  transient_shown_ = true;
}

void Terminal::clear_transient() {
  if (!transient_shown_) return;
  transient_shown_ = false;
  write(STDERR_FILENO, "\r\x1b[K");
}

std::string clip(std::string_view text, std::size_t columns, bool unicode) {
  // Cut roughly first, so that a text of megabytes costs nothing; a character has at most four bytes.
  const std::size_t bytes_max = (columns + 1) * 4;
  const bool cut = text.size() > bytes_max;
  std::string line(text.substr(0, bytes_max));
  while (cut && !line.empty() && (static_cast<unsigned char>(line.back()) & 0xC0) == 0x80) line.pop_back();
  if (cut && !line.empty() && static_cast<unsigned char>(line.back()) >= 0xC0) line.pop_back();
  std::ranges::replace(line, '\n', ' ');
  std::ranges::replace(line, '\t', ' ');
  line = printable(line);
  std::size_t characters = 0;
  std::size_t end = 0;
  const std::string_view mark = unicode ? "…" : "...";
  const std::size_t mark_columns = unicode ? 1 : 3;
  std::size_t end_with_mark = 0;
  for (; end < line.size(); ++end) {
    if ((static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) continue;
    if (characters + mark_columns <= columns) end_with_mark = end;
    if (characters == columns) break;
    ++characters;
  }
  if (end == line.size() && !cut) return line;
  if (end == line.size() && characters + mark_columns <= columns) end_with_mark = end;
  return line.substr(0, end_with_mark) + std::string(mark);
}

}  // namespace weft::cli
