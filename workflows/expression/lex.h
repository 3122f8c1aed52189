// The words of an expression, one at a time. Private to the parser.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft::workflows::expression {

struct Token {
  enum class Kind : std::uint8_t { kEnd, kName, kInteger, kDouble, kText, kSign };
  Kind kind = Kind::kEnd;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::uint64_t magnitude = 0;  // kInteger; at most 2^63, which only a minus in front makes fit.
  double number = 0;
  std::string text;  // kName: the name. kText: the text, unescaped. kSign: the sign.

  bool is_sign(std::string_view sign) const { return kind == Kind::kSign && text == sign; }
  bool is_name(std::string_view name) const { return kind == Kind::kName && text == name; }
};

struct LexFault {
  std::uint32_t offset = 0;
  std::string message;
  std::string suggestion;
};

// REQUIRES: the text is UTF-8 and outlives the lexer.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}
  // Nothing where the text is at fault; `fault()` then says why.
  std::optional<Token> next();
  const LexFault& fault() const { return fault_; }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void skip_space();
  std::optional<Token> refuse(std::size_t offset, std::string message, std::string suggestion = {});
  std::optional<Token> number();
  std::optional<Token> name();
  std::optional<Token> sign();
  std::optional<Token> quoted(std::size_t begin, bool raw);
  bool escape(std::string& out);
  bool code_point(std::size_t digits, std::uint32_t base, std::string& out);

  std::string_view text_;
  std::size_t at_ = 0;
  LexFault fault_;
};

// The bytes of a code point in UTF-8.
void append_utf8(std::uint32_t code, std::string& out);

}  // namespace weft::workflows::expression
