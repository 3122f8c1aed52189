// What the escapes of a text stand for, one at a time: JSON's, percent-encoding, HTML's character references.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weft {

// One reading of a few characters of a text. Some can be read in several ways, since a text may have been escaped
// several times: `\\n` is a backslash and an n, or a newline that was escaped twice.
struct Unescaped {
  std::array<char, 4> bytes{};
  std::uint8_t count = 0;   // Of `bytes`: what it stands for; one character of UTF-8.
  std::uint8_t length = 0;  // Of the text that says so.
};

inline constexpr std::size_t kReadingsMax = 8;
// A text escaped three times has runs of backslashes of this length; longer ones are read from their end.
inline constexpr std::size_t kBackslashesMax = 8;

struct Readings {
  std::array<Unescaped, kReadingsMax> list{};
  std::size_t count = 0;
  bool cut = false;  // The text ends where an escape may go on.
};

// Whether an escape may begin with this byte.
constexpr bool begins_escape(char c) { return c == '\\' || c == '%' || c == '&' || c == '+'; }

// What stands at `at` beside the byte itself. Of JSON: \" \\ \/ \b \f \n \r \t \uXXXX (and \xNN, as `printable`
// writes), each also where its backslashes were escaped again; %XX, also with its % encoded again, and + for a blank;
// &amp; &lt; &gt; &quot; &apos; and numbers.
Readings readings_at(std::string_view text, std::size_t at);

}  // namespace weft
