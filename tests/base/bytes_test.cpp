#include "base/bytes.h"

#include <catch2/catch.hpp>
#include <string>

namespace weft {
namespace {

TEST_CASE("SHA-256 gives the published digests, in one piece, in many, and from a copy") {
  CHECK(to_hex(view(sha256(""))) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(view(sha256("abc"))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hasher;
  hasher.update("a");
  Sha256 copy(hasher);
  hasher.update("bc");
  copy.update("bd");
  CHECK(hasher.finish() == sha256("abc"));
  CHECK(copy.finish() == sha256("abd"));
  CHECK(hasher.finish() == sha256(""));
  hasher.update("ab");
  copy = hasher;
  copy.update("c");
  CHECK(copy.finish() == sha256("abc"));
  CHECK(hasher.finish() == sha256("ab"));
}

TEST_CASE("hexadecimal text goes both ways, and what is none is refused") {
  const std::string bytes("\x00\x0f\xff", 3);
  CHECK(to_hex(bytes) == "000fff");
  CHECK(*from_hex("000fff") == bytes);
  CHECK(*from_hex("000FfF") == bytes);
  CHECK(from_hex("")->empty());
  for (const char* bad : {"0", "0g", "0x"}) CHECK_FALSE(from_hex(bad));
}

TEST_CASE("only well-formed UTF-8 is UTF-8") {
  for (const char* good : {"", "abc", "é", "世界", "😀", "\xEF\xBF\xBD", "\xF4\x8F\xBF\xBF"}) CHECK(is_utf8(good));
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF0\x80\x80\xAF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "a\xE4\xB8"}) {
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("printable text holds nothing that a terminal would obey") {
  CHECK(printable("a\tb\nc é") == "a\\tb\\nc é");
  CHECK(printable_lines("a\tb\nc é\r") == "a\tb\nc é\\x0d");
  CHECK(printable("\x1b[31m") == "\\x1b[31m");
  CHECK(printable(std::string("\0\x7f\r", 3)) == "\\x00\\x7f\\x0d");
  CHECK(printable("\xC2\x9B") == "\\xc2\\x9b");
  CHECK(printable("\xFFx") == "\\xffx");
}

TEST_CASE("printable text holds nothing that hides, turns round or begins a line") {
  CHECK(printable("a\u202eb") == "a\\u202eb");
  for (const char* hidden : {"\u00ad", "\u061c", "\u180e", "\u200b", "\u200e", "\u200f", "\u2028", "\u2029", "\u202a",
                             "\u2060", "\u2066", "\u2069", "\ufeff", "\u3164", "\u115f", "\U000e0041", "\U0001d173"}) {
    CAPTURE(hidden);
    const std::string text = std::string("a") + hidden + "b";
    CHECK_FALSE(printable(text).contains(hidden));
    CHECK_FALSE(printable_lines(text).contains(hidden));
    CHECK(printable(text).starts_with("a\\"));
    CHECK_FALSE(shown_json("\"" + text + "\"").contains(hidden));
  }
  // Letters of scripts, marks, emoji with what joins them, and a word of Persian stay as they are.
  for (const char* seen : {"é", "e\u0301", "日本", "👩\u200d💻", "می\u200cخواهم", "❤\ufe0f", "🏳\ufe0f\u200d🌈"}) {
    CAPTURE(seen);
    CHECK(printable(seen) == seen);
  }
  CHECK(printable("pay\u200dpal") == "pay\\u200dpal");
  CHECK(printable("\u200d") == "\\u200d");
  CHECK(shown_json("{\"a\": \"\u202e\U000e0041\"}\n") == "{\"a\": \"\\u202e\\udb40\\udc41\"}\n");
}

TEST_CASE("the 64-bit hash is the beginning of the digest, little endian") { CHECK(hash64("") == 0x141cfc9842c4b0e3); }

}  // namespace
}  // namespace weft
