#include "sim/slices.h"

namespace weft::sim {
namespace {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // The next byte that is no white space; 0 at the end.
  char peek() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").contains(text_[at_])) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void step() { ++at_; }

  std::string_view value() {
    char first = peek();
    std::size_t from = at_;
    if (first == '"') {
      skip_string();
    } else if (first == '{' || first == '[') {
      skip_nested();
    } else {
      while (at_ < text_.size() && !std::string_view(" \t\r\n,]}:").contains(text_[at_])) ++at_;
    }
    return text_.substr(from, at_ - from);
  }

 private:
  void skip_string() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    ++at_;
  }
  void skip_nested() {
    std::size_t depth = 0;
    while (at_ < text_.size()) {
      char byte = text_[at_];
      if (byte == '"') {
        skip_string();
        continue;
      }
      ++at_;
      if (byte == '{' || byte == '[') ++depth;
      if ((byte == '}' || byte == ']') && --depth == 0) return;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::string_view member_bytes(std::string_view object, std::string_view key) {
  Scanner scanner(object);
  if (scanner.peek() != '{') return {};
  scanner.step();
  while (scanner.peek() == '"') {
    std::string_view name = scanner.value();
    scanner.peek();
    scanner.step();  // The colon.
    std::string_view value = scanner.value();
    if (name.substr(1, name.size() - 2) == key) return value;
    if (scanner.peek() != ',') break;
    scanner.step();
  }
  return {};
}

std::vector<std::string_view> element_bytes(std::string_view array) {
  std::vector<std::string_view> elements;
  Scanner scanner(array);
  if (scanner.peek() != '[') return elements;
  scanner.step();
  while (scanner.peek() != ']' && scanner.peek() != '\0') {
    elements.push_back(scanner.value());
    if (scanner.peek() == ',') scanner.step();
  }
  return elements;
}

}  // namespace weft::sim
