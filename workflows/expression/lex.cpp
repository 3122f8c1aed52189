#include "workflows/expression/lex.h"

#include <fmt/format.h>

#include <charconv>
#include <system_error>

namespace weft::workflows::expression {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c); }

int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void append_utf8(std::uint32_t code, std::string& out) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

std::optional<Token> Lexer::refuse(std::size_t offset, std::string message, std::string suggestion) {
  fault_ = {static_cast<std::uint32_t>(offset), std::move(message), std::move(suggestion)};
  return std::nullopt;
}

void Lexer::skip_space() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
      ++at_;
    } else if (c == '/' && peek(1) == '/') {
      while (at_ < text_.size() && text_[at_] != '\n') ++at_;
    } else {
      return;
    }
  }
}

std::optional<Token> Lexer::next() {
  skip_space();
  if (at_ >= text_.size()) {
    Token end;
    end.begin = end.end = static_cast<std::uint32_t>(text_.size());
    return end;
  }
  const char c = text_[at_];
  if (is_digit(c) || (c == '.' && is_digit(peek(1)))) return number();
  if (c == '"' || c == '\'') return quoted(at_, false);
  if ((c == 'r' || c == 'R') && (peek(1) == '"' || peek(1) == '\'')) {
    ++at_;
    return quoted(at_ - 1, true);
  }
  if ((c == 'b' || c == 'B') && (peek(1) == '"' || peek(1) == '\'')) {
    return refuse(at_, "there are no bytes literals, since values are JSON", "write the text without the b in front");
  }
  if (is_name_start(c)) return name();
  return sign();
}

std::optional<Token> Lexer::name() {
  Token token;
  token.kind = Token::Kind::kName;
  token.begin = static_cast<std::uint32_t>(at_);
  while (is_name_part(peek())) ++at_;
  token.end = static_cast<std::uint32_t>(at_);
  token.text = text_.substr(token.begin, token.end - token.begin);
  return token;
}

std::optional<Token> Lexer::number() {
  Token token;
  const std::size_t begin = at_;
  const bool hex = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
  if (hex) at_ += 2;
  const std::size_t digits = at_;
  while (hex ? digit_value(peek()) >= 0 : is_digit(peek())) ++at_;
  bool real = false;
  if (!hex && peek() == '.' && is_digit(peek(1))) {
    real = true;
    for (++at_; is_digit(peek());) ++at_;
  }
  const std::size_t sign_bytes = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
  if (!hex && (peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign_bytes))) {
    real = true;
    for (at_ += 1 + sign_bytes; is_digit(peek());) ++at_;
  }
  const std::string_view text = text_.substr(digits, at_ - digits);
  if (peek() == 'u' || peek() == 'U') {
    return refuse(begin, "there are no unsigned integers, since values are JSON", "write the number without the u");
  }
  if (is_name_part(peek()) || text.empty()) {
    return refuse(begin, "a number runs into a name", "a span of time is written duration(\"5m\")");
  }
  std::from_chars_result read{};
  if (real) {
    token.kind = Token::Kind::kDouble;
    read = std::from_chars(text.data(), text.data() + text.size(), token.number);
  } else {
    token.kind = Token::Kind::kInteger;
    read = std::from_chars(text.data(), text.data() + text.size(), token.magnitude, hex ? 16 : 10);
  }
  if (read.ec != std::errc{} || token.magnitude > std::uint64_t{1} << 63) {
    return refuse(begin, real ? "the number is out of range of a double" : "the integer does not fit into 64 bits",
                  real ? "" : "write it with a decimal point where a double will do");
  }
  token.begin = static_cast<std::uint32_t>(begin);
  token.end = static_cast<std::uint32_t>(at_);
  return token;
}

std::optional<Token> Lexer::sign() {
  constexpr std::string_view kPairs[] = {"&&", "||", "??", "==", "!=", "<=", ">="};
  constexpr std::string_view kSingles = "()[]{}.,?:+-*/%<>!";
  Token token;
  token.kind = Token::Kind::kSign;
  token.begin = static_cast<std::uint32_t>(at_);
  const std::string_view pair = text_.substr(at_, 2);
  for (const auto known : kPairs) {
    if (pair == known) token.text = known;
  }
  if (token.text.empty()) {
    const char c = text_[at_];
    if (c == '=') return refuse(at_, "`=` stands alone", "equality is written ==");
    if (c == '&' || c == '|') return refuse(at_, fmt::format("`{0}` stands alone", c), fmt::format("write {0}{0}", c));
    if (kSingles.find(c) == std::string_view::npos) {
      const auto byte = static_cast<unsigned char>(c);
      return refuse(at_, byte < 0x20 || byte >= 0x7F ? fmt::format("the byte {:#04x} has no meaning here", byte)
                                                     : fmt::format("`{}` has no meaning here", c));
    }
    token.text = c;
  }
  at_ += token.text.size();
  token.end = static_cast<std::uint32_t>(at_);
  return token;
}

std::optional<Token> Lexer::quoted(std::size_t begin, bool raw) {
  const std::size_t start = at_;
  const char quote = text_[at_];
  const bool triple = peek(1) == quote && peek(2) == quote;
  const std::string close(triple ? 3 : 1, quote);
  at_ += close.size();
  Token token;
  token.kind = Token::Kind::kText;
  while (text_.substr(at_, close.size()) != close) {
    if (at_ >= text_.size()) return refuse(start, "a text is not closed", fmt::format("close it with {}", close));
    const char c = text_[at_];
    if (!triple && (c == '\n' || c == '\r')) {
      return refuse(start, "a text in single quotes goes over the end of its line", "write \\n, or use three quotes");
    }
    if (c == '\\' && !raw) {
      if (!escape(token.text)) return std::nullopt;
    } else {
      token.text += c;
      ++at_;
    }
  }
  at_ += close.size();
  token.begin = static_cast<std::uint32_t>(begin);
  token.end = static_cast<std::uint32_t>(at_);
  return token;
}

// Reads one escape, of which `at_` is the backslash.
bool Lexer::escape(std::string& out) {
  constexpr std::string_view kLetters = "abfnrtv\\?\"'`";
  constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\?\"'`";
  const std::size_t begin = at_;
  const char c = peek(1);
  at_ += 2;
  if (const auto known = kLetters.find(c); known != std::string_view::npos) {
    out += kMeanings[known];
    return true;
  }
  switch (c) {
    case 'x':
    case 'X': return code_point(2, 16, out);
    case 'u': return code_point(4, 16, out);
    case 'U': return code_point(8, 16, out);
    case '0':
    case '1':
    case '2':
    case '3': --at_; return code_point(3, 8, out);
    default:
      refuse(begin, "an unknown escape in a text", "a backslash is written \\\\, or in a raw text r\"…\" as it is");
      return false;
  }
}

bool Lexer::code_point(std::size_t digits, std::uint32_t base, std::string& out) {
  const std::size_t begin = at_;
  std::uint32_t code = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const int digit = digit_value(peek());
    if (digit < 0 || digit >= static_cast<int>(base)) {
      refuse(begin, fmt::format("an escape needs {} digits", digits));
      return false;
    }
    code = code * base + static_cast<std::uint32_t>(digit);
    ++at_;
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    refuse(begin, "an escape names no Unicode character");
    return false;
  }
  append_utf8(code, out);
  return true;
}

}  // namespace weft::workflows::expression
