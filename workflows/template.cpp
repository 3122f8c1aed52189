// Templates: reading `{{ }}` out of the strings of a YAML value, and putting it together again with the values.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "workflows/expression/evaluate.h"
#include "workflows/url_values.h"

namespace weft::workflows {
namespace {

constexpr std::string_view kOpen = "{{";
constexpr std::string_view kClose = "}}";

bool is_name_part(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The end of the quoted text that begins at `at`, or npos.
std::size_t skip_quoted(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const bool after_r = at > 0 && (text[at - 1] == 'r' || text[at - 1] == 'R');
  const bool raw = after_r && (at < 2 || !is_name_part(text[at - 2]));
  const bool triple = text.substr(at, 3) == std::string(3, quote);
  const std::string close(triple ? 3 : 1, quote);
  for (at += close.size(); at < text.size(); ++at) {
    if (text.substr(at, close.size()) == close) return at + close.size();
    if (text[at] == '\\' && !raw) ++at;
  }
  return std::string_view::npos;
}

// Where the `}}` stands that closes an expression beginning at `at`: not within quotes, not of a map literal.
std::size_t find_close(std::string_view text, std::size_t at) {
  const std::size_t begin = at;
  std::size_t braces = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = skip_quoted(text, at);
      if (at == std::string_view::npos) break;
      continue;
    }
    if (c == '{') ++braces;
    if (c == '}' && braces == 0 && text.substr(at, 2) == kClose) return at;
    if (c == '}' && braces > 0) --braces;
    ++at;
  }
  return text.find(kClose, begin);  // The expression then says what is wrong with it.
}

// Follows a scalar's bytes through its file, as far as the unescaped text tells.
class Places {
 public:
  explicit Places(const yaml::Node& node) : node_(node), mark_(node.text_mark) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20; };
    const bool control = std::any_of(node.text.begin(), node.text.end(), is_control);
    // Which quotes they are is not told: a text with a " in it is mostly written in ', one with a control never is.
    double_ = control || node.text.find('"') == std::string::npos;
  }

  // REQUIRES: offsets grow from call to call.
  Mark at(std::size_t offset) {
    for (; at_ < offset; ++at_) {
      const char c = node_.text[at_];
      if (node_.style == yaml::Style::kQuoted) {
        const bool escaped = double_ ? c == '\n' || c == '\t' || c == '\\' || c == '"' : c == '\'';
        mark_.column += escaped ? 2 : 1;
      } else if (c == '\n') {
        ++mark_.line;
        mark_.column = node_.text_mark.column;
      } else {
        ++mark_.column;
      }
    }
    return mark_;
  }

 private:
  const yaml::Node& node_;
  Mark mark_;
  std::size_t at_ = 0;
  bool double_ = true;
};

Type type_of(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null: return Type::of(Type::Kind::kNull);
    case Json::value_t::boolean: return Type::of(Type::Kind::kBoolean);
    case Json::value_t::string: return Type::of(Type::Kind::kString);
    case Json::value_t::number_float: return Type::of(Type::Kind::kNumber);
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned: return Type::of(Type::Kind::kInteger);
    default: return {};
  }
}

struct Segment {
  std::string text;
  std::size_t expression = 0;  // Where `text` is empty.
};

struct Part {
  enum class Kind : std::uint8_t { kScalar, kExpression, kText, kList, kMap };
  Kind kind = Kind::kScalar;
  Json scalar;
  std::size_t expression = 0;
  std::vector<Segment> segments;
  std::vector<Part> items;         // kList, kMap
  std::vector<std::string> names;  // kMap: of the items.
};

}  // namespace

struct Template::Parts {
  Json source;
  Part root;
  std::vector<Expression> expressions;
  std::vector<MentionChain> mentions;
  std::vector<std::string> roots;

  bool read(const yaml::Node& node, Part& part, Diagnostics& diagnostics);
  bool read_text(const yaml::Node& node, Part& part, Diagnostics& diagnostics);
  bool read_expression(const yaml::Node& node, std::size_t begin, std::size_t end, Places& places,
                       Diagnostics& diagnostics);
  Type check(const Part& part, const TypeScope& scope, Diagnostics& diagnostics);
  const expression::Tree& tree(std::size_t index) const { return expressions[index].parts_->tree; }
  bool write(const Part& part, expression::Evaluation& evaluation, Json& out, std::size_t depth) const;
  bool write_text(const Part& part, expression::Evaluation& evaluation, std::string& out) const;
};

bool Template::Parts::read(const yaml::Node& node, Part& part, Diagnostics& diagnostics) {
  bool good = true;
  if (node.is_map()) {
    part.kind = Part::Kind::kMap;
    for (const auto& member : node.members) {
      if (member.key.find(kOpen) != std::string::npos) {
        diagnostics.error(member.key_mark, "template",
                          fmt::format("the key \"{}\" cannot hold a template", member.key));
        good = false;
      }
      part.names.push_back(member.key);
      good = read(*member.value, part.items.emplace_back(), diagnostics) && good;
    }
    return good;
  }
  if (node.is_sequence()) {
    part.kind = Part::Kind::kList;
    for (const auto& item : node.items) good = read(*item, part.items.emplace_back(), diagnostics) && good;
    return good;
  }
  if (node.is_string() && node.text.find(kOpen) != std::string::npos) return read_text(node, part, diagnostics);
  part.scalar = node.to_json();
  return true;
}

bool Template::Parts::read_text(const yaml::Node& node, Part& part, Diagnostics& diagnostics) {
  const std::string_view text = node.text;
  part.kind = Part::Kind::kText;
  Places places(node);
  bool good = true;
  std::size_t at = 0;
  for (std::size_t open = text.find(kOpen); open != std::string_view::npos; open = text.find(kOpen, at)) {
    const std::size_t close = find_close(text, open + kOpen.size());
    if (close == std::string_view::npos) {
      diagnostics.error(places.at(open), "expression-syntax", "a `{{` is not closed by `}}`",
                        "a `{{` that is only text is written {{ '{{' }}");
      return false;
    }
    if (open > at) part.segments.push_back({std::string(text.substr(at, open - at)), 0});
    part.segments.push_back({{}, expressions.size()});
    good = read_expression(node, open + kOpen.size(), close, places, diagnostics) && good;
    at = close + kClose.size();
  }
  // The line break with which a block ends is no text around its expression.
  const std::string_view rest = text.substr(at);
  const bool blank = node.style == yaml::Style::kBlock && rest.find_first_not_of('\n') == std::string_view::npos;
  if (part.segments.size() == 1 && (rest.empty() || blank)) {
    part.kind = Part::Kind::kExpression;
    part.expression = part.segments[0].expression;
  } else if (!rest.empty()) {
    part.segments.push_back({std::string(rest), 0});
  }
  return good;
}

bool Template::Parts::read_expression(const yaml::Node& node, std::size_t begin, std::size_t end, Places& places,
                                      Diagnostics& diagnostics) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::string_view text = std::string_view(node.text).substr(0, end);
  const std::size_t first = std::min(text.find_first_not_of(kSpace, begin), end);
  const std::size_t last = text.find_last_not_of(kSpace);
  const std::string_view inner = first < end ? text.substr(first, last - first + 1) : std::string_view();
  const Mark mark = places.at(first < end ? first : begin);
  auto read = Expression::parse_at(inner, mark, node.text_mark.column, diagnostics);
  if (!read) return false;
  mentions.insert(mentions.end(), read->mentions().begin(), read->mentions().end());
  for (const auto& name : read->roots()) {
    if (std::find(roots.begin(), roots.end(), name) == roots.end()) roots.push_back(name);
  }
  expressions.push_back(*std::move(read));
  return true;
}

Type Template::Parts::check(const Part& part, const TypeScope& scope, Diagnostics& diagnostics) {
  switch (part.kind) {
    case Part::Kind::kScalar: return type_of(part.scalar);
    case Part::Kind::kExpression: return expressions[part.expression].check(scope, diagnostics);
    case Part::Kind::kText:
      for (const auto& segment : part.segments) {
        if (segment.text.empty()) expressions[segment.expression].check(scope, diagnostics);
      }
      return Type::of(Type::Kind::kString);
    case Part::Kind::kList: {
      Type element;
      for (std::size_t i = 0; i < part.items.size(); ++i) {
        const Type type = check(part.items[i], scope, diagnostics);
        element = i == 0 ? type : Type::join(element, type, &diagnostics.work());
      }
      return Type::list(element);
    }
    case Part::Kind::kMap: {
      std::vector<Type::Field> fields;
      for (std::size_t i = 0; i < part.items.size(); ++i) {
        fields.push_back({part.names[i], check(part.items[i], scope, diagnostics), {}});
      }
      return Type::object(std::move(fields));
    }
  }
  return {};
}

bool Template::Parts::write(const Part& part, expression::Evaluation& evaluation, Json& out, std::size_t depth) const {
  switch (part.kind) {
    case Part::Kind::kScalar: out = part.scalar; return true;
    case Part::Kind::kExpression: return evaluation.write(evaluation.run(tree(part.expression)), out, depth);
    case Part::Kind::kText: {
      std::string text;
      if (!write_text(part, evaluation, text)) return false;
      out = std::move(text);
      return true;
    }
    case Part::Kind::kList: {
      Json::array_t list(part.items.size());
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (!write(part.items[i], evaluation, list[i], depth + 1)) return false;
      }
      out = std::move(list);
      return true;
    }
    case Part::Kind::kMap: {
      out = Json::object();
      // Keys of a YAML map are distinct, so none needs to be looked up.
      auto& members = static_cast<std::vector<Json::object_t::value_type>&>(out.get_ref<Json::object_t&>());
      for (std::size_t i = 0; i < part.items.size(); ++i) {
        members.emplace_back(part.names[i], nullptr);
        if (!write(part.items[i], evaluation, members.back().second, depth + 1)) return false;
      }
      return true;
    }
  }
  return true;
}

bool Template::Parts::write_text(const Part& part, expression::Evaluation& evaluation, std::string& out) const {
  for (const auto& segment : part.segments) {
    if (!segment.text.empty()) {
      if (!evaluation.count_result(segment.text.size())) return false;
      out += segment.text;
    } else if (!evaluation.write_text(evaluation.run(tree(segment.expression)), out)) {
      return false;
    }
  }
  return true;
}

Template::Template() = default;
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::Template(const Template&) = default;
Template& Template::operator=(const Template&) = default;

std::optional<Template> Template::read(const yaml::Node& node, Diagnostics& diagnostics) {
  Template result;
  result.parts_ = std::make_shared<Parts>();
  result.parts_->source = node.to_json();
  if (!result.parts_->read(node, result.parts_->root, diagnostics)) return std::nullopt;
  return result;
}

Type Template::check(const TypeScope& scope, Diagnostics& diagnostics) {
  return parts_ ? parts_->check(parts_->root, scope, diagnostics) : Type::of(Type::Kind::kNull);
}

const Json& Template::source() const {
  static const Json kNull;
  return parts_ ? parts_->source : kNull;
}

bool Template::is_constant() const { return !parts_ || parts_->expressions.empty(); }

bool Template::is_expression() const { return parts_ && parts_->root.kind == Part::Kind::kExpression; }

const std::vector<MentionChain>& Template::mentions() const {
  static const std::vector<MentionChain> kNone;
  return parts_ ? parts_->mentions : kNone;
}

const std::vector<std::string>& Template::roots() const {
  static const std::vector<std::string> kNone;
  return parts_ ? parts_->roots : kNone;
}

Result<Json> Template::evaluate(const Environment& environment, const ExpressionLimits& limits) const {
  if (is_constant()) return source();
  expression::Evaluation evaluation(environment, limits);
  Json result;
  if (!parts_->write(parts_->root, evaluation, result, 1)) return evaluation.take_error();
  return result;
}

Result<std::string> Template::evaluate_url(const Environment& environment, const ExpressionLimits& limits) const {
  if (is_constant() || parts_->root.kind != Part::Kind::kText) return evaluate_text(environment, limits);
  expression::Evaluation evaluation(environment, limits);
  std::string url;
  std::vector<UrlValue> values;
  for (const auto& segment : parts_->root.segments) {
    url += segment.text;
    if (!segment.text.empty()) continue;
    const std::size_t begin = url.size();
    std::string value;
    if (!evaluation.write_text(evaluation.run(parts_->tree(segment.expression)), value)) return evaluation.take_error();
    for (const char c : value) {
      const bool unreserved = is_name_part(c) || c == '-' || c == '.' || c == '~';
      url += unreserved ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    values.push_back({begin, url.size(), parts_->expressions[segment.expression].text()});
  }
  WEFT_RETURN_IF_ERROR(check_path(url, values));
  return url;
}

Result<std::string> Template::evaluate_text(const Environment& environment, const ExpressionLimits& limits) const {
  std::string text;
  if (!is_constant() && parts_->root.kind == Part::Kind::kText) {
    expression::Evaluation evaluation(environment, limits);
    if (!parts_->write_text(parts_->root, evaluation, text)) return evaluation.take_error();
    return text;
  }
  if (!is_constant() && parts_->root.kind == Part::Kind::kExpression) {
    expression::Evaluation evaluation(environment, limits);
    if (!evaluation.write_text(evaluation.run(parts_->tree(parts_->root.expression)), text)) {
      return evaluation.take_error();
    }
    return text;
  }
  WEFT_TRY(const Json value, evaluate(environment, limits));
  return value.is_string() ? value.get<std::string>() : weft::to_text(value);
}

}  // namespace weft::workflows
