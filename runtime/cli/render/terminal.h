// Where a command writes: results on stdout, everything else on stderr, with colour only where a person sees it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/engine/config.h"

namespace weft::cli {

enum class Format : std::uint8_t { kText, kJson, kNdjson };
enum class Colour : std::uint8_t { kPlain, kDim, kBold, kGreen, kRed, kYellow };

// How a text may look where it is shown.
struct Look {
  bool unicode = true;
  bool colour = false;
  std::size_t width = 120;  // Columns.
};
std::string paint(const Look& look, Colour colour, std::string_view text);

// One thread writes at a time.
class Terminal {
 public:
  enum class Colours : std::uint8_t { kWhereShown, kNever };
  Terminal(Format format, Colours colours, const engine::Getenv& environment);

  Format format() const { return format_; }
  bool is_text() const { return format_ == Format::kText; }
  bool err_is_tty() const { return err_is_tty_; }
  bool out_closed() const { return out_closed_; }
  // Something of the results could not be written, for another reason than a reader that left.
  bool output_lost() const { return output_lost_; }
  const Look& out_look() const { return out_look_; }
  const Look& err_look() const { return err_look_; }

  // A closed pipe is silent: what follows is dropped.
  void out(std::string_view text);
  void out_line(std::string_view text);
  void err_line(std::string_view text);
  // "error: SENTENCE" and the way out, or the object of `-o json`.
  void error(const Error& error);
  // Foreign text of several lines for stdout: as it is, but on a terminal without anything that it would obey.
  std::string shown(const std::string& text) const;
  // One line at the bottom of a terminal that the next one replaces. Nothing off a terminal.
  void transient(std::string_view text);

 private:
  void write(int descriptor, std::string_view text);
  void clear_transient();

  Format format_;
  bool out_is_tty_ = false;
  bool err_is_tty_ = false;
  Look out_look_;
  Look err_look_;
  bool transient_shown_ = false;
  bool out_closed_ = false;
  bool output_lost_ = false;
};

// `text` in at most `columns` characters, on one line, without anything that a terminal would obey.
std::string clip(std::string_view text, std::size_t columns, bool unicode);

}  // namespace weft::cli
