// The bytes of a YAML file before the parser reads them. Private to this room.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "workflows/yaml.h"

namespace weft::yaml {

// The source with what the parser's marks need: byte offsets of lines, and the characters at a place.
// Borrows the text.
class Source {
 public:
  explicit Source(std::string_view text);

  std::size_t size() const { return text_.size(); }
  std::string_view at(std::size_t offset) const;
  std::string_view line(std::uint32_t number) const;
  // Where the first byte of the line after `offset`'s stands, or the end.
  std::size_t next_line(std::size_t offset) const;
  Mark mark(std::size_t offset) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> lines_;
};

std::string_view first_line(std::string_view text);

// Refuses what must not reach the parser, which guesses at encodings and takes byte 4 for the end of the file.
bool check_bytes(std::string_view text, const Source& source, Diagnostics& diagnostics);

// yaml-cpp ends a plain scalar at any `?` inside `{}` and `[]`, where YAML ends it at none; `{note: string?}` would not
// be read. What is no key indicator reaches it as a control character, which no source holds, and is put back.
// That character, which the text does not hold even as an escape in quotes; zero where it holds all of them.
char unused_control(std::string_view text);
std::string with_questions_hidden(std::string_view text, char control);

}  // namespace weft::yaml
