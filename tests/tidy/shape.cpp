#include "tests/tidy/shape.h"

#include <regex>
#include <utility>

namespace weft::tidy {
namespace {

std::size_t indent_of(const std::string& line) {
  const std::size_t found = line.find_first_not_of(' ');
  return found == std::string::npos ? line.size() : found;
}

// The line, from `from` on, with which what is indented by `indent` closes; the last line where there is none.
std::size_t closing(const std::vector<std::string>& lines, std::size_t from, std::size_t indent) {
  const std::string brace = std::string(indent, ' ') + "}";
  while (from + 1 < lines.size() && !lines[from].starts_with(brace)) ++from;
  return from;
}

std::string without_comment(const std::string& line) {
  const std::size_t comment = line.find("//");
  std::string text = line.substr(0, comment);
  text.erase(text.find_last_not_of(' ') + 1);
  return text.substr(std::min(indent_of(text), text.size()));
}

// Without what stands between the angle brackets of templates.
std::string without_arguments(const std::string& text) {
  std::string kept;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool opens = text[i] == '<' && i > 0 && (std::isalnum(text[i - 1]) != 0 || text[i - 1] == '_');
    if (opens) ++depth;
    if (depth == 0) kept += text[i];
    if (text[i] == '>' && depth > 0 && text[i - 1] != '-') --depth;
  }
  return kept;
}

enum class Member : std::uint8_t { kNone, kMethod, kField };

Member member_of(const std::string& statement) {
  static const std::regex kNoMember("^(using|friend|static_assert|typedef|enum|(class|struct) \\w+;)");
  static const std::regex kConstant("^(static |inline )*constexpr");
  static const std::regex kTemplate("^template <[^>]*> ");
  if (std::regex_search(statement, kNoMember)) return Member::kNone;
  if (statement.find("= delete") != std::string::npos || statement.find("= default") != std::string::npos)
    return Member::kNone;
  std::string head = without_arguments(std::regex_replace(statement, kTemplate, ""));
  head = head.substr(0, head.find('{'));
  if (head.find("operator") == std::string::npos) head = head.substr(0, head.find(" = "));
  if (head.find('(') != std::string::npos) return Member::kMethod;
  return std::regex_search(statement, kConstant) ? Member::kNone : Member::kField;
}

// Reads the body of a class from the line behind its head to the one that closes it.
class Body {
 public:
  Body(const std::vector<std::string>& lines, std::size_t indent, Class& counted)
      : lines_(lines), indent_(indent), counted_(counted) {}

  void read(std::size_t from) {
    const std::size_t end = closing(lines_, from, indent_);
    for (std::size_t i = from; i < end; ++i) i = read_line(i);
  }

 private:
  // The last line that was read.
  std::size_t read_line(std::size_t i) {
    static const std::regex kSkipped("^((public|private|protected):|#.*)?$");
    static const std::regex kType("^(class|struct|enum|union)\\b");
    const std::string text = without_comment(lines_[i]);
    if (std::regex_match(text, kSkipped)) return i;
    statement_ += (statement_.empty() ? "" : " ") + text;
    const std::size_t inside = indent_ + 2;
    if (std::regex_search(statement_, kType) && text.ends_with('{')) {
      statement_.clear();
      const std::size_t end = closing(lines_, i + 1, inside);
      // `struct { ... } name;` is a field.
      if (std::regex_search(lines_[end], std::regex("^ *\\} \\w+"))) ++counted_.fields;
      return end;
    }
    if (!text.ends_with(';') && !text.ends_with('{') && !text.ends_with('}')) return i;
    const Member member = member_of(std::exchange(statement_, {}));
    if (member == Member::kMethod) ++counted_.methods;
    if (member == Member::kField) ++counted_.fields;
    return text.ends_with('{') ? closing(lines_, i + 1, inside) : i;
  }

  const std::vector<std::string>& lines_;
  const std::size_t indent_;
  Class& counted_;
  std::string statement_;
};

}  // namespace

std::vector<Function> functions_of(const std::vector<std::string>& lines) {
  static const std::regex kNoFunction(
      "^ "
      "*(namespace|class|struct|union|enum|extern|using|if|for|while|switch|do|else|public|private|protected|template)"
      "\\b|^ *[})#]");
  static const std::regex kName("([~\\w:]+|operator[^(]*)\\(");
  std::vector<Function> found;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t indent = indent_of(lines[i]);
    // Functions stand in a namespace, or in a class of at most two.
    if (lines[i].empty() || indent > 4 || std::regex_search(lines[i], kNoFunction)) continue;
    // A head may take several lines; it is one where its statement opens a brace.
    std::size_t opens = i;
    std::string head;
    for (; opens < lines.size(); ++opens) {
      const std::string text = without_comment(lines[opens]);
      head += text;
      if (text.empty() || text.ends_with(';') || text.ends_with('{') || text.ends_with('}')) break;
    }
    std::smatch name;
    if (opens == lines.size() || !head.ends_with('{') || !std::regex_search(head, name, kName)) continue;
    const std::size_t end = closing(lines, opens + 1, indent);
    found.push_back({name[1], i + 1, end - i + 1});
    i = end;
  }
  return found;
}

std::vector<Class> classes_of(const std::vector<std::string>& lines) {
  static const std::regex kHead("^( *)(?:template <.*> )?(?:class|struct) ([\\w:]+)(?: final)?(?: : .*?)? ?\\{$");
  static const std::regex kBegins("^ *(class|struct) ");
  std::vector<Class> found;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string head = lines[i];
    // The bases may stand in a line of their own.
    const bool opens = head.find_first_of(";{") != std::string::npos;
    if (i + 1 < lines.size() && !opens && std::regex_search(head, kBegins)) head += " " + without_comment(lines[i + 1]);
    std::smatch match;
    if (!std::regex_match(head, match, kHead)) continue;
    Class& counted = found.emplace_back(Class{match[2], i + 1});
    Body(lines, match[1].length(), counted).read(i + (head == lines[i] ? 1 : 2));
  }
  return found;
}

}  // namespace weft::tidy
